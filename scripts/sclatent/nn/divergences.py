"""Closed-form Kullback-Leibler divergences, in nats, and the reparametrised draw of a Gaussian.

Leading axes broadcast; every divergence is summed over the last axis.
"""

import math

import torch
from torch import Tensor


def draw_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return one draw from N(mean, exp(log_var)), differentiable in both. Input (..., L) each, of one shape, as the output."""
    return mean + (0.5 * log_var).exp() * torch.randn_like(mean)


def kl_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, I)). Input (..., L) each, output (...). Source: Kingma and Welling 2014, appendix B."""
    return 0.5 * (mean.square() + torch.expm1(log_var) - log_var).sum(-1)


def kl_normal(mean1: Tensor, log_var1: Tensor, mean2: Tensor, log_var2: Tensor) -> Tensor:
    """KL(N(mean1, exp(log_var1)) || N(mean2, exp(log_var2))) of diagonal Gaussians. Input (..., L) each, output (...).

    1/2 sum [r - 1 - ln r + (mean1 - mean2)^2 / var2] with r = var1 / var2, taken from the difference of the logarithms.
    """
    log_ratio = log_var1 - log_var2
    return 0.5 * (
        torch.expm1(log_ratio) - log_ratio + (mean1 - mean2).square() * (-log_var2).exp()
    ).sum(-1)


def kl_spike_and_slab(
    mean: Tensor, log_var: Tensor, log_gamma: Tensor, log_off: Tensor, alpha: float
) -> tuple[Tensor, Tensor]:
    """KL of a spike-and-slab posterior to the spike-and-slab prior with slab N(0, 1) and slab probability alpha.

    The posterior of each dimension is gamma N(mean, exp(log_var)) + (1 - gamma) delta(0) with gamma = exp(log_gamma). log_off is
    ln(1 - gamma) and must be finite: a caller whose gamma reaches 1 bounds it from below. Only the logarithm feels the bound,
    since 1 - gamma itself is -expm1(log_gamma), so the value stays exact. Returns the slab part, sum of gamma KL(N || N(0, 1)),
    and the spike part, sum of KL(Bernoulli(gamma) || Bernoulli(alpha)). Input (..., L) each, output (...) each.
    Source: Tonolini et al. 2019, Variational Sparse Coding, with the sign of a divergence.
    """
    gamma, off = log_gamma.exp(), -torch.expm1(log_gamma)
    slab = 0.5 * (gamma * (mean.square() + torch.expm1(log_var) - log_var)).sum(-1)
    spike = (gamma * (log_gamma - math.log(alpha)) + off * (log_off - math.log1p(-alpha))).sum(-1)
    return slab, spike


def kl_categorical(log_q: Tensor, log_p: Tensor) -> Tensor:
    """KL(q || p), sum of q (ln q - ln p). Input (..., K) finite log-probabilities as log_softmax gives them, output (...)."""
    return (log_q.exp() * (log_q - log_p)).sum(-1)


def kl_dirichlet(a: Tensor, b: Tensor) -> Tensor:
    """KL(Dirichlet(a) || Dirichlet(b)). Input concentrations (..., K) each, positive, output (...)."""
    a, b = torch.broadcast_tensors(a, b)
    a_total, b_total = a.sum(-1), b.sum(-1)
    normaliser = (
        torch.lgamma(a_total)
        - torch.lgamma(a).sum(-1)
        - torch.lgamma(b_total)
        + torch.lgamma(b).sum(-1)
    )
    return normaliser + ((a - b) * (torch.digamma(a) - torch.digamma(a_total).unsqueeze(-1))).sum(
        -1
    )


def collapsed_dirichlet(log_q: Tensor, alpha: float) -> Tensor:
    """Divergence of a component's posterior q from a Dirichlet(alpha, ..., alpha) prior on its weights, at the best q(weights).

    That is Dirichlet(alpha + q), at which E KL(q || weights) + KL(Dirichlet(alpha + q) || Dirichlet(alpha)) becomes
    sum q ln q - ln B(alpha + q) + ln B(alpha) = sum q ln q - sum [lnGamma(alpha + q) - lnGamma(alpha)] + ln(K alpha): ln K for a
    one-hot q, KL(q || uniform) as alpha grows, and below some alpha less for a one-hot q than for a uniform one. Input (..., K)
    finite log-probabilities as log_softmax gives them, output (...). Source: the GMVAE thesis' two divergences, collapsed.
    """
    q = log_q.exp()
    return (q * log_q - torch.lgamma(alpha + q) + math.lgamma(alpha)).sum(-1) + math.log(
        q.shape[-1] * alpha
    )
