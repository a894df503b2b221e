import math

import pytest
import torch
from scipy.optimize import brentq
from torch.distributions import Categorical, Dirichlet, Normal, kl_divergence
from torch.nn.functional import log_softmax, logsigmoid, softplus

from sclatent.nn.divergences import (
    collapsed_dirichlet,
    draw_normal,
    kl_categorical,
    kl_dirichlet,
    kl_normal,
    kl_spike_and_slab,
    kl_standard_normal,
)
from sclatent.nn.layers import soft_clip

DRAWS = 200_000


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def normals(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def assert_mean(draws, expected):
    """The mean of draws (N, ...) is the expected one up to 5 standard errors."""
    error = draws.std(0) / math.sqrt(len(draws))
    assert ((draws.mean(0) - expected).abs() < 5 * error).all()


def spike_neg_relu(a):
    """log gamma and log(1 - gamma) of the report's spike, whose gamma reaches 1: bounded as a model
    does it.
    """
    log_gamma = -(-a).relu()
    return log_gamma, (-torch.expm1(log_gamma)).clamp_min(1e-6).log()


def spike_logit(a):
    return -softplus(-a), -softplus(a)


@pytest.mark.parametrize(
    ("low", "high", "v", "expected"),
    [
        (-5, 5, [-50, -2, 0, 2, 5, 50], [-5.0, -1.9524, 0, 1.9523, 4.3069, 5.0]),
        (-9, 1, [0, 1, -5, -9], [-0.3132, 0.3069, -4.9844, -8.3069]),
    ],
)
def test_soft_clip_has_its_known_values(low, high, v, expected):
    torch.testing.assert_close(soft_clip(f64(*v), low, high), f64(*expected), atol=1e-4, rtol=0)


def test_soft_clip_is_monotone_and_stays_in_its_range():
    clipped = soft_clip(torch.linspace(-60, 60, 2001, dtype=torch.float64), -5, 5)
    assert (clipped.diff() >= 0).all()
    assert clipped.min() > -5.0001
    assert clipped.max() <= 5


def test_a_draw_has_its_mean_and_variance_and_carries_gradients():
    mean, log_var = f64(1.5, -2.0), f64(0.7, -3.0).requires_grad_()
    draws = draw_normal(mean.expand(DRAWS, 2), log_var.expand(DRAWS, 2))
    assert_mean(draws.detach(), mean)
    assert_mean((draws.detach() - mean).square(), log_var.exp())
    (draws - mean).square().mean(0).sum().backward()
    torch.testing.assert_close(
        log_var.grad, log_var.detach().exp(), rtol=0.02, atol=0
    )  # as E[(z - mean)^2] is the variance


def test_kl_to_standard_normal_is_that_of_torch():
    mean, log_var = normals(5, 4), normals(5, 4)
    expected = kl_divergence(Normal(mean, (0.5 * log_var).exp()), Normal(f64(0.0), f64(1.0))).sum(
        -1
    )
    torch.testing.assert_close(kl_standard_normal(mean, log_var), expected)
    torch.testing.assert_close(kl_normal(mean, log_var, f64(0.0), f64(0.0)), expected)


def test_kl_of_normals_has_its_known_value():
    assert kl_normal(f64(0.5), f64(-0.3), f64(1.0), f64(0.2)).item() == pytest.approx(
        0.155607, abs=1e-6
    )


def test_kl_of_normals_broadcasts_over_components():
    mean, log_var, means, log_vars = (
        normals(6, 4),
        normals(6, 4),
        normals(6, 3, 4),
        normals(6, 3, 4),
    )
    kl = kl_normal(mean.unsqueeze(1), log_var.unsqueeze(1), means, log_vars)
    assert kl.shape == (6, 3)
    for k in range(3):
        component = Normal(means[:, k], (0.5 * log_vars[:, k]).exp())
        torch.testing.assert_close(
            kl[:, k], kl_divergence(Normal(mean, (0.5 * log_var).exp()), component).sum(-1)
        )


def test_kl_of_normals_is_that_of_its_samples():
    mean1, log_var1, mean2, log_var2 = normals(3), normals(3), normals(3), normals(3)
    q, p = Normal(mean1, (0.5 * log_var1).exp()), Normal(mean2, (0.5 * log_var2).exp())
    z = q.sample((DRAWS,))
    assert_mean(
        (q.log_prob(z) - p.log_prob(z)).sum(-1), kl_normal(mean1, log_var1, mean2, log_var2)
    )


def test_kl_of_nearly_equal_normals_keeps_its_digits_in_float32():
    mean, log_var = torch.full((1,), 1e-4), torch.full((1,), 1e-4)
    exact = kl_standard_normal(mean.double(), log_var.double()).item()
    assert kl_standard_normal(mean, log_var).item() == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(("alpha", "expected"), [(0.5, 0.221827), (0.01, 0.457754)])
@pytest.mark.parametrize("spike", [spike_neg_relu, spike_logit])
def test_spike_and_slab_kl_has_its_known_values(spike, alpha, expected):
    a = f64(math.log(0.2)) if spike is spike_neg_relu else torch.logit(f64(0.2))
    slab, spike = kl_spike_and_slab(f64(0.5), f64(-0.3), *spike(a), alpha)
    assert (slab + spike).item() == pytest.approx(expected, abs=1e-6)


def test_spike_and_slab_kl_is_that_of_its_samples():
    mean, log_var, gamma, alpha = normals(3), normals(3), f64(0.1, 0.5, 0.8), 0.3
    q = Normal(mean, (0.5 * log_var).exp())
    z = q.sample((DRAWS,))
    on = torch.rand(DRAWS, 3, dtype=torch.float64) < gamma
    # both have the same atom at 0 and a density elsewhere: the ratio is of probabilities on it and
    # of densities off it
    log_ratio_on = (
        gamma.log() + q.log_prob(z) - math.log(alpha) - Normal(f64(0.0), f64(1.0)).log_prob(z)
    )
    log_ratio = torch.where(on, log_ratio_on, (1 - gamma).log() - math.log(1 - alpha))
    slab, spike = kl_spike_and_slab(mean, log_var, gamma.log(), (1 - gamma).log(), alpha)
    assert_mean(log_ratio.sum(-1), slab + spike)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spike", [spike_neg_relu, spike_logit])
def test_spike_and_slab_kl_is_exact_and_has_finite_gradients_where_the_spike_saturates(
    spike, dtype
):
    a = torch.tensor(
        [[-1e4], [-80.0], [-1e-3], [0.0], [1e-7], [30.0], [1e4]], dtype=dtype, requires_grad=True
    )
    mean, log_var = torch.full_like(a, 0.7), torch.full_like(a, -0.4)
    slab, spike_part = kl_spike_and_slab(mean, log_var, *spike(a), 0.2)
    (slab + spike_part).sum().backward()
    assert torch.isfinite(a.grad).all()
    full = kl_standard_normal(mean, log_var)[0].item()
    assert slab[0].item() == 0
    assert spike_part[0].item() == pytest.approx(-math.log(0.8), rel=1e-6)
    assert slab[-1].item() == pytest.approx(full, rel=1e-6)
    assert spike_part[-1].item() == pytest.approx(-math.log(0.2), rel=1e-6)


def test_spike_and_slab_kl_becomes_that_of_the_vae_when_every_dimension_is_on():
    mean, log_var = normals(5, 4), normals(5, 4)
    slab, spike = kl_spike_and_slab(mean, log_var, *spike_neg_relu(torch.ones_like(mean)), 1 - 1e-9)
    torch.testing.assert_close(slab, kl_standard_normal(mean, log_var))
    torch.testing.assert_close(spike, torch.zeros(5, dtype=torch.float64), atol=1e-8, rtol=0)


def test_kl_of_categoricals_is_that_of_torch_and_of_its_samples():
    log_q, log_p = log_softmax(normals(5, 7), -1), log_softmax(normals(5, 7), -1)
    kl = kl_categorical(log_q, log_p)
    torch.testing.assert_close(
        kl, kl_divergence(Categorical(logits=log_q), Categorical(logits=log_p))
    )
    y = Categorical(logits=log_q[0]).sample((DRAWS,))
    assert_mean((log_q[0] - log_p[0])[y], kl[0])


def test_kl_of_dirichlets_is_that_of_torch_and_of_its_samples():
    a, b = normals(5, 4).exp(), normals(4).exp()
    kl = kl_dirichlet(a, b)
    torch.testing.assert_close(kl, kl_divergence(Dirichlet(a), Dirichlet(b.expand(5, 4))))
    q, p = Dirichlet(a[0] + 0.5), Dirichlet(b + 0.5)
    d = q.sample((DRAWS,))
    assert_mean(q.log_prob(d) - p.log_prob(d), kl_dirichlet(a[0] + 0.5, b + 0.5))


def test_kl_of_dirichlets_has_its_known_value():
    assert kl_dirichlet(f64(1.9, 0.5, 0.6), f64(1, 1, 1)).item() == pytest.approx(
        0.986954, abs=1e-6
    )


def one_hot(k):
    return log_softmax(torch.nn.functional.one_hot(torch.tensor(0), k) * f64(1000.0), -1)


def uniform(k):
    return torch.full((k,), -math.log(k), dtype=torch.float64)


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0, 50.0])
@pytest.mark.parametrize("k", [2, 10, 28])
def test_collapsed_dirichlet_of_a_certain_component_is_log_k(k, alpha):
    assert collapsed_dirichlet(one_hot(k), alpha).item() == pytest.approx(math.log(k), abs=1e-12)


