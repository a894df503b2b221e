"""Beta variational sparse coding: a VAE whose posterior switches latent dimensions off."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from sclatent.families.vsc import Hyperparameters
from sclatent.models import vae
from sclatent.models.base import Batch, Latents
from sclatent.nn.divergences import draw_normal, kl_spike_and_slab


class Model(vae.Model):
    """A VAE with q(z|x) = gamma N(mean, exp(log_var)) + (1 - gamma) delta(0) and p(z) = alpha N(0, 1) + (1 - alpha) delta(0).

    loss = E_q -log p(x|z) + beta KL(q(z|x) || p(z)). A third head a(x) gives gamma: sigmoid(a), or exp(-ReLU(-a)) as in the
    PBMC3k report, which has no slope where a > 0. A draw is z = mask (mean + std eps) with eps ~ N(0, 1) and the soft mask
    sigmoid(c (u + gamma - 1)), u ~ U(0, 1), or the hard one, 1 where u > 1 - gamma, which learns by the soft one's slope.
    Spike warm-up: draws use lambda mean and lambda log_var, lambda rising from 0 to 1, so that at first only the spikes carry
    information; the divergence does not. Source: Tonolini et al. 2019.
    """

    def __init__(
        self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: Hyperparameters
    ):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        hp = hyperparameters
        self.alpha, self.spike, self.mask = hp.alpha, hp.spike, hp.mask
        self.sharpness, self.spike_warmup = hp.sharpness, hp.spike_warmup
        self.final_sharpness = hp.final_sharpness or hp.sharpness
        self.settled = max(hp.warmup, *(hp.spike_warmup or [0]))
        self.spike_head = self.head(hp)

    def posterior(
        self, seen: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return mean, log-variance, log gamma and log(1 - gamma) of q(z|x), (B, L) each."""
        h = self.trunk(seen)
        a = self.spike_head(h)
        if self.spike == "logit":
            return *self.gaussian(h), logsigmoid(a), logsigmoid(-a)
        log_gamma = -(-a).relu()
        return *self.gaussian(h), log_gamma, (-log_gamma.exp().clamp(max=1 - 1e-6)).log1p()

    def draw_mask(self, gamma: Tensor, progress: float = 1.0) -> Tensor:
        """Return one differentiable draw of the mask for probabilities gamma (B, L), of the same shape."""
        u = torch.rand_like(gamma)
        c = self.sharpness + progress * (self.final_sharpness - self.sharpness)
        soft = torch.sigmoid(c * (u + gamma - 1))
        return soft if self.mask == "soft" else (u > 1 - gamma) + (soft - soft.detach())

    def draw(
        self, mean: Tensor, log_var: Tensor, log_gamma: Tensor, progress: float = 1.0
    ) -> Tensor:
        """Return one differentiable draw from q(z|x), (B, L)."""
        share = vae.rise(progress, *self.spike_warmup) if self.spike_warmup else 1.0
        return self.draw_mask(log_gamma.exp(), progress) * draw_normal(
            share * mean, share * log_var
        )

    def loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """The negative evidence bound, the reconstruction, the divergences of slab and spike; share of gamma above 1/2."""
        mean, log_var, log_gamma, log_off = self.posterior(batch.seen)
        z = self.draw(mean, log_var, log_gamma, progress)
        reconstruction = self.likelihood.nll(self.decoder(z), batch.x).mean()
        slab, spike = (
            part.mean() for part in kl_spike_and_slab(mean, log_var, log_gamma, log_off, self.alpha)
        )
        loss = reconstruction + self.beta * vae.rise(progress, 0, self.warmup) * (slab + spike)
        active = (log_gamma > log_off).to(loss.dtype).mean()
        return {
            "loss": loss,
            "reconstruction": reconstruction,
            "kl_slab": slab,
            "kl_spike": spike,
            "active": active,
        }

    def encode(self, seen: Tensor, condition: Tensor | None = None) -> Latents:
        """Return the exact mean of draws at the end of training, E[mask] mean, and a draw.

        E[mask] is gamma for the hard mask and, for the soft one, the integral of the sigmoid over u,
        (softplus(c gamma) - softplus(c (gamma - 1))) / c.
        """
        mean, log_var, log_gamma, _ = self.posterior(seen)
        c, gamma = self.final_sharpness, log_gamma.exp()
        expected = (
            gamma if self.mask == "hard" else (softplus(c * gamma) - softplus(c * (gamma - 1))) / c
        )
        return Latents(expected * mean, self.draw(mean, log_var, log_gamma))

    def draw_prior(self, n: int) -> Tensor:
        """Return n draws from the spike-and-slab prior, (n, L)."""
        return (torch.rand(n, self.latent_dim) < self.alpha).to(self.device) * super().draw_prior(n)
