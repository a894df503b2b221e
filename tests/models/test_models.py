import math
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from torch import nn
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from sclatent.common.errors import TrainingError
from sclatent.families.base import COUNTS
from sclatent.families.registry import family_names, hyperparameters_class
from sclatent.models import vae, vsc
from sclatent.models.base import Batch
from sclatent.models.registry import load_family
from sclatent.nn.layers import Linear

pytestmark = pytest.mark.usefixtures("deterministic")

N, G, C = 60, 20, 3  # cells, genes, conditions
FAMILIES = family_names()
HYPERPARAMETERS = {family: hyperparameters_class(family) for family in FAMILIES}
TRAINED = [family for family in FAMILIES if not hyperparameters_class(family).closed_form]
STOCHASTIC = [family for family in FAMILIES if hyperparameters_class(family).generative]
CONDITIONAL = [family for family in FAMILIES if HYPERPARAMETERS[family].conditional]
WITH_BETA = [family for family in FAMILIES if "beta" in HYPERPARAMETERS[family].model_fields]

# Values to try of hyper-parameters for which those of `others` have no effect, or are refused.
ALTERNATIVES = {
    "final_sharpness": [200],
    "free_bits": [100],
    "n_components": [4],
    "spike_warmup": [[0.2, 0.9]],
    "warmup": [0.9],
}
BESIDE = {
    "adversarial_radius": {"adversarial_weight": 1.0}
}  # without which a hyper-parameter has nothing to act on


def build(family, n_features=G, n_vars=G, **hyperparameters):
    """A model of a family whose first weights are the same each time."""
    torch.manual_seed(1)
    checked = HYPERPARAMETERS[family](**hyperparameters)
    return load_family(family)(n_features, n_vars, C if checked.conditional else 0, checked)


def batch(family, n=N, likelihood="mse", **_):
    """Cells as a family with these hyper-parameters meets them: values, counts or shares, with
    conditions and labels.
    """
    torch.manual_seed(0)
    x = seen = torch.randn(n, 3) @ torch.randn(3, G) + 0.1 * torch.randn(n, G)
    if likelihood in COUNTS:
        x = torch.poisson(x.clamp(max=4).exp())
        seen = x.log1p()
    if likelihood == "bernoulli":
        x = seen = x.sigmoid()
    condition = torch.eye(C)[torch.arange(n) % C] if HYPERPARAMETERS[family].conditional else None
    return Batch(x, seen, condition, torch.arange(n) % 4)


def fit(model, x):
    model.fit(lambda rows: x[rows], len(x))


def model_and_cells(family, **hyperparameters):
    """A model, fitted if it has a closed form, and cells for it."""
    model, cells = build(family, **hyperparameters), batch(family, **hyperparameters)
    if model.hp.closed_form:
        fit(model, cells.x)
    return model, cells


def losses(family, model, cells, progress=1.0):
    """The parts of every kind of loss that a family has."""
    names = (
        ["loss", "supervised_loss", "pretraining_loss"]
        if HYPERPARAMETERS[family].mixture
        else ["loss"]
    )
    return [getattr(model, name)(cells, progress) for name in names]


def cells_as(cells, function):
    """The cells with a function applied to their values and to what the encoder sees of them."""
    return cells._replace(x=function(cells.x), seen=function(cells.seen))


def variants(families):
    """Each family as it is by default, and with each other option of a choice between names, or yes
    and no, that it makes.
    """
    for family in families:
        yield family, {}
        for field, info in HYPERPARAMETERS[family].model_fields.items():
            options = (True, False) if info.annotation is bool else get_args(info.annotation)
            is_choice = info.annotation is bool or get_origin(info.annotation) is Literal
            if is_choice and field not in (
                "activation",
                "xavier",
            ):  # which the rest of a model does not notice
                yield from (
                    (family, {field: option}) for option in options if option != info.default
                )


def named(value):
    return (
        ("-".join(f"{key}={option}" for key, option in value.items()) or "default")
        if isinstance(value, dict)
        else None
    )


def every_variant(families):
    return pytest.mark.parametrize(("family", "variant"), list(variants(families)), ids=named)


