"""Closed-form Kullback-Leibler divergences, in nats, summed over the last axis."""

import torch
from torch import Tensor


def kl_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, I)). Input (..., L) each, output (...). Source: Kingma and Welling 2014, appendix B."""
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(-1)


def kl_spike_and_slab(mean: Tensor, log_var: Tensor, log_gamma: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """KL of a spike-and-slab posterior to the spike-and-slab prior with slab N(0, 1) and slab probability alpha.

    The posterior of each dimension is gamma N(mean, exp(log_var)) + (1 - gamma) delta(0) with gamma = exp(log_gamma).
    Returns the slab part, sum of gamma KL(N || N(0, 1)), and the spike part, sum of KL(Bernoulli(gamma) || Bernoulli(alpha)).
    gamma is clamped to [1e-6, 1 - 1e-6] inside the logarithms only. Input (..., L) each, output (...) each.
    Source: Tonolini et al. 2019, Variational Sparse Coding, with the sign of a divergence.
    """
    gamma = log_gamma.exp()
    slab = (gamma * 0.5 * (mean.square() + log_var.exp() - 1 - log_var)).sum(-1)
    inside = gamma.clamp(1e-6, 1 - 1e-6)
    prior = torch.tensor(alpha, dtype=mean.dtype, device=mean.device)
    spike = (gamma * (inside.log() - prior.log()) + (1 - gamma) * ((-inside).log1p() - (-prior).log1p())).sum(-1)
    return slab, spike
