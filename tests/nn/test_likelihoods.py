import math
from typing import get_args

import pytest
import torch
from scipy import stats
from torch.distributions import Bernoulli, NegativeBinomial, Normal

from sclatent.families.base import COUNTS, Likelihood, VariationalHyperparameters
from sclatent.nn.likelihoods import (
    LIKELIHOODS,
    nb_log_prob,
    poisson_log_prob,
    squared_error,
    zinb_log_prob,
)

B, H, G = 6, 5, 8
GAUSSIAN = ["mse", "gauss1", "gauss_gene", "sigma_shared", "sigma_opt"]
ONE = torch.ones((), dtype=torch.float64)


pytestmark = pytest.mark.usefixtures("deterministic")


def build(name, output="linear", dtype=torch.float64):
    """A head whose own parameters, beside the weights, are not at their initial values, in training
    mode.
    """
    torch.manual_seed(3)
    head = LIKELIHOODS[name](H, G, VariationalHyperparameters(likelihood=name, output=output)).to(
        dtype
    )
    with torch.no_grad():
        for parameter_name, parameter in head.named_parameters():
            if parameter_name.startswith("free_"):
                parameter.copy_(0.5 * torch.randn(parameter.shape))
    return head


def hidden(n=B, dtype=torch.float64):
    torch.manual_seed(4)
    return 2 * torch.randn(n, H, dtype=dtype)


def cells(name, n=B, dtype=torch.float64):
    """Cells that the likelihood can explain."""
    torch.manual_seed(5)
    if name in COUNTS:
        return torch.poisson(torch.randn(n, G).mul(1.5).exp()).to(dtype)
    return (torch.rand if name == "bernoulli" else torch.randn)(n, G).to(dtype)


def negative_binomial(mean, theta):
    return NegativeBinomial(theta, logits=mean.log() - theta.log())


def rates(head, h, x):
    return torch.softmax(head.linear(h), -1) * x.sum(-1, keepdim=True)


def zinb_by_definition(head, h, x):
    dropout = torch.sigmoid(head.dropout(h))
    nb = negative_binomial(rates(head, h, x), head.log_theta().exp()).log_prob(x).exp()
    return (dropout * (x == 0) + (1 - dropout) * nb).log()


LOG_PROBS = {
    "gauss1": lambda head, h, x: Normal(head.linear(h), ONE).log_prob(x),
    "gauss_gene": lambda head, h, x: Normal(head.linear(h), head.log_sigma().exp()).log_prob(x),
    "sigma_shared": lambda head, h, x: Normal(head.linear(h), head.log_sigma().exp()).log_prob(x),
    "bernoulli": lambda head, h, x: Bernoulli(logits=head.linear(h), validate_args=False).log_prob(
        x
    ),
    "poisson": lambda head, h, x: torch.distributions.Poisson(rates(head, h, x)).log_prob(x),
    "nb": lambda head, h, x: negative_binomial(rates(head, h, x), head.log_theta().exp()).log_prob(
        x
    ),
    "zinb": zinb_by_definition,
}


def test_the_registry_has_the_likelihoods_of_the_configuration():
    assert list(LIKELIHOODS) == list(get_args(Likelihood))
    assert set(COUNTS) == {"nb", "zinb", "poisson"}


@pytest.mark.parametrize("name", LOG_PROBS)
def test_nll_is_that_of_the_distribution(name):
    head, h, x = build(name), hidden(), cells(name)
    torch.testing.assert_close(head.nll(h, x), -LOG_PROBS[name](head, h, x).sum(-1))


@pytest.mark.parametrize("name", GAUSSIAN)
@pytest.mark.parametrize("output", ["relu", "softplus"])
def test_output_shapes_the_mean_that_the_nll_sees(name, output):
    head, h, x = build(name, output), hidden(), cells(name)
    mean = getattr(torch.nn.functional, output)(head.linear(h))
    torch.testing.assert_close(head.mean(h), mean)
    nll, log_sigma = head.nll(h, x), head.log_sigma()
    expected = (
        squared_error(x, mean)
        if name == "mse"
        else -Normal(mean, log_sigma.exp()).log_prob(x).sum(-1)
    )
    torch.testing.assert_close(nll, expected)