@every_variant(FAMILIES)
def test_every_family_keeps_the_interface(family, variant):
    model, cells = model_and_cells(family, latent_dim=4, **variant)
    model.eval()
    for parts in losses(family, model, cells):
        assert "loss" in parts
        assert all(part.shape == () and torch.isfinite(part) for part in parts.values())
    latents = model.encode(cells.seen, cells.condition)
    assert latents.mean.shape == latents.sample.shape == (N, 4)
    assert model.hp.generative == (not torch.equal(latents.mean, latents.sample))
    expected = model.decode(latents.mean, cells.condition)
    drawn = model.decode(latents.mean, cells.condition, sample=True)
    assert expected.shape == drawn.shape == (N, G)
    has_likelihood = "likelihood" in HYPERPARAMETERS[family].model_fields
    assert has_likelihood == (not torch.equal(expected, drawn))
    if HYPERPARAMETERS[family].mixture:
        assert latents.responsibilities.shape == (N, model.n_components)
        torch.testing.assert_close(latents.responsibilities.sum(1), torch.ones(N))
        assert latents.w_mean.shape == latents.w_sample.shape
    else:
        assert latents.responsibilities is None


@every_variant(STOCHASTIC)
def test_models_with_a_prior_draw_cells_of_every_component_and_condition(family, variant):
    model, _ = model_and_cells(family, **variant)
    model.eval()
    n_components = model.n_components if HYPERPARAMETERS[family].mixture else 1
    for sample in (False, True):
        cells = model.generate(5, sample)
        assert cells.x.shape == (5 * n_components * max(model.n_conditions, 1), G)
        assert torch.isfinite(cells.x).all()
        for drawn_for, n in (
            (cells.component, n_components),
            (cells.condition, model.n_conditions),
        ):
            assert (drawn_for is None) == (n <= 1)
            assert drawn_for is None or drawn_for.bincount().tolist() == [len(cells.x) // n] * n


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_does_not_read_labels(family):
    model, cells = model_and_cells(family)
    parts = []
    for label in (cells.label, None):
        torch.manual_seed(3)
        parts.append(model.loss(cells._replace(label=label)))
    assert parts[0] == parts[1]


@pytest.mark.parametrize("family", TRAINED)
def test_what_is_seen_may_have_other_features_than_what_is_explained(family):
    model, cells = build(family, n_features=8), batch(family)
    cells = cells._replace(seen=cells.seen[:, :8])
    assert torch.isfinite(model.loss(cells)["loss"])
    assert model.decode(model.encode(cells.seen, cells.condition).mean, cells.condition).shape == (
        N,
        G,
    )


@pytest.mark.parametrize("family", STOCHASTIC)
def test_equal_seeds_repeat_exactly_and_others_do_not(family):
    model, cells = model_and_cells(family)

    def drawn_with(seed):
        torch.manual_seed(seed)
        sample = model.encode(cells.seen, cells.condition).sample
        return (
            model.loss(cells)["loss"],
            sample,
            model.decode(sample, cells.condition, sample=True),
            model.generate(2).x,
        )

    first, second, other = drawn_with(0), drawn_with(0), drawn_with(1)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("family", TRAINED)
def test_steps_down_the_gradient_lower_the_loss_and_reach_every_weight(family):
    model, cells = model_and_cells(family)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history = []
    for _ in range(100):
        history.append(model.loss(cells)["loss"])
        optimizer.zero_grad()
        history[-1].backward()
        optimizer.step()
    assert history[-1] < 0.7 * history[0]
    assert [
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.grad is None
    ] == []


EXTREMES = {
    "one cell": lambda cells: Batch(*(None if part is None else part[:1] for part in cells)),
    "an empty cell": lambda cells: cells_as(cells, lambda x: torch.cat([0 * x[:1], x[1:]])),
    "empty cells only": lambda cells: cells_as(cells, torch.zeros_like),
    "values of 1e4": lambda cells: cells_as(cells, lambda x: x.sign() * 1e4),
    "float64": lambda cells: Batch(
        *(part if part is None or not part.is_floating_point() else part.double() for part in cells)
    ),
}


@every_variant(FAMILIES)
@pytest.mark.parametrize("kind", EXTREMES)
def test_losses_and_gradients_are_finite(family, variant, kind):
    model, cells = model_and_cells(family, **variant)
    cells = EXTREMES[kind](cells)
    if variant.get("likelihood") == "bernoulli":
        cells = cells._replace(x=cells.x.clamp(0, 1))
    if variant.get("likelihood") in COUNTS:
        cells = cells._replace(x=cells.x.abs())
    if kind == "float64":
        model.double()
    if kind == "one cell":  # which batch normalisation cannot be trained on
        model.train(not variant.get("batch_norm"))
    for parts in losses(family, model, cells):
        assert all(torch.isfinite(part) for part in parts.values())
        assert parts["loss"].dtype == cells.x.dtype
        if parts["loss"].requires_grad:
            model.zero_grad()
            parts["loss"].backward()
            assert all(
                torch.isfinite(weight.grad).all()
                for weight in model.parameters()
                if weight.grad is not None
            )
    with torch.no_grad():
        assert all(torch.isfinite(parts["loss"]) for parts in losses(family, model.eval(), cells))


@every_variant(TRAINED)
def test_bfloat16_gives_float32_results_near_those_of_float32(family, variant):
    model, cells = model_and_cells(family, **variant)
    results = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            torch.manual_seed(4)
            parts = losses(family, model, cells)
            latents = model.encode(cells.seen, cells.condition)
        results.append([*(part["loss"].detach() for part in parts), latents.mean.detach()])
        sum(part["loss"] for part in parts).backward()
    assert all(result.dtype == torch.float32 for result in results[1])
    for exact, half in zip(*results, strict=True):
        assert (exact - half).norm() < 0.05 * exact.norm()
    assert all(
        torch.isfinite(weight.grad).all()
        for weight in model.parameters()
        if weight.grad is not None
    )


def outcome(family, **hyperparameters):
    """What a hyper-parameter can change: losses in the midst of training, latents and decoded
    draws.
    """
    model, cells = build(family, **hyperparameters), batch(family)
    cells = cells_as(cells, lambda x: (x > 0).float())  # which any likelihood takes
    if model.hp.closed_form:
        fit(model, cells.x)
    torch.manual_seed(2)
    parts = [
        part for parts in losses(family, model, cells, progress=0.5) for part in parts.values()
    ]
    latents = model.encode(cells.seen, cells.condition)
    return [
        *parts,
        *(part for part in latents if part is not None),
        model.decode(latents.mean, cells.condition, sample=True),
    ]


def others(field, info):
    """Values of a hyper-parameter other than its default: each other choice, other layers, half of
    a number or 0.5 for 0.
    """
    default = info.default
    if field in ALTERNATIVES:
        return ALTERNATIVES[field]
    if isinstance(default, bool):
        return [not default]
    if get_origin(info.annotation) is Literal:
        return [option for option in get_args(info.annotation) if option != default]
    if isinstance(default, list):
        return [[], [7]]
    return [default // 2] if info.annotation is int else [default / 2 or 0.5]


@pytest.mark.parametrize(
    ("family", "field"),
    [(family, field) for family in FAMILIES for field in HYPERPARAMETERS[family].model_fields],
)
def test_every_hyperparameter_has_an_effect(family, field):
    beside = BESIDE.get(field, {})
    default = outcome(family, **beside)
    for value in others(field, HYPERPARAMETERS[family].model_fields[field]):
        changed = outcome(family, **beside, **{field: value})
        assert len(default) != len(changed) or not all(
            torch.equal(a, b) for a, b in zip(default, changed, strict=True)
        ), value


@pytest.mark.parametrize("family", WITH_BETA)
@pytest.mark.parametrize("beta", [0.5, 3])
def test_beta_weighs_the_whole_divergence_which_warms_up_linearly(family, beta):
    model, cells = model_and_cells(family, beta=beta, warmup=0.4)
    for progress, share in ((0, 0), (0.1, 0.25), (0.4, 1), (1, 1)):
        parts = model.loss(cells, progress)
        divergence = sum(part for name, part in parts.items() if name.startswith("kl"))
        assert divergence > 0
        torch.testing.assert_close(
            parts["loss"], parts["reconstruction"] + beta * share * divergence
        )


def widths(module):
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def is_linear_first(module):
    return not isinstance(module[1], nn.ReLU)


@pytest.mark.parametrize("latent_relu", [True, False], ids=["paper", "code"])
def test_the_autoencoder_has_the_layers_of_the_report(latent_relu):
    model, cells = model_and_cells("ae", latent_relu=latent_relu)
    assert widths(model.encoder) == [G, 128, 32, 16, 6]
    assert [type(layer) for layer in model.encoder[:-1]] == [
        Linear,
        Linear,
        nn.ReLU,
        Linear,
        nn.ReLU,
        Linear,
    ]
    assert widths(model.decoder) == [6, 16, 32, 128]
    assert widths(model.likelihood) == [128, G]
    assert (model.encode(cells.seen).mean >= 0).all() == latent_relu


CODE = {"encoder_hidden": [800, 400], "head_hidden": [], "decoder_hidden": [80, 400, 800]}


@pytest.mark.parametrize(
    ("family", "hyperparameters", "trunk", "head", "decoder"),
    [
        ("vae", {}, [G, 128, 32], [32, 16, 6], [6, 16, 32, 128]),
        ("vsc", {}, [G, 128, 32], [32, 16, 6], [6, 16, 32, 128]),
        ("vae", CODE, [G, 800, 400], [400, 6], [6, 80, 400, 800]),
        ("vsc", {**CODE, "linear_first": False}, [G, 800, 400], [400, 6], [6, 80, 400, 800]),
    ],
    ids=["vae-paper", "vsc-paper", "vae-code", "vsc-code"],
)
def test_variational_autoencoders_have_the_layers_of_the_report(
    family, hyperparameters, trunk, head, decoder
):
    model = build(family, **hyperparameters)
    assert widths(model.trunk) == trunk
    assert is_linear_first(model.trunk) == hyperparameters.get("linear_first", True)
    heads = [model.mean_head, model.log_var_head] + ([model.spike_head] if family == "vsc" else [])
    assert [widths(module) for module in heads] == [head] * len(heads)
    assert widths(model.decoder) == decoder
    assert widths(model.likelihood) == [decoder[-1], G]


def test_pca_is_that_of_scikit_learn_up_to_signs():
    model, cells = model_and_cells("pca", latent_dim=3)
    x = cells.x.numpy()
    reference = PCA(3, svd_solver="full").fit(x)
    np.testing.assert_allclose(
        np.abs(model.encode(cells.x).mean.numpy()), np.abs(reference.transform(x)), atol=1e-4
    )
    error = np.square(x - reference.inverse_transform(reference.transform(x))).sum(1).mean()
    assert model.loss(cells)["loss"].item() == pytest.approx(error, rel=1e-4)


def test_pca_refuses_as_many_components_as_features():
    with pytest.raises(TrainingError, match=r"must be below 20 for data of \(60, 20\)"):
        model_and_cells("pca", latent_dim=G)


def test_a_linear_autoencoder_at_its_optimum_spans_the_principal_subspace():
    torch.manual_seed(0)
    x = (torch.randn(40, 6) * torch.tensor([3.0, 2, 1.5, 1, 0.5, 0.3]) @ torch.randn(6, 6)).double()
    linear = {"encoder_hidden": [], "decoder_hidden": [], "latent_relu": False}
    model = build("ae", 6, 6, latent_dim=2, **linear).double()
    optimizer = torch.optim.Adam(model.parameters())
    for rate in (0.03, 0.003, 0.0003):
        optimizer.param_groups[0]["lr"] = rate
        for _ in range(600):
            optimizer.zero_grad()
            model.loss(Batch(x, x))["loss"].backward()
            optimizer.step()
    spanned = model.decode(torch.eye(2, dtype=torch.float64)) - model.decode(
        torch.zeros(2, 2, dtype=torch.float64)
    )
    principal = torch.linalg.svd(x - x.mean(0)).Vh[:2]
    assert subspace_angles(spanned.detach().T.numpy(), principal.T.numpy()).max() < 1e-2


def test_a_vae_without_divergence_or_variance_is_an_autoencoder():
    vae, cells = model_and_cells("vae", beta=0)
    ae = build("ae", latent_relu=False)
    sources = [
        *vae.trunk.parameters(),
        *vae.mean_head.parameters(),
        *vae.decoder.parameters(),
        *vae.likelihood.parameters(),
    ]
    with torch.no_grad():
        for target, source in zip(ae.parameters(), sources, strict=True):
            target.copy_(source)
    constant(vae.log_var_head, -40.0)
    torch.testing.assert_close(vae.loss(cells)["loss"], ae.loss(cells)["loss"])


def constant(head, value):
    """Make a head give a constant."""
    last = [layer for layer in head if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(value)


class LinearGaussian:
    """x = W z + b + noise of variance 1, z ~ N(0, I), as a VAE without hidden layers whose W has
    orthogonal columns, in float64.

    Its posterior is then N(S W'(x - b), S), S = (I + W'W)^-1 diagonal: one that the VAE can
    hold.
    """

    def __init__(self, n_vars=7, latent_dim=3):
        linear = {"encoder_hidden": [], "head_hidden": [], "decoder_hidden": []}
        self.vae = build(
            "vae", n_vars, n_vars, latent_dim=latent_dim, likelihood="gauss1", beta=1, **linear
        ).double()
        self.W = torch.linalg.qr(
            torch.randn(n_vars, latent_dim, dtype=torch.float64)
        ).Q * torch.tensor([2.0, 1.0, 0.5])
        self.b = torch.randn(n_vars, dtype=torch.float64)
        self.S = 1 / (1 + self.W.square().sum(0))
        with torch.no_grad():
            self.vae.likelihood.linear.weight.copy_(self.W)
            self.vae.likelihood.linear.bias.copy_(self.b)

    def make_posterior_exact(self):
        constant(self.vae.log_var_head, 0.0)
        with torch.no_grad():
            self.vae.log_var_head[0].bias.copy_(self.S.log())
            self.vae.mean_head[0].weight.copy_(self.S[:, None] * self.W.T)
            self.vae.mean_head[0].bias.copy_(-self.S * (self.W.T @ self.b))

    def log_evidence(self, x):
        covariance = self.W @ self.W.T + torch.eye(len(self.b), dtype=torch.float64)
        return MultivariateNormal(self.b, covariance).log_prob(x).mean()

    def expected_loss(self, x, monkeypatch):
        """The loss averaged over draws without error: of a quadratic the mean over 2L sigma points
        is that over the Gaussian.
        """
        n, latent_dim = len(x), self.W.shape[1]
        unit = math.sqrt(latent_dim) * torch.eye(latent_dim, dtype=torch.float64)
        points = torch.cat([unit, -unit]).repeat(n, 1)
        monkeypatch.setattr(
            "sclatent.models.vae.draw_normal",
            lambda mean, log_var: mean + (0.5 * log_var).exp() * points,
        )
        repeated = x.repeat_interleave(2 * latent_dim, dim=0)
        return self.vae.loss(Batch(repeated, repeated))["loss"]


def test_the_evidence_bound_is_below_the_evidence_and_reaches_it_at_the_true_posterior(monkeypatch):
    model = LinearGaussian()
    x = torch.randn(9, 7, dtype=torch.float64)
    for scale in (0.1, 1.0, 3.0):
        for weight in [*model.vae.mean_head.parameters(), *model.vae.log_var_head.parameters()]:
            nn.init.normal_(weight, std=scale)
        assert -model.expected_loss(x, monkeypatch) < model.log_evidence(x)
    model.make_posterior_exact()
    torch.testing.assert_close(-model.expected_loss(x, monkeypatch), model.log_evidence(x))


def test_bounds_of_the_posterior_hold_for_any_cell():
    model = build("vae", bounded=True)
    mean, log_var = model.posterior(1e4 * torch.randn(N, G))
    for parameter, low, high in ((mean, -5, 5), (log_var, -9, 1)):
        assert parameter.min() >= low - 1e-3
        assert parameter.max() <= high + 1e-3
    assert build("vae").posterior(1e4 * torch.randn(N, G))[0].abs().max() > 5


def with_mask(model, gamma):
    """The model of sparse coding with the same mask for every cell, and slabs of mean 1 without
    variance.
    """
    ones = torch.ones(1, model.latent_dim)
    model.posterior = lambda *_: vsc.Posterior(
        ones, -100 * ones, (gamma * ones).log().clamp(min=-100), None
    )
    return model


KNOWN_MASKS = [(0.0, 0.0139), (0.05, 0.0516), (0.5, 0.5), (0.95, 0.9484), (1.0, 0.9861)]


@pytest.mark.parametrize(("gamma", "expected"), KNOWN_MASKS)
def test_the_soft_mask_has_its_known_mean(gamma, expected):
    model = with_mask(build("vsc"), gamma)
    assert model.encode(torch.zeros(1, G)).mean[0, 0].item() == pytest.approx(expected, abs=5e-5)
    draws = model.draw_mask(torch.full((200_000,), gamma))
    assert draws.mean().item() == pytest.approx(expected, abs=3e-3)


@pytest.mark.parametrize("gamma", [0.0, 0.05, 0.5, 0.95, 1.0])
def test_the_hard_mask_is_0_or_1_with_probability_gamma_and_has_the_slope_of_the_soft_one(gamma):
    model = with_mask(build("vsc", mask="hard"), gamma)
    assert model.encode(torch.zeros(1, G)).mean[0, 0].item() == pytest.approx(gamma, abs=1e-6)
    results = []
    for mask in ("soft", "hard"):
        torch.manual_seed(0)
        model = build("vsc", mask=mask)
        probability = torch.full((100_000,), gamma, requires_grad=True)
        draws = model.draw_mask(probability)
        draws.sum().backward()
        results.append((draws.detach(), probability.grad))
    assert set(results[1][0].unique().tolist()) <= {0.0, 1.0}
    assert results[1][0].mean().item() == pytest.approx(gamma, abs=5e-3)
    torch.testing.assert_close(results[0][1], results[1][1])


def test_the_mask_sharpens_in_the_course_of_training_and_latents_are_those_of_its_end():
    model = with_mask(build("vsc", sharpness=50, final_sharpness=200), 0.0)
    for progress, sharpness in ((0, 50), (0.5, 125), (1, 200)):
        draws = model.draw_mask(torch.zeros(1_000_000), progress)
        assert draws.mean().item() == pytest.approx(math.log(2) / sharpness, rel=0.05)
    assert model.encode(torch.zeros(1, G)).mean[0, 0].item() == pytest.approx(
        math.log(2) / 200, rel=1e-3
    )


def test_the_slab_carries_information_only_after_the_spike_has_warmed_up():
    model, cells = model_and_cells("vsc", spike_warmup=[0.2, 0.6], mask="hard")
    ones = torch.ones(100_000, 1)
    for progress, share in ((0, 0), (0.2, 0), (0.4, 0.5), (0.6, 1), (1, 1)):
        draws = model.draw(vsc.Posterior(5 * ones, -3 * ones, 0 * ones, None), progress)
        assert draws.mean().item() == pytest.approx(5 * share, abs=0.02)
        assert draws.std().item() == pytest.approx(math.exp(-1.5 * share), rel=0.02)
    early, late = model.loss(cells, 0.0), model.loss(cells, 1.0)
    assert early["kl_slab"] == late["kl_slab"]
    assert early["reconstruction"] != late["reconstruction"]


@pytest.mark.parametrize("spike_warmup", [[0.5, 0.5], [0.6, 0.2], [0.1], [0.0, 1.1]])
def test_a_spike_warmup_that_does_not_end_after_its_start_is_refused(spike_warmup):
    with pytest.raises(ValidationError, match="spike_warmup"):
        build("vsc", spike_warmup=spike_warmup)


def test_sparse_coding_with_every_dimension_on_is_the_vae():
    cells = cells_as(batch("vsc"), torch.Tensor.double)
    vsc, vae = build("vsc", alpha=1 - 1e-9, mask="hard").double(), build("vae").double()
    vae.load_state_dict(
        {name: weight for name, weight in vsc.state_dict().items() if "spike" not in name}
    )
    constant(vsc.spike_head, 50.0)
    torch.testing.assert_close(vsc.encode(cells.seen).mean, vae.encode(cells.seen).mean)
    for model in (vsc, vae):
        constant(model.log_var_head, -60.0)  # so that both draw the same
    torch.testing.assert_close(vsc.loss(cells)["loss"], vae.loss(cells)["loss"])
    assert vsc.loss(cells)["active"] == 1


@pytest.mark.parametrize("spike", ["logit", "neg_relu"])
def test_sparse_coding_says_how_many_dimensions_are_in_use(spike):
    model, cells = model_and_cells("vsc", spike=spike)
    for a, active in ((-3.0, 0), (3.0, 1)):
        constant(model.spike_head, a)
        assert model.loss(cells)["active"] == active
        _, _, log_gamma, log_off = model.posterior(cells.seen)
        torch.testing.assert_close(
            log_gamma.exp() + log_off.exp(), torch.ones_like(log_gamma), atol=2e-6, rtol=0
        )


def test_cells_drawn_from_sparse_coding_use_a_share_alpha_of_the_dimensions():
    model = build("vsc", alpha=0.2)
    z = model.draw_prior(50_000)
    assert (z != 0).float().mean().item() == pytest.approx(0.2, abs=5e-3)
    assert z[z != 0].std().item() == pytest.approx(1, abs=0.02)


def conditional(variant):
    model, cells = model_and_cells("cvae", variant=variant)
    if variant != "forget":
        nn.init.normal_(model.prior_table)
    return model, cells, cells.condition.roll(1, dims=1)


@pytest.mark.parametrize(
    ("variant", "seen"), [("learned_prior", False), ("forget", True), ("both", True)]
)
def test_the_decoder_sees_the_condition_unless_the_prior_alone_does(variant, seen):
    model, cells, other = conditional(variant)
    z = torch.randn(N, 6)
    assert seen == (not torch.equal(model.decode(z, cells.condition), model.decode(z, other)))
    assert not torch.equal(
        model.encode(cells.seen, cells.condition).mean, model.encode(cells.seen, other).mean
    )


@pytest.mark.parametrize("variant", ["learned_prior", "forget", "both"])
def test_the_divergence_is_that_from_the_prior_of_the_condition(variant):
    model, cells, _ = conditional(variant)
    mean, log_var = model.posterior(cells.seen, cells.condition)
    if variant == "forget":
        prior = Normal(0.0, 1.0)
    else:
        prior_mean, prior_log_var = model.prior(cells.condition)
        assert len(prior_mean.unique(dim=0)) == C
        prior = Normal(prior_mean, (prior_log_var / 2).exp())
    expected = kl_divergence(Normal(mean, (log_var / 2).exp()), prior).sum(1).mean()
    torch.testing.assert_close(model.loss(cells)["kl"], expected)


@pytest.mark.parametrize("variant", ["learned_prior", "forget", "both"])
def test_a_flip_to_a_cells_own_condition_or_there_and_back_is_its_reconstruction(variant):
    model, cells, other = conditional(variant)
    z = model.encode(cells.seen, cells.condition).mean
    reconstruction = model.decode(z, cells.condition)
    torch.testing.assert_close(
        model.flip(cells.seen, cells.condition, cells.condition), reconstruction
    )
    there = model.flip(cells.seen, cells.condition, other)
    assert (there - reconstruction).norm() > 1e-3 * reconstruction.norm()
    moved = (
        z if variant == "forget" else z + model.prior(other)[0] - model.prior(cells.condition)[0]
    )
    torch.testing.assert_close(there, model.decode(moved, other))
    model.posterior = lambda *_: vae.Posterior(moved, None)
    torch.testing.assert_close(model.flip(cells.seen, other, cells.condition), reconstruction)


def test_cells_drawn_from_a_learned_prior_differ_between_conditions():
    model = build(
        "cvae", variant="learned_prior", latent_dim=1, encoder_hidden=[], decoder_hidden=[]
    )
    with torch.no_grad():
        model.prior_table[:, 0, 0] = torch.tensor([-4.0, 0.0, 4.0])
    drawn = model.generate(2000)
    expected = model.decode(model.prior(torch.eye(C))[0])
    means = torch.stack([drawn.x[drawn.condition == condition].mean(0) for condition in range(C)])
    torch.testing.assert_close(means, expected, atol=0.1, rtol=0)


@pytest.mark.parametrize("family", CONDITIONAL)
def test_flipped_cells_are_expression(family):
    model, cells = model_and_cells(family)
    flipped = model.eval().flip(cells.seen, cells.condition, cells.condition.roll(1, dims=1))
    assert flipped.shape == (N, G)
    assert torch.isfinite(flipped).all()
