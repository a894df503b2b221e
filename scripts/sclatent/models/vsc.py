"""Beta variational sparse coding: a VAE whose posterior switches latent dimensions off."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from sclatent.families.vsc import Hyperparameters
from sclatent.models.base import rise, with_condition
from sclatent.models.variational import VariationalModel
from sclatent.nn.divergences import draw_normal, kl_spike_and_slab

LARGEST_GAMMA = 1 - 1e-6  # so that ln(1 - gamma) is finite


class Posterior(NamedTuple):
    """q(z|x) of B cells: gamma N(mean, exp(log_var)) + (1 - gamma) delta(0)."""

    mean: Tensor  # (B, L)
    log_var: Tensor  # (B, L)
    log_gamma: Tensor  # (B, L) ln gamma
    log_off: Tensor  # (B, L) ln(1 - gamma), finite


class Model(VariationalModel[Hyperparameters, Posterior]):
    """A VAE with spike-and-slab posterior and prior, p(z) = alpha N(0, 1) + (1 - alpha) delta(0).

    The posterior is gamma N(mean, exp(log_var)) + (1 - gamma) delta(0). A third head a(x) gives
    gamma = sigmoid(a), or exp(-ReLU(-a)) as in the PBMC3k report, which has no gradient if a > 0.

    A draw is z = mask (mean + std eps) with eps ~ N(0, 1). The soft mask is
    sigmoid(c (u + gamma - 1)) with u ~ U(0, 1). The hard mask is 1 if u > 1 - gamma, otherwise 0;
    its gradient is that of the soft mask.

    During the spike's warm-up, draws use lambda mean and lambda log_var with lambda rising from 0
    to 1. So only the spikes carry information at first. The divergence does not use lambda.

    Source
    ------
    Tonolini et al. 2019.
    """

    def __init__(
        self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: Hyperparameters
    ):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        if hyperparameters.spike_warmup is not None:
            self.settled = max(hyperparameters.warmup, *hyperparameters.spike_warmup)
        self.spike_head = self.new_head()

    @property
    def final_sharpness(self) -> float:
        """Steepness c of the soft mask at the end of training."""
        return self.hp.final_sharpness or self.hp.sharpness

    def posterior(self, seen: Tensor, condition: Tensor | None = None) -> Posterior:
        """Return the parameters of q(z|x); see `VariationalModel.posterior`."""
        hidden = self.trunk(with_condition(seen, condition))
        a = self.spike_head(hidden)
        if self.hp.spike == "logit":
            return Posterior(*self.gaussian(hidden), logsigmoid(a), logsigmoid(-a))
        log_gamma = -(-a).relu()
        log_off = (-log_gamma.exp().clamp(max=LARGEST_GAMMA)).log1p()
        return Posterior(*self.gaussian(hidden), log_gamma, log_off)

    def draw_mask(self, gamma: Tensor, progress: float = 1.0) -> Tensor:
        """Return one differentiable draw of the mask for probabilities gamma, both (B, L)."""
        u = torch.rand_like(gamma)
        c = self.hp.sharpness + progress * (self.final_sharpness - self.hp.sharpness)
        soft = torch.sigmoid(c * (u + gamma - 1))
        return soft if self.hp.mask == "soft" else (u > 1 - gamma) + (soft - soft.detach())

    def draw(self, posterior: Posterior, progress: float = 1.0) -> Tensor:
        """Return one differentiable draw from q(z|x), (B, L)."""
        slab = rise(progress, *self.hp.spike_warmup) if self.hp.spike_warmup else 1.0
        mask = self.draw_mask(posterior.log_gamma.exp(), progress)
        return mask * draw_normal(slab * posterior.mean, slab * posterior.log_var)

    def mean(self, posterior: Posterior) -> Tensor:
        """Return the exact mean of draws at the end of training, E[mask] mean, (B, L).

        E[mask] is gamma for the hard mask. For the soft mask it is the integral of the sigmoid over
        u, (softplus(c gamma) - softplus(c (gamma - 1))) / c.
        """
        c, gamma = self.final_sharpness, posterior.log_gamma.exp()
        if self.hp.mask == "hard":
            return gamma * posterior.mean
        return (softplus(c * gamma) - softplus(c * (gamma - 1))) / c * posterior.mean

    def divergence(self, posterior: Posterior, condition: Tensor | None) -> dict[str, Tensor]:
        """Return the divergences of the slab, kl_slab, and of the spike, kl_spike."""
        slab, spike = kl_spike_and_slab(*posterior, alpha=self.hp.alpha)
        return {"kl_slab": slab.mean(), "kl_spike": spike.mean()}

    def watched(self, posterior: Posterior) -> dict[str, Tensor]:
        """Return active, the share of gamma above 1/2."""
        on = posterior.log_gamma > posterior.log_off
        return {"active": on.to(posterior.log_gamma.dtype).mean()}

    def draw_prior(self, n: int) -> Tensor:
        """Return n draws from the spike-and-slab prior, (n, L)."""
        on = torch.rand(n, self.latent_dim) < self.hp.alpha
        return on.to(self.device) * super().draw_prior(n)
