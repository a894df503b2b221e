import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from torch import nn
from torch.distributions import Normal, kl_divergence

from sclatent.common.errors import TrainingError
from sclatent.data.readers.blobs import make_blobs
from sclatent.families.base import LOG_VAR_BOUNDS, MEAN_BOUNDS
from sclatent.families.registry import hyperparameters_class
from sclatent.models.base import Batch
from sclatent.models.registry import load_family
from sclatent.nn.divergences import collapsed_dirichlet, kl_categorical, kl_standard_normal
from sclatent.nn.layers import inverse_soft_clip, soft_clip

N, G, C, K, L, W = (
    40,
    6,
    2,
    4,
    3,
    2,
)  # cells, genes, conditions, components, dimensions of z and of w
DIRICHLETS = ["collapsed", "network", "none", "global"]
SMALL = {
    "latent_dim": L,
    "w_dim": W,
    "n_components": K,
    "encoder_hidden": [16],
    "decoder_hidden": [16],
    "component_hidden": [8],
}
every_dirichlet = pytest.mark.parametrize("dirichlet", DIRICHLETS)


pytestmark = pytest.mark.usefixtures("deterministic")


def build(family="gmvae", n_features=G, **changes):
    """A small model of a family."""
    torch.manual_seed(1)
    hyperparameters = hyperparameters_class(family)(**SMALL | changes)
    return load_family(family)(
        n_features, n_features, C if hyperparameters.conditional else 0, hyperparameters
    )


@pytest.fixture
def cells():
    torch.manual_seed(0)
    x = torch.randn(N, G)
    return Batch(x, x, label=torch.arange(N) % K)


