import math

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.decomposition import PCA

from sclatent.distributions import kl_spike_and_slab, kl_standard_normal
from sclatent.errors import TrainingError, UserError
from sclatent.latents import encode
from sclatent.likelihoods import squared_error
from sclatent.models import family_names, hyperparameters_class, load_family
from sclatent.training import or_reason, train
from sclatent.values import Values

N, G = 60, 20


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(N, 3) @ torch.randn(3, G) + 0.1 * torch.randn(N, G)


def build(family, **hyperparameters):
    torch.manual_seed(1)
    return load_family(family)(G, hyperparameters_class(family)(**hyperparameters))


def test_kl_to_standard_normal_is_that_of_torch():
    mean, log_var = torch.randn(5, 4), torch.randn(5, 4)
    posterior = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(kl_standard_normal(mean, log_var), expected)


@pytest.mark.parametrize(("alpha", "expected"), [(0.5, 0.221827), (0.01, 0.457754)])
def test_spike_and_slab_kl_has_its_known_values(alpha, expected):
    one = torch.ones(1, 1, dtype=torch.float64)
    slab, spike = kl_spike_and_slab(0.5 * one, -0.3 * one, math.log(0.2) * one, alpha)
    assert (slab + spike).item() == pytest.approx(expected, abs=1e-6)


def test_spike_and_slab_kl_becomes_that_of_the_vae_when_every_dimension_is_on():
    mean, log_var = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    slab, spike = kl_spike_and_slab(mean, log_var, torch.zeros_like(mean), 1 - 1e-9)
    torch.testing.assert_close(slab, kl_standard_normal(mean, log_var))
    torch.testing.assert_close(spike, torch.zeros(5, dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("gamma", "expected"), [(0.05, 0.0516), (0.5, 0.5), (0.95, 0.9484), (1.0, 0.9861)])
def test_vsc_mask_has_its_known_mean(x, gamma, expected):
    model = build("vsc", latent_dim=2)
    ones = torch.ones(1, 2)
    posterior = (ones, -100 * ones, math.log(gamma) * ones)
    model.posterior = lambda _: posterior
    assert model.encode(x).mean[0, 0].item() == pytest.approx(expected, abs=5e-5)
    torch.manual_seed(0)
    draws = model.draw(*(part.expand(200_000, 2) for part in posterior))
    assert draws.mean().item() == pytest.approx(expected, abs=3e-3)


def test_pca_is_that_of_scikit_learn_up_to_signs(x):
    model = build("pca", latent_dim=3)
    model.fit(x)
    reference = PCA(3, svd_solver="full").fit(x.numpy())
    np.testing.assert_allclose(np.abs(model.encode(x).mean.numpy()), np.abs(reference.transform(x.numpy())), atol=1e-4)
    np.testing.assert_allclose(
        model.loss(x)["loss"].item(),
        np.square(x.numpy() - reference.inverse_transform(reference.transform(x.numpy()))).sum(1).mean(),
        rtol=1e-4,
    )


@pytest.mark.parametrize("family", family_names())
def test_every_family_keeps_the_interface(family, x):
    model = build(family, latent_dim=4)
    train(model, x, epochs=2, batch_size=32, learning_rate=1e-3)
    parts = model.loss(x)
    assert all(part.shape == () and torch.isfinite(part) for part in parts.values())
    assert "loss" in parts
    mean, sample = model.encode(x)
    assert mean.shape == sample.shape == (N, 4)
    assert model.stochastic == (not torch.equal(mean, sample))
    assert model.decode(mean).shape == (N, G)
    if model.stochastic:
        assert model.generate(7).shape == (7, G)


@pytest.mark.parametrize("family", [name for name in family_names() if not load_family(name).closed_form])
def test_training_lowers_the_loss_and_repeats_exactly(family, x):
    histories, weights = [], []
    for _ in range(2):
        model = build(family, latent_dim=3)
        histories.append(train(model, x, epochs=60, batch_size=16, learning_rate=3e-3))
        weights.append(model.state_dict())
    losses = [entry["value"] for entry in histories[0] if entry["part"] == "loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert histories[0] == histories[1]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("ae", {"encoder_hidden": [7]}),
        ("ae", {"decoder_hidden": [7]}),
        ("ae", {"linear_first": False}),
        ("ae", {"latent_relu": False}),
        ("ae", {"latent_dim": 2}),
        ("vae", {"beta": 0.5}),
        ("vae", {"head_hidden": []}),
        ("vsc", {"beta": 0.5}),
        ("vsc", {"alpha": 0.1}),
        ("vsc", {"sharpness": 5}),
    ],
)
def test_every_hyperparameter_changes_the_loss(family, change, x):
    losses = []
    for hyperparameters in ({}, change):
        model = build(family, **hyperparameters)
        torch.manual_seed(2)
        losses.append(model.loss(x)["loss"].item())
    assert losses[0] != losses[1]