@pytest.mark.parametrize(
    ("k", "alpha", "expected"),
    [
        (10, 1, 0.4987),
        (10, 0.5, 1.048),
        (10, 0.2, 2.673),
        (10, 0.1, 4.984),
        (7, 1, 0.467),
        (7, 0.5, 0.965),
        (28, 1, 0.548),
    ],
)
def test_collapsed_dirichlet_of_a_uniform_posterior_has_its_known_values(k, alpha, expected):
    assert collapsed_dirichlet(uniform(k), alpha).item() == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(
    ("k", "expected"),
    [(5, 0.260), (7, 0.247), (10, 0.233), (14, 0.220), (20, 0.207), (21, 0.206), (28, 0.196)],
)
def test_the_alpha_at_which_certainty_and_uniformity_cost_the_same_is_known(k, expected):
    alpha = brentq(
        lambda alpha: collapsed_dirichlet(uniform(k), alpha).item() - math.log(k), 0.05, 1
    )
    assert alpha == pytest.approx(expected, abs=6e-4)


def both_divergences(log_q, g, alpha):
    """E KL(q || d) under d ~ Dirichlet(g), and KL(Dirichlet(g) || Dirichlet(alpha))."""
    expected_log_d = torch.digamma(g) - torch.digamma(g.sum(-1, keepdim=True))
    return kl_categorical(log_q, expected_log_d), kl_dirichlet(g, f64(alpha))