def with_conditions(cells):
    return cells._replace(condition=torch.eye(C)[torch.arange(N) // K % C])


def parts_of(model, cells, name="loss", seed=2, progress=1.0):
    torch.manual_seed(seed)
    return getattr(model, name)(cells, progress)


def set_outputs(net, values):
    """Make a network give the same values for every input."""
    last = [layer for layer in net if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.as_tensor(values))


def permute_components(model, order):
    """Put the components of a model into another order."""
    with torch.no_grad():
        for weight in model.last_component_layer.parameters():
            weight.copy_(weight.unflatten(0, (K, -1))[order].flatten(0, 1))
        for weight in [*model.classifier[-2].parameters(), model.share_logits]:
            weight.copy_(weight[order])


def log_q_of(model, cells):
    """ln q(y|z) of one draw of z, the first that is drawn."""
    q = model.posterior(cells.seen, cells.condition)
    z = q.z_mean + (q.z_log_var / 2).exp() * torch.randn_like(q.z_mean)
    return q, z, model.classifier(model.classified(z, q.hidden, cells.condition)).log_softmax(-1)


# ---- the bound and its parts


def test_responsibilities_sum_to_one_and_are_those_of_the_mean_latent(cells):
    model = build()
    first, second = model.encode(cells.seen), model.encode(cells.seen)
    torch.testing.assert_close(first.responsibilities.sum(1), torch.ones(N))
    assert torch.equal(first.responsibilities, second.responsibilities)
    assert not torch.equal(first.sample, second.sample)
    assert not torch.equal(first.w_sample, second.w_sample)
    torch.testing.assert_close(first.responsibilities, model.classifier(first.mean).softmax(-1))


@pytest.mark.parametrize("dirichlet", ["collapsed", "none", "global"])
def test_the_order_of_components_is_of_no_account(cells, dirichlet):
    model, order = build(dirichlet=dirichlet), torch.tensor([2, 0, 3, 1])
    before, responsibilities = parts_of(model, cells), model.encode(cells.seen).responsibilities
    torch.manual_seed(3)
    drawn = model.generate(2).x.unflatten(0, (2, K))
    permute_components(model, order)
    torch.testing.assert_close(parts_of(model, cells), before)
    torch.testing.assert_close(
        model.encode(cells.seen).responsibilities, responsibilities[:, order]
    )
    torch.manual_seed(3)
    torch.testing.assert_close(model.generate(2).x.unflatten(0, (2, K)), drawn[:, order])


@every_dirichlet
def test_one_component_is_a_vae_with_a_learned_prior(cells, dirichlet):
    model = build(dirichlet=dirichlet, n_components=1)
    parts = parts_of(model, cells)
    torch.manual_seed(2)
    q, z, _ = log_q_of(model, cells)
    w = q.w_mean + (q.w_log_var / 2).exp() * torch.randn_like(q.w_mean)
    mean, log_var = (parameter[:, 0] for parameter in model.components(w, None))
    kl_z = (
        kl_divergence(Normal(q.z_mean, (q.z_log_var / 2).exp()), Normal(mean, (log_var / 2).exp()))
        .sum(-1)
        .mean()
    )
    kl_w = kl_divergence(Normal(q.w_mean, (q.w_log_var / 2).exp()), Normal(0.0, 1.0)).sum(-1).mean()
    reconstruction = (cells.x - model.decode(z)).square().sum(-1).mean()
    torch.testing.assert_close(parts["loss"], reconstruction + kl_z + kl_w)
    assert parts["kl_y"].item() + parts.get("kl_d", torch.tensor(0)).item() == pytest.approx(
        0, abs=1e-6
    )


def test_a_large_concentration_is_a_uniform_prior(cells):
    double = Batch(cells.x.double(), cells.seen.double())
    losses = [
        parts_of(build(**change).double(), double)["kl_y"].item()
        for change in ({"alpha": 100}, {"dirichlet": "none"})
    ]
    assert losses[0] == pytest.approx(losses[1], abs=0.01)
    assert losses[1] != pytest.approx(
        parts_of(build(alpha=1).double(), double)["kl_y"].item(), abs=0.01
    )


def test_a_uniform_learned_prior_is_none_and_learns_the_shares_of_the_components(cells):
    model, uniform = build(dirichlet="global"), build(dirichlet="none")
    torch.testing.assert_close(parts_of(model, cells), parts_of(uniform, cells))
    shares = torch.tensor([0.1, 0.2, 0.3, 0.4])
    set_outputs(model.classifier, shares.log())
    optimizer = torch.optim.Adam([model.share_logits], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        model.loss(cells)["kl_y"].backward()
        optimizer.step()
    torch.testing.assert_close(model.share_logits.detach().softmax(-1), shares, atol=1e-3, rtol=0)


@pytest.mark.parametrize("alpha", [1.0, 0.4])
def test_the_collapsed_term_is_that_of_the_best_network(alpha):
    many = Batch(torch.zeros(60_000, G), torch.zeros(60_000, G))
    q = torch.tensor([0.7, 0.15, 0.1, 0.05])
    collapsed = collapsed_dirichlet(q.log(), alpha).item()
    costs = []
    for concentration in (alpha + q, alpha + q.flip(0), 3 * (alpha + q)):
        model = build(dirichlet="network", alpha=alpha)
        set_outputs(model.classifier, q.log())
        set_outputs(model.concentration_net, (concentration - 1e-3).expm1().log())
        with torch.no_grad():
            parts = parts_of(model, many)
        costs.append(parts["kl_y"].item() + parts["kl_d"].item())
    assert costs[0] == pytest.approx(collapsed, abs=0.02)
    assert min(costs[1:]) > collapsed + 0.04


def test_the_loss_weighs_its_parts_and_warms_up_the_divergence_of_z(cells):
    weights = {
        "z_weight": 2,
        "w_weight": 3,
        "y_weight": 5,
        "entropy_weight": 7,
        "adversarial_weight": 11,
        "marginal_weight": 13,
    }
    model = build(dirichlet="network", warmup=0.4, **weights)
    for progress, risen in ((0, 0), (0.1, 0.25), (0.4, 1), (1, 1)):
        parts = parts_of(model, cells, progress=progress)
        expected = parts["reconstruction"] + 2 * risen * parts["kl_z"] + 3 * parts["kl_w"]
        expected += (
            5 * (parts["kl_y"] + parts["kl_d"]) + 7 * parts["entropy"] + 11 * parts["adversarial"]
        )
        expected += 13 * parts["marginal"]
        torch.testing.assert_close(parts["loss"], expected)
        supervised = parts_of(model, cells, "supervised_loss", progress=progress)
        expected = (
            supervised["reconstruction"] + 2 * risen * supervised["kl_z"] + 3 * supervised["kl_w"]
        )
        expected += supervised["cross_entropy"] + 5 * (supervised["kl_y"] + supervised["kl_d"])
        torch.testing.assert_close(supervised["loss"], expected)


def test_the_divergence_of_the_component_is_not_pressed_below_its_free_bits(cells):
    free = {bits: parts_of(build(free_bits=bits), cells) for bits in (0, 0.001, 5)}
    assert torch.equal(free[0]["loss"], free[0.001]["loss"])
    torch.testing.assert_close(free[5]["loss"], free[0]["loss"] - free[0]["kl_y"] + 5)
    assert torch.equal(free[5]["kl_y"], free[0]["kl_y"])


def test_the_loss_shows_how_crisp_components_are_and_how_many_are_in_use(cells):
    model = build(entropy_weight=1)
    q = torch.tensor([0.1, 0.2, 0.3, 0.4])
    set_outputs(model.classifier, q.log())
    parts = parts_of(model, cells)
    assert parts["confidence"].item() == pytest.approx(0.4)
    assert parts["n_components_used"].item() == 1
    assert parts["entropy"].item() == pytest.approx(-(q * q.log()).sum().item())
    model = build()
    torch.manual_seed(2)
    *_, log_q = log_q_of(model, cells)
    parts = parts_of(model, cells)
    assert parts["confidence"].item() == pytest.approx(log_q.exp().amax(-1).mean().item())
    assert parts["n_components_used"].item() == len(log_q.argmax(-1).unique())


def test_the_marginal_term_is_the_divergence_of_the_mean_of_a_batch_from_equal_shares(cells):
    model = build(marginal_weight=1)
    torch.manual_seed(2)
    *_, log_q = log_q_of(model, cells)
    parts = parts_of(model, cells)
    mean = log_q.exp().mean(0)
    assert parts["marginal"].item() == pytest.approx(
        (mean * (K * mean).log()).sum().item(), rel=1e-4
    )
    set_outputs(model.classifier, torch.zeros(K))
    assert parts_of(model, cells)["marginal"].item() == pytest.approx(0, abs=1e-6)
    set_outputs(model.classifier, torch.tensor([1e4, 0, 0, 0]))
    parts = parts_of(model, cells)
    assert parts["marginal"].item() == pytest.approx(math.log(K))
    parts["loss"].backward()
    assert all(
        torch.isfinite(weight.grad).all()
        for weight in model.parameters()
        if weight.grad is not None
    )


def test_components_without_w_stand_still_and_apart(cells, recwarn):
    model = build(w_dim=0)
    assert not recwarn
    mean, log_var = model.components(torch.empty(N, 0), None)
    assert torch.equal(mean, mean[:1].expand_as(mean))
    assert torch.equal(log_var, log_var[:1].expand_as(log_var))
    assert torch.pdist(mean[0]).min() > 0.1
    parts = model.loss(cells)
    assert parts["kl_w"].item() == 0
    parts["loss"].backward()
    assert model.last_component_layer.bias.grad.abs().min() > 0
    assert model.encode(cells.seen).w_mean.shape == (N, 0)
    first, second = model.generate(2).x.split(K)
    assert torch.equal(first, second)


def test_parameters_of_gaussians_stay_within_their_bounds(cells):
    model = build("cgmvae", w_prior="learned")
    cells = with_conditions(cells)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(100)
    q = model.posterior(1e4 * cells.seen, cells.condition)
    gaussians = [
        q[:2],
        q[2:4],
        model.components(q.w_mean, cells.condition),
        model.w_prior(q.w_mean, cells.condition),
    ]
    for mean, log_var in gaussians:
        for values, (low, high) in ((mean, MEAN_BOUNDS), (log_var, LOG_VAR_BOUNDS)):
            assert low - 1e-3 <= values.min() <= values.max() <= high
    unbounded = build(bounded=False)
    assert unbounded.posterior(1e4 * cells.seen, None).z_mean.abs().max() > 5


@pytest.mark.parametrize(("low", "high"), [MEAN_BOUNDS, LOG_VAR_BOUNDS])
def test_the_soft_clip_is_inverted_within_its_range(low, high):
    values = torch.linspace(low + 0.01, high - 0.01, 50)
    torch.testing.assert_close(
        soft_clip(inverse_soft_clip(values, low, high), low, high), values, atol=1e-4, rtol=0
    )
    outside = inverse_soft_clip(torch.tensor([low - 1, high + 1]), low, high)
    assert torch.isfinite(outside).all()


@every_dirichlet
@pytest.mark.parametrize("bounded", [True, False])
def test_gradients_are_finite_whatever_comes(cells, dirichlet, bounded):
    model = build(
        dirichlet=dirichlet, bounded=bounded, n_components=200, alpha=0.01, adversarial_weight=1
    )
    extremes = {
        "empty": torch.zeros(N, G),
        "huge": 1e4 * cells.x,
        "one cell": cells.x[:1],
        "one empty cell": torch.zeros(1, G),
    }
    for crisp in (0, -60, 60):
        if dirichlet == "network":
            set_outputs(model.concentration_net, torch.full((200,), float(crisp)))
        for kind, x in extremes.items():
            for name in ("loss", "supervised_loss", "pretraining_loss"):
                model.zero_grad()
                parts = getattr(model, name)(Batch(x, x, label=cells.label[: len(x)]))
                parts["loss"].backward()
                assert all(torch.isfinite(part) for part in parts.values()), (kind, name, parts)
                gradients = {n: w.grad for n, w in model.named_parameters() if w.grad is not None}
                assert [
                    n for n, gradient in gradients.items() if not torch.isfinite(gradient).all()
                ] == [], (kind, name)


# ---- labels


def test_a_label_picks_its_component(cells):
    model, picked = build(), 2
    cells = cells._replace(label=torch.full((N,), picked))
    parts = parts_of(model, cells, "supervised_loss")
    parts["kl_z"].backward()
    of_component = model.last_component_layer.bias.grad.unflatten(0, (K, -1)).abs().sum(1)
    assert (of_component > 0).tolist() == [k == picked for k in range(K)]
    torch.manual_seed(2)
    q, _, log_q = log_q_of(model, cells)
    w = q.w_mean + (q.w_log_var / 2).exp() * torch.randn_like(q.w_mean)
    mean, log_var = (parameter[:, picked] for parameter in model.components(w, None))
    kl_z = (
        kl_divergence(Normal(q.z_mean, (q.z_log_var / 2).exp()), Normal(mean, (log_var / 2).exp()))
        .sum(-1)
        .mean()
    )
    torch.testing.assert_close(parts["kl_z"], kl_z)
    torch.testing.assert_close(parts["cross_entropy"], -log_q[:, picked].mean())


@every_dirichlet
def test_labels_teach_the_classifier_and_what_the_prior_can_learn(cells, dirichlet):
    model = build(dirichlet=dirichlet, n_components=K + 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    history = []
    for _ in range(300):
        history.append(model.supervised_loss(cells))
        optimizer.zero_grad()
        history[-1]["loss"].backward()
        optimizer.step()
    assert history[-1]["cross_entropy"] < 0.7 * history[0]["cross_entropy"]
    assert (model.encode(cells.seen).responsibilities.argmax(1) == cells.label).float().mean() > 0.8
    assert ("kl_y" in history[0]) == (dirichlet in ("network", "global"))
    if dirichlet == "global":
        shares = model.share_logits.detach().softmax(-1)
        assert shares[K] < 0.05
        torch.testing.assert_close(shares[:K], torch.full((K,), 1 / K), atol=0.02, rtol=0)
    if dirichlet == "network":
        assert history[-1]["kl_y"] < history[0]["kl_y"]


@pytest.mark.parametrize(
    ("n_components", "least_at"), [(7, 0.62), (10, 0.53), (12, 0.48), (17, 0.40)]
)
def test_the_relaxed_cost_is_least_far_from_certainty(n_components, least_at):
    shares = torch.linspace(0.05, 0.95, 91, dtype=torch.float64)[:, None]
    label = torch.eye(n_components, dtype=torch.float64)[:1]
    others = ((1 - shares) / (n_components - 1)).expand(-1, n_components - 1)
    log_p = torch.cat([shares, others], dim=1).log()
    for relaxed, expected in ((True, least_at), (False, 0.95)):
        model = build(n_components=n_components, relaxed=relaxed)
        costs = [model.cost_of_label(row[None], label).item() for row in log_p]
        assert shares[np.argmin(costs)].item() == pytest.approx(expected, abs=0.011)


# ---- the virtual adversarial term


def test_the_adversarial_change_moves_the_classes_more_than_a_random_one_of_its_length(cells):
    model = build(adversarial_weight=1, adversarial_radius=0.5)
    with torch.no_grad():
        torch.manual_seed(3)
        adversarial = model.adversarial(cells)
        torch.manual_seed(3)
        assert torch.equal(model.adversarial(cells), adversarial)
        random = []
        for _ in range(50):
            change = 0.5 * nn.functional.normalize(torch.randn(N, G))
            log_q, moved = (
                model.log_responsibilities(seen, None) for seen in (cells.seen, cells.seen + change)
            )
            random.append(kl_categorical(log_q, moved).mean())
    assert adversarial > 2 * sum(random) / len(random) > 0


def test_in_training_the_adversarial_term_is_that_of_the_batch_and_leaves_no_trace(cells):
    model = build(
        adversarial_weight=1, adversarial_radius=0.5, batch_norm=True, dropout=0.5
    ).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    costs = []
    for _ in range(2):
        torch.manual_seed(3)
        costs.append(model.adversarial(cells))
    assert torch.equal(*costs)  # no unit is dropped
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.fill_(100)
    torch.manual_seed(3)
    assert torch.equal(model.adversarial(cells), costs[0])
    torch.manual_seed(3)
    assert not torch.equal(model.eval().adversarial(cells), costs[0])


def test_no_adversarial_change_costs_nothing_and_a_larger_one_more(cells):
    costs = [
        build(adversarial_weight=1, adversarial_radius=radius).adversarial(cells).item()
        for radius in (0, 0.5, 2)
    ]
    assert costs[0] == 0
    assert costs[0] < costs[1] < costs[2]


# ---- pre-training and the placing of components


def test_pretraining_is_a_vae_and_leaves_w_and_the_components_alone(cells):
    model = build()
    parts = parts_of(model, cells, "pretraining_loss")
    parts["loss"].backward()
    torch.manual_seed(2)
    q, z, _ = log_q_of(model, cells)
    reconstruction = (cells.x - model.decode(z)).square().sum(-1).mean()
    torch.testing.assert_close(
        parts["loss"], reconstruction + kl_standard_normal(q.z_mean, q.z_log_var).mean()
    )
    untouched = [*model.component_net.parameters(), *model.classifier.parameters()]
    assert all(weight.grad is None for weight in untouched)
    of_output = model.posterior_head[0].weight.grad.abs().sum(1)
    assert ((of_output > 0).tolist()) == 2 * ([True] * L + [False] * W)


def clustered(family, **changes):
    """A model whose mean latents are the first L genes, and cells in K clusters far apart there."""
    model = build(family, encoder_hidden=[], **changes)
    n_latents = L + model.hp.w_dim
    set_outputs(model.posterior_head, torch.zeros(2 * n_latents))
    with torch.no_grad():
        model.posterior_head[0].weight[:L, :L] = torch.eye(L)
        model.posterior_head[0].bias[n_latents:] = -4
    cluster = torch.arange(400) % K
    centres = torch.tensor([[2.0, 2, 0], [-2, 2, 0], [-2, -2, 0], [2, -2, 0]])
    torch.manual_seed(5)
    x = torch.cat([centres[cluster] + 0.2 * torch.randn(400, L), torch.randn(400, G - L)], dim=1)
    return (
        model,
        Batch(x, x, torch.eye(C)[torch.arange(400) // K % C] if model.n_conditions else None),
        cluster,
    )


@pytest.mark.parametrize("family", ["gmvae", "cgmvae"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"classifier_hidden": []},
        {"classifier": "x"},
        {"batch_norm": True},
        {"w_dim": 0},
        {"bounded": False},
    ],
    ids=lambda changes: "-".join(f"{k}={v}" for k, v in changes.items()) or "default",
)
def test_components_are_placed_where_the_clusters_are(family, changes):
    model, cells, cluster = clustered(family, **changes)
    model.train()
    means = model.encode(cells.seen, cells.condition).mean.detach()
    model.place_components(cells.seen, means, cells.condition)
    assert model.training
    assert (
        adjusted_rand_score(
            cluster, model.encode(cells.seen, cells.condition).responsibilities.argmax(1)
        )
        == 1
    )
    model.eval()
    latents = model.encode(cells.seen, cells.condition)
    component = latents.responsibilities.argmax(1)
    assert adjusted_rand_score(cluster, component) == 1
    assert latents.responsibilities.amax(1).mean() > 0.95
    mean, log_var = model.components(latents.w_sample, cells.condition)
    q = model.posterior(cells.seen, cells.condition)
    for k in range(K):
        inside = component == k
        variance = means[inside].var(0, correction=0) + q.z_log_var[inside].exp().mean(0)
        torch.testing.assert_close(
            mean[inside, k].mean(0), means[inside].mean(0), atol=0.15, rtol=0
        )
        torch.testing.assert_close(log_var[inside, k].mean(0), variance.log(), atol=0.2, rtol=0)
    stand_still = family == "gmvae" and "w_dim" in changes
    assert stand_still == (mean.std(0).max().item() < 1e-3)


def test_components_are_placed_alike_by_equal_seeds_and_not_by_too_few_cells():
    weights = []
    for _ in range(2):
        model, cells, _ = clustered("gmvae")
        model.place_components(cells.seen, cells.seen[:, :L])
        weights.append(model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    with pytest.raises(TrainingError, match="4 components cannot be placed by 3 cells"):
        model.place_components(cells.seen[:3], cells.seen[:3, :L])


# ---- conditions


@pytest.mark.parametrize(("concatenation", "inner"), [("C", False), ("C2", True)])
def test_encoder_and_decoder_see_the_condition_and_with_c2_components_and_classifier_too(
    cells, concatenation, inner
):
    model = build("cgmvae", concatenation=concatenation)
    one, other = torch.eye(C)[:, None].expand(-1, N, -1)
    z, w = torch.randn(N, L), torch.randn(N, W)
    changed = {
        "encoder": [model.posterior(cells.seen, c).z_mean for c in (one, other)],
        "decoder": [model.decode(z, c) for c in (one, other)],
        "components": [model.components(w, c)[0] for c in (one, other)],
        "classifier": [model.classifier(model.classified(z, z, c)) for c in (one, other)],
    }
    assert {name for name, pair in changed.items() if not torch.equal(*pair)} == (
        set(changed) if inner else {"encoder", "decoder"}
    )


@pytest.mark.parametrize("w_prior", ["learned", "fixed"])
def test_w_is_pulled_to_its_prior(cells, w_prior):
    model, cells = build("cgmvae", w_prior=w_prior), with_conditions(cells)
    q = model.posterior(cells.seen, cells.condition)
    prior = Normal(torch.zeros(W), torch.ones(W))
    if w_prior == "learned":
        of_cell = cells.condition.argmax(1)
        mean, log_var = (
            soft_clip(model.w_prior_mean[of_cell], -5, 5),
            soft_clip(model.w_prior_log_var[of_cell], -9, 1),
        )
        prior = Normal(mean, (log_var / 2).exp())
    expected = kl_divergence(Normal(q.w_mean, (q.w_log_var / 2).exp()), prior).sum(-1).mean()
    torch.testing.assert_close(model.loss(cells)["kl_w"], expected)


def flipped(model, seen, condition, to, component, path, sample=False):
    """Flip cells that are taken to be in given components."""
    latents = model.encode(seen, condition)
    return model.flip_in_component(latents, component, condition, to, path, sample)


@pytest.mark.parametrize("concatenation", ["C", "C2"])
def test_flips_decode_the_latents_of_their_paths(cells, concatenation):
    model, cells = build("cgmvae", concatenation=concatenation).eval(), with_conditions(cells)
    seen, condition = cells.seen, cells.condition
    to, label = condition.flip(1), cells.label
    q = model.encode(seen, condition)
    rows = torch.arange(N)

    def component(c, label):
        return model.components(q.w_mean, c)[0][rows, label]

    torch.testing.assert_close(
        flipped(model, seen, condition, to, label, "w"), model.decode(component(to, label), to)
    )
    likeliest = q.responsibilities.argmax(1)
    torch.testing.assert_close(
        model.flip(seen, condition, to), model.decode(component(to, likeliest), to)
    )
    torch.testing.assert_close(model.flip(seen, condition, to, path="z"), model.decode(q.mean, to))
    torch.testing.assert_close(
        model.flip(seen, condition, condition, path="z"), model.decode(q.mean, condition)
    )
    torch.testing.assert_close(
        flipped(model, seen, condition, condition, label, "z_shift"),
        model.decode(q.mean, condition),
    )
    shift = component(to, label) - component(condition, label)
    torch.testing.assert_close(
        flipped(model, seen, condition, to, label, "z_shift"), model.decode(q.mean + shift, to)
    )
    assert shift.any() == (concatenation == "C2")


def test_sampled_flips_scatter_around_the_flip_by_means():
    model = build("cgmvae", decoder_hidden=[]).eval()
    n = 20_000
    seen, condition, label = torch.ones(n, G), torch.eye(C)[:1].expand(n, C), torch.full((n,), 1)
    weight = model.likelihood.linear.weight[:, :L]
    log_var = model.components(model.encode(seen[:1], condition[:1]).w_mean, condition[:1].flip(1))[
        1
    ][0, 1]
    of_component, of_likelihood = (weight.square() * log_var.exp()).sum(1), torch.full((G,), 0.5)
    means = flipped(model, seen, condition, condition.flip(1), label, "w")
    for path, sample, variance in [
        ("sample", False, of_component),
        ("w", True, of_likelihood),
        ("sample", True, of_component + of_likelihood),
    ]:
        drawn = flipped(model, seen, condition, condition.flip(1), label, path, sample)
        torch.testing.assert_close(drawn.mean(0), means[0], atol=0.05, rtol=0)
        torch.testing.assert_close(drawn.var(0), variance, rtol=0.1, atol=0)


@pytest.mark.parametrize(
    ("family", "w_prior"), [("gmvae", None), ("cgmvae", "fixed"), ("cgmvae", "learned")]
)
def test_cells_are_generated_for_each_draw_of_w_component_and_condition_in_this_order(
    family, w_prior
):
    model = build(family, **({"w_prior": w_prior} if w_prior else {})).eval()
    n_draws, n_conditions = 3, max(model.n_conditions, 1)
    torch.manual_seed(4)
    drawn = model.generate(n_draws)
    torch.manual_seed(4)
    noise = torch.randn(n_draws, W)
    x = drawn.x.unflatten(0, (n_draws, K, n_conditions))
    for c in range(n_conditions):
        condition = torch.eye(C)[c].expand(n_draws, C) if family == "cgmvae" else None
        mean, log_var = model.w_prior(noise, condition)
        components, _ = model.components(mean + (log_var / 2).exp() * noise, condition)
        for k in range(K):
            torch.testing.assert_close(x[:, k, c], model.decode(components[:, k], condition))
    assert drawn.component.tolist() == [
        k for _ in range(n_draws) for k in range(K) for _ in range(n_conditions)
    ]
    if family == "cgmvae":
        assert drawn.condition.tolist() == list(range(C)) * n_draws * K
    else:
        assert drawn.condition is None
    torch.manual_seed(4)
    sampled = model.generate(n_draws, sample=True)
    assert sampled.x.shape == drawn.x.shape
    assert not torch.equal(sampled.x, drawn.x)
    assert torch.equal(sampled.component, drawn.component)


# ---- data with known answers

TOY = {
    "latent_dim": 2,
    "w_dim": 2,
    "n_components": 5,
    "encoder_hidden": [64],
    "decoder_hidden": [64],
}


def fit(model, cells, objective, epochs, learning_rate=5e-3, batch_size=256):
    """Minimise a loss of the model by Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    for _ in range(epochs):
        for rows in torch.randperm(len(cells.x)).split(batch_size):
            optimizer.zero_grad()
            getattr(model, objective)(
                Batch(cells.x[rows], cells.seen[rows], cells.condition[rows])
            )["loss"].backward()
            optimizer.step()


def toy(seed):
    """Blobs with standardised genes, and their classes and conditions as numbers."""
    blobs = make_blobs(seed=seed)
    x = torch.from_numpy(scale(blobs.X.toarray().astype(np.float64))).float()
    cell_type, condition = (
        blobs.obs[label].astype("category").cat.codes.to_numpy().copy()
        for label in ("cell_type", "condition")
    )
    return Batch(x, x, torch.eye(2)[torch.from_numpy(condition).long()]), cell_type, condition


def majority_accuracy(component, cell_type):
    table = np.zeros((component.max() + 1, cell_type.max() + 1))
    np.add.at(table, (component, cell_type), 1)
    return table.max(1).sum() / len(cell_type)


def predictability(latent, condition):
    """Area under the ROC curve, on one half of the cells, of a logistic regression trained on the
    other half.
    """
    half = np.random.default_rng(0).permutation(len(latent)) < len(latent) // 2
    regression = make_pipeline(StandardScaler(), LogisticRegression()).fit(
        latent[half], condition[half]
    )
    return roc_auc_score(condition[~half], regression.decision_function(latent[~half]))


def flip_error(model, cells, cell_type, condition, path):
    """Largest distance of a class's flipped control from its treated cells, of means, as a share of
    the effect.
    """
    control = condition == 0
    flipped = model.flip(
        cells.seen[control], cells.condition[control], cells.condition[control].flip(1), path=path
    )
    errors = []
    for k in np.unique(cell_type):
        treated, untreated = (cells.x[(cell_type == k) & (condition == c)].mean(0) for c in (1, 0))
        errors.append(
            (
                (flipped[cell_type[control] == k].mean(0) - treated).norm()
                / (treated - untreated).norm()
            ).item()
        )
    return max(errors)


@pytest.mark.parametrize(("w_prior", "parted"), [("learned", True), ("fixed", False)])
def test_classes_of_blobs_are_found_without_labels_and_conditions_part_in_w_only_by_a_learned_prior(
    w_prior, parted
):
    accuracies, predictabilities, errors = [], [], []
    for seed in range(10):
        cells, cell_type, condition = toy(seed)
        torch.manual_seed(seed)
        hyperparameters = hyperparameters_class("cgmvae")(**TOY, w_prior=w_prior)
        model = load_family("cgmvae")(cells.x.shape[1], cells.x.shape[1], 2, hyperparameters)
        fit(model, cells, "pretraining_loss", epochs=15)
        with torch.no_grad():
            model.place_components(
                cells.seen, model.encode(cells.seen, cells.condition).mean, cells.condition
            )
        fit(model, cells, "loss", epochs=15)
        model.eval()
        with torch.no_grad():
            latents = model.encode(cells.seen, cells.condition)
        accuracies.append(majority_accuracy(latents.responsibilities.argmax(1).numpy(), cell_type))
        predictabilities.append(predictability(latents.w_mean.numpy(), condition))
        errors += [
            flip_error(model, cells, cell_type, condition, path)
            for path in ("w", "z", "z_shift", "sample")
        ]
    assert accuracies == [1.0] * 10
    assert min(predictabilities) > 0.95 if parted else max(predictabilities) < 0.65, (
        predictabilities
    )
    assert max(errors) < 0.25