def test_mse_is_the_squared_error_and_a_gaussian_of_variance_a_half_up_to_a_constant():
    head, h, x = build("mse"), hidden(), cells("mse")
    nll = head.nll(h, x)
    torch.testing.assert_close(nll, squared_error(x, head.linear(h)))
    gaussian = -Normal(head.linear(h), math.sqrt(0.5) * ONE).log_prob(x).sum(-1)
    torch.testing.assert_close(gaussian - nll, torch.full_like(nll, G / 2 * math.log(math.pi)))


@pytest.mark.parametrize(("name", "axis"), [("gauss_gene", 0), ("sigma_shared", (0, 1))])
def test_the_learned_sigma_is_best_at_the_root_mean_square_of_the_residuals(name, axis):
    head, h, x = build(name), hidden(200), 0.5 * cells(name, 200)
    optimiser = torch.optim.LBFGS(
        [head.free_log_sigma], max_iter=100, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        loss = head.nll(h, x).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    best = (x - head.mean(h)).square().mean(axis).sqrt()
    torch.testing.assert_close(head.log_sigma().exp(), best, rtol=1e-4, atol=0)


def test_sigmas_keep_within_their_bounds():
    gene, shared = build("gauss_gene"), build("sigma_shared")
    for value, gene_bound, shared_bound in [(-1e3, -8, -6), (1e3, 8, 1e3)]:
        with torch.no_grad():
            gene.free_log_sigma.fill_(value)
            shared.free_log_sigma.fill_(value)
        torch.testing.assert_close(
            gene.log_sigma(), torch.full((G,), gene_bound, dtype=torch.float64)
        )
        assert shared.log_sigma().item() == pytest.approx(shared_bound)


def gradient(value, head):
    return torch.autograd.grad(value, list(head.parameters()), retain_graph=True)


def test_sigma_opt_averages_to_its_formula_with_the_gradient_of_the_log_of_the_error():
    head, h, x = build("sigma_opt"), hidden(), cells("sigma_opt")
    mse = (x - head.mean(h)).square().mean()
    loss = head.nll(h, x).mean()
    expected = G / 2 * ((2 * math.pi * mse).log() + 1)
    torch.testing.assert_close(
        loss, expected, rtol=1e-4, atol=0
    )  # up to the floor of sigma, here 2e-3 of it
    for actual, wanted in zip(gradient(loss, head), gradient(G / 2 * mse.log(), head), strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-4, atol=1e-8)
    assert head.log_sigma().item() == pytest.approx(0.5 * mse.log().item(), abs=0.01)


def test_sigma_opt_explains_each_cell_by_a_gaussian_of_the_last_training_batch():
    head, h, x = build("sigma_opt"), hidden(), cells("sigma_opt")
    nll = head.nll(h, x)
    sigma = head.log_sigma().exp()
    torch.testing.assert_close(nll, -Normal(head.mean(h), sigma).log_prob(x).sum(-1))
    head.eval()
    torch.testing.assert_close(
        head.nll(h[:2], 3 * x[:2]), -Normal(head.mean(h[:2]), sigma).log_prob(3 * x[:2]).sum(-1)
    )
    assert head.log_sigma().exp().item() == sigma.item()
    assert head.state_dict()["last_log_sigma"].exp() == sigma


def test_sigma_opt_has_a_floor_where_the_reconstruction_is_perfect():
    head, h = build("sigma_opt", "relu"), hidden().requires_grad_()
    head.nll(h, head.mean(h)).mean().backward()
    assert head.log_sigma().item() == pytest.approx(-6, abs=1e-6)
    assert torch.isfinite(h.grad).all()


def test_counts_have_their_known_probabilities():
    log_mean, log_theta, logit = torch.log(2 * ONE), torch.log(1.5 * ONE), -ONE
    assert nb_log_prob(3 * ONE, log_mean, log_theta).item() == pytest.approx(-2.167035, abs=1e-6)
    assert zinb_log_prob(0 * ONE, log_mean, log_theta, logit).item() == pytest.approx(
        -0.746439, abs=1e-6
    )
    assert zinb_log_prob(3 * ONE, log_mean, log_theta, logit).item() == pytest.approx(
        -2.480297, abs=1e-6
    )


@pytest.mark.parametrize("mean", [0.01, 2.0, 60.0])
@pytest.mark.parametrize("theta", [0.3, 1.5, 200.0])
def test_probabilities_of_counts_are_those_of_scipy_and_sum_to_1(mean, theta):
    x = torch.arange(4000, dtype=torch.float64)
    log_mean, log_theta = math.log(mean) * ONE, math.log(theta) * ONE
    nb, poisson = nb_log_prob(x, log_mean, log_theta), poisson_log_prob(x, log_mean)
    zinb = zinb_log_prob(x, log_mean, log_theta, 0.3 * ONE)
    few = slice(0, 200)
    scipy_nb = torch.from_numpy(stats.nbinom.logpmf(x[few].numpy(), theta, theta / (theta + mean)))
    torch.testing.assert_close(nb[few], scipy_nb, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        poisson[few],
        torch.from_numpy(stats.poisson.logpmf(x[few].numpy(), mean)),
        rtol=1e-9,
        atol=1e-9,
    )
    for log_prob in (nb, poisson, zinb):
        assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_the_negative_binomial_becomes_a_poisson_as_theta_grows():
    x, log_mean = torch.arange(20.0).double(), math.log(4) * ONE
    torch.testing.assert_close(
        nb_log_prob(x, log_mean, math.log(1e8) * ONE),
        poisson_log_prob(x, log_mean),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("name", ["nb", "zinb"])
def test_theta_keeps_within_its_bounds(name):
    head = build(name)
    for value, bound in [(-1e3, 1e-4), (1e3, 1e4)]:
        with torch.no_grad():
            head.free_log_theta.fill_(value)
        torch.testing.assert_close(
            head.log_theta().exp(), torch.full((G,), bound, dtype=torch.float64)
        )


def test_expected_counts_have_the_library_as_their_total():
    h = hidden()
    for name in ("poisson", "nb"):
        head = build(name)
        torch.testing.assert_close(head.mean(h).sum(-1), torch.full((B,), 1e4, dtype=torch.float64))
        head.library.fill_(250)
        torch.testing.assert_close(
            head.mean(h).sum(-1), torch.full((B,), 250.0, dtype=torch.float64)
        )
        assert head.state_dict()["library"] == 250


def variance(name, head, h):
    """The variance that draws from the head should have, (1, G)."""
    mean = head.mean(h)
    if name == "mse":
        return torch.full_like(mean, 0.5)
    if name in GAUSSIAN:
        return torch.ones_like(mean) * (2 * head.log_sigma()).exp()
    if name == "bernoulli":
        return mean * (1 - mean)
    if name == "poisson":
        return mean
    theta = head.log_theta().exp()
    kept = (-head.dropout_logit(h)).sigmoid() if name == "zinb" else torch.ones_like(mean)
    mu = mean / kept
    return kept * (mu + mu.square() / theta) + kept * (1 - kept) * mu.square()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_draws_have_the_mean_and_the_variance_of_the_likelihood(name):
    n, head, h = 100_000, build(name), hidden(1)
    if name in COUNTS:
        head.library.fill_(40)
    head.nll(hidden(), cells(name))  # from which sigma_opt knows its sigma
    with torch.no_grad():
        mean, wanted, draws = head.mean(h), variance(name, head, h), head.sample(h.expand(n, H))
    assert draws.shape == (n, G)
    assert ((draws.mean(0) - mean[0]).abs() < 5 * draws.std(0) / math.sqrt(n)).all()
    squares = (draws - mean).square()
    assert ((squares.mean(0) - wanted[0]).abs() < 5 * squares.std(0) / math.sqrt(n)).all()
    if name in COUNTS:
        assert torch.equal(draws, draws.round())


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_draws_follow_the_global_generator(name):
    head, h = build(name), hidden()
    draws = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        draws.append(head.sample(h))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_nll_has_the_gradients_of_finite_differences(name):
    head, x = build(name), cells(name)
    names, values = zip(*head.named_parameters(), strict=True)

    def nll(h, *values):
        return torch.func.functional_call(head, dict(zip(names, values, strict=True)), (h, x))

    head.forward = head.nll
    assert torch.autograd.gradcheck(
        nll, (hidden().requires_grad_(), *(v.detach().requires_grad_() for v in values))
    )


EXTREME = {
    "counts": [[0.0] * G, [6e4] * G, [1e5] + [0.0] * (G - 1)],
    "bernoulli": [[0.0] * G, [1.0] * G, [0.5] * G],
    "values": [[0.0] * G, [1e3] * G, [-1e3] * G],
}


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("scale", [0.0, 1.0, 300.0])
@pytest.mark.parametrize("own", [-100.0, 0.0, 100.0])
def test_extreme_cells_and_parameters_leave_nll_and_gradients_finite(name, n, scale, own):
    head = build(name, dtype=torch.float32)
    kind = "counts" if name in COUNTS else name if name == "bernoulli" else "values"
    h = (scale * hidden(3, torch.float32)).requires_grad_()
    with torch.no_grad():
        for parameter_name, parameter in head.named_parameters():
            if parameter_name.startswith("free_"):
                # no sigma can be e^100 and its square a float32
                parameter.fill_(min(own, 20) if name == "sigma_shared" else own)
    for rows in torch.tensor(EXTREME[kind]).split(n):
        nll = head.nll(h[: len(rows)], rows)
        nll.mean().backward()
        assert torch.isfinite(nll).all()
    for tensor in (h, *head.parameters()):
        assert torch.isfinite(tensor.grad).all()


def test_an_empty_cell_costs_nothing_under_counts():
    for name in COUNTS:
        head, x = build(name, dtype=torch.float32), torch.zeros(1, G)
        assert head.nll(hidden(1, torch.float32), x).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_float32_gives_what_float64_gives(name):
    h, x = hidden(), cells(name)
    nll = build(name).nll(h, x)
    assert nll.dtype == torch.float64
    assert nll.shape == (B,)
    single = build(name, dtype=torch.float32)
    assert single.nll(h.float(), x.float()).dtype == torch.float32
    torch.testing.assert_close(single.nll(h.float(), x.float()).double(), nll, rtol=2e-5, atol=2e-5)
    for result in (build(name).mean(h), build(name).sample(h)):
        assert result.dtype == torch.float64
        assert result.shape == (B, G)


@pytest.mark.parametrize("output", ["linear", "softplus"])
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_bfloat16_autocast_gives_float32_near_the_exact_values(name, output):
    head, x = build(name, output, torch.float32), cells(name, dtype=torch.float32)
    exact = head.nll(hidden(dtype=torch.float32), x)
    for dtype in (torch.float32, torch.bfloat16):
        h = hidden(dtype=torch.float32).to(dtype).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            nll, mean, sample = head.nll(h, x), head.mean(h), head.sample(h)
        assert nll.dtype == mean.dtype == sample.dtype == torch.float32
        torch.testing.assert_close(nll, exact, rtol=0.03, atol=0.03)
        nll.mean().backward()
        assert torch.isfinite(h.grad).all()