def test_the_two_divergences_of_a_certain_component_are_known():
    g = f64(2, *[1] * 9)
    kl_y, kl_d = both_divergences(one_hot(10), g, 1.0)
    assert kl_d.item() == pytest.approx(0.373617, abs=1e-6)
    assert kl_y.item() == pytest.approx(1.928968, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.05, 0.3, 1.0, 4.0])
def test_collapsed_dirichlet_is_the_least_of_both_divergences_together(alpha):
    log_q = log_softmax(2 * normals(50, 9), -1)
    best = alpha + log_q.exp()
    collapsed = collapsed_dirichlet(log_q, alpha)
    torch.testing.assert_close(
        sum(both_divergences(log_q, best, alpha)), collapsed, atol=1e-12, rtol=1e-12
    )
    other = best * (0.2 * normals(50, 9)).exp()
    assert (sum(both_divergences(log_q, other, alpha)) > collapsed).all()


def test_collapsed_dirichlet_tends_to_the_divergence_from_uniform():
    log_q = log_softmax(normals(8, 6), -1)
    torch.testing.assert_close(
        collapsed_dirichlet(log_q, 1e6), kl_categorical(log_q, uniform(6)), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(
    "divergence",
    [lambda log_q: collapsed_dirichlet(log_q, 0.2), lambda log_q: kl_categorical(log_q, log_q * 0)],
)
def test_divergences_of_components_have_finite_gradients_at_certainty(divergence):
    logits = torch.tensor(
        [[0.0, 0.0, 0.0], [1e4, 0.0, -1e4], [300.0, 0.0, 0.0]], requires_grad=True
    )
    value = divergence(log_softmax(logits, -1))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(logits.grad).all()


def test_divergences_have_the_gradients_of_finite_differences():
    def total(mean, log_var, a, logits, concentration):
        parts = [
            kl_standard_normal(mean, log_var),
            kl_normal(mean, log_var, a, log_var + a),
            kl_dirichlet(concentration.exp(), f64(1)),
        ]
        parts += kl_spike_and_slab(mean, log_var, logsigmoid(a), logsigmoid(-a), 0.1)
        parts += [
            collapsed_dirichlet(log_softmax(logits, -1), 0.3),
            kl_categorical(log_softmax(logits, -1), logsigmoid(a)),
        ]
        return sum(parts)

    assert torch.autograd.gradcheck(total, [normals(2, 3).requires_grad_() for _ in range(5)])