def test_layers_are_those_of_the_paper():
    ae = build("ae", latent_dim=6)
    shapes = [tuple(p.shape) for name, p in ae.named_parameters() if name.endswith("weight")]
    assert shapes == [(128, G), (32, 128), (16, 32), (6, 16), (16, 6), (32, 16), (128, 32), (G, 128)]
    assert [type(layer).__name__ for layer in ae.encoder] == ["Linear", "Linear", "ReLU", "Linear", "ReLU", "Linear"]
    vsc = build("vsc", latent_dim=6)
    assert [tuple(p.shape) for p in vsc.trunk.parameters()] == [(128, G), (128,), (32, 128), (32,)]
    for head in (vsc.mean_head, vsc.log_var_head, vsc.spike_head):
        assert [tuple(p.shape) for p in head.parameters() if p.ndim == 2] == [(16, 32), (6, 16)]


def test_loss_of_the_vae_is_reconstruction_plus_beta_kl(x):
    model = build("vae", latent_dim=3, beta=2)
    torch.manual_seed(5)
    parts = model.loss(x)
    assert parts["loss"].item() == pytest.approx((parts["reconstruction"] + 2 * parts["kl"]).item())
    torch.manual_seed(5)
    mean, log_var = model.posterior(x)
    z = mean + (log_var / 2).exp() * torch.randn_like(mean)
    assert parts["reconstruction"].item() == pytest.approx(squared_error(x, model.decode(z)).mean().item())


def test_a_loss_that_is_not_finite_stops_training_and_says_where(x):
    x[40] = torch.nan
    with pytest.raises(TrainingError, match=r"loss part 'loss' is nan in epoch 1, step \d"):
        train(build("ae"), x, epochs=3, batch_size=16, learning_rate=1e-3)


def test_a_model_that_raises_is_a_failed_run_with_its_reason():
    def step():
        raise ValueError("two\nlines")

    assert or_reason(lambda: 3) == (3, "")
    assert or_reason(step) == (None, "ValueError: two lines")
    _, reason = or_reason(lambda: build("pca", latent_dim=20).fit(torch.randn(N, G)))
    assert reason == "latent_dim is 20 but must be below 20 for data of (60, 20)"


@pytest.mark.parametrize("error", [UserError, MemoryError, OSError, ImportError])
def test_what_is_not_the_model_s_fault_fails_the_job(error):
    def step():
        raise error

    with pytest.raises(error):
        or_reason(step)


def unscaled(x):
    """Values of cells as a file without scaling holds them."""
    return Values(sparse.csr_matrix(x), np.arange(len(x)), np.ones(len(x), dtype=bool), None, None, np.inf)


def test_a_model_that_maps_all_cells_to_one_point_has_failed(x):
    model = build("ae")
    with torch.no_grad():
        model.encoder[-1].weight.zero_()
    with pytest.raises(TrainingError, match="collapsed"):
        encode(model, unscaled(x.numpy()))


def test_encoding_says_when_a_latent_is_not_finite(x):
    model = build("ae")
    with torch.no_grad():
        model.encoder[-1].bias.fill_(torch.inf)
    with pytest.raises(TrainingError, match="the mean latent of 60 cells is not finite"):
        encode(model, unscaled(x.numpy()))
