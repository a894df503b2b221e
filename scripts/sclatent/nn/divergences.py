"""Closed-form Kullback-Leibler divergences, in nats, and the reparametrised draw of a Gaussian.

Leading axes broadcast. Every divergence is summed over the last axis: (..., L) becomes (...).
"""

import math

import torch
from torch import Tensor


def draw_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return one draw from N(mean, exp(log_var)), differentiable in both.

    Parameters
    ----------
    mean, log_var
        (..., L), both of the same shape, which is also that of the draw.
    """
    return mean + (0.5 * log_var).exp() * torch.randn_like(mean)


def kl_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return KL(N(mean, exp(log_var)) || N(0, I)), (...), for (..., L).

    Source
    ------
    Kingma and Welling 2014, appendix B.
    """
    return 0.5 * (mean.square() + torch.expm1(log_var) - log_var).sum(-1)


def kl_normal(mean1: Tensor, log_var1: Tensor, mean2: Tensor, log_var2: Tensor) -> Tensor:
    """Return KL(N(mean1, exp(log_var1)) || N(mean2, exp(log_var2))), (...), for (..., L).

    Both Gaussians are diagonal: 1/2 sum [r - 1 - ln r + (mean1 - mean2)^2 / var2] with
    r = var1 / var2, computed from the difference of the logarithms.
    """
    log_ratio = log_var1 - log_var2
    return 0.5 * (
        torch.expm1(log_ratio) - log_ratio + (mean1 - mean2).square() * (-log_var2).exp()
    ).sum(-1)


def kl_spike_and_slab(
    mean: Tensor, log_var: Tensor, log_gamma: Tensor, log_off: Tensor, alpha: float
) -> tuple[Tensor, Tensor]:
    """Return the divergence of a spike-and-slab posterior from its prior, in two parts.

    In each dimension the posterior is gamma N(mean, exp(log_var)) + (1 - gamma) delta(0), and the
    prior is alpha N(0, 1) + (1 - alpha) delta(0).

    Parameters
    ----------
    mean, log_var, log_gamma
        (..., L); log_gamma is ln gamma.
    log_off
        (..., L), ln(1 - gamma). It must be finite: if gamma can reach 1, the caller bounds log_off
        from below. The bound changes only this logarithm, because 1 - gamma itself is computed as
        -expm1(log_gamma); so the value of the divergence stays exact.
    alpha
        Prior probability of the slab.

    Returns
    -------
    The slab part, sum of gamma KL(N || N(0, 1)), and the spike part, sum of
    KL(Bernoulli(gamma) || Bernoulli(alpha)), (...) each.

    Source
    ------
    Tonolini et al. 2019, Variational Sparse Coding, with the sign of a divergence.
    """
    gamma, off = log_gamma.exp(), -torch.expm1(log_gamma)
    slab = 0.5 * (gamma * (mean.square() + torch.expm1(log_var) - log_var)).sum(-1)
    spike = (gamma * (log_gamma - math.log(alpha)) + off * (log_off - math.log1p(-alpha))).sum(-1)
    return slab, spike


def kl_categorical(log_q: Tensor, log_p: Tensor) -> Tensor:
    """Return KL(q || p) = sum of q (ln q - ln p), (...).

    Parameters
    ----------
    log_q, log_p
        (..., K), finite log-probabilities as log_softmax gives them.
    """
    return (log_q.exp() * (log_q - log_p)).sum(-1)


def kl_dirichlet(a: Tensor, b: Tensor) -> Tensor:
    """Return KL(Dirichlet(a) || Dirichlet(b)), (...), for positive concentrations (..., K)."""
    a, b = torch.broadcast_tensors(a, b)
    a_total, b_total = a.sum(-1), b.sum(-1)
    normaliser = (
        torch.lgamma(a_total)
        - torch.lgamma(a).sum(-1)
        - torch.lgamma(b_total)
        + torch.lgamma(b).sum(-1)
    )
    expected = (a - b) * (torch.digamma(a) - torch.digamma(a_total).unsqueeze(-1))
    return normaliser + expected.sum(-1)


def collapsed_dirichlet(log_q: Tensor, alpha: float) -> Tensor:
    """Return the divergence of a component's posterior q from a Dirichlet prior, integrated out.

    The prior of the component's weights is Dirichlet(alpha, ..., alpha). Their best posterior is
    Dirichlet(alpha + q). With it, E KL(q || weights) + KL(Dirichlet(alpha + q) ||
    Dirichlet(alpha)) becomes sum q ln q - ln B(alpha + q) + ln B(alpha)
    = sum q ln q - sum [lnGamma(alpha + q) - lnGamma(alpha)] + ln(K alpha).

    It is ln K for a one-hot q, and approaches KL(q || uniform) as alpha grows. Below some alpha it
    is less for a one-hot q than for a uniform one.

    Parameters
    ----------
    log_q
        (..., K), finite log-probabilities as log_softmax gives them.
    alpha
        Concentration, positive.

    Source
    ------
    The two divergences of the GMVAE thesis, collapsed into one.
    """
    q = log_q.exp()
    return (q * log_q - torch.lgamma(alpha + q) + math.lgamma(alpha)).sum(-1) + math.log(
        q.shape[-1] * alpha
    )
