"""Beta variational sparse coding with the spike of the PBMC3k report."""

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import softplus

from sclatent.distributions import kl_spike_and_slab
from sclatent.likelihoods import squared_error
from sclatent.models import vae
from sclatent.models.base import Latents
from sclatent.models.hyperparameters import VariationalHyperparameters


class Hyperparameters(VariationalHyperparameters):
    """Those of any variational autoencoder, and the spike's."""

    alpha: float = Field(0.5, gt=0, lt=1, description="prior probability that a latent dimension is in use")
    sharpness: float = Field(50.0, gt=0, description="steepness c of the soft mask that switches a latent dimension on")


class Model(vae.Model):
    """A VAE whose posterior switches dimensions off: q(z|x) = gamma N(mean, exp(log_var)) + (1 - gamma) delta(0).

    loss = E_q sum (x - g(z))^2 + beta KL(q(z|x) || alpha N(0, 1) + (1 - alpha) delta(0)).
    A third head a gives log gamma = -ReLU(-a(x)). A draw is z = sigmoid(c (u + gamma - 1)) (mean + std eps) with u ~ U(0, 1)
    and eps ~ N(0, 1), a mask that approaches 0 or 1 as the sharpness c grows. Source: Tonolini et al. 2019.
    """

    def __init__(self, n_vars: int, hyperparameters: Hyperparameters):
        super().__init__(n_vars, hyperparameters)
        self.alpha, self.sharpness = hyperparameters.alpha, hyperparameters.sharpness
        self.spike_head = self.head(hyperparameters)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean, log-variance and log gamma of q(z|x), (B, L) each."""
        h = self.trunk(x)
        return self.mean_head(h), self.log_var_head(h), -(-self.spike_head(h)).relu()

    def draw(self, mean: Tensor, log_var: Tensor, log_gamma: Tensor) -> Tensor:
        """Return one differentiable draw from q(z|x), (B, L)."""
        mask = torch.sigmoid(self.sharpness * (torch.rand_like(mean) + log_gamma.exp() - 1))
        return mask * super().draw(mean, log_var)

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        """The negative evidence bound, the reconstruction, and the divergences of slab and spike."""
        posterior = self.posterior(x)
        reconstruction = squared_error(x, self.decode(self.draw(*posterior))).mean()
        slab, spike = (part.mean() for part in kl_spike_and_slab(*posterior, self.alpha))
        loss = reconstruction + self.beta * (slab + spike)
        return {"loss": loss, "reconstruction": reconstruction, "kl_slab": slab, "kl_spike": spike}

    def encode(self, x: Tensor) -> Latents:
        """Return a draw and the exact mean of draws, E[mask] mean.

        E[mask] is the integral of the sigmoid over u, (softplus(c gamma) - softplus(c (gamma - 1))) / c.
        """
        mean, log_var, log_gamma = self.posterior(x)
        c, gamma = self.sharpness, log_gamma.exp()
        expected_mask = (softplus(c * gamma) - softplus(c * (gamma - 1))) / c
        return Latents(expected_mask * mean, self.draw(mean, log_var, log_gamma))

    def draw_prior(self, n: int) -> Tensor:
        """Return n draws from the spike-and-slab prior."""
        return (torch.rand(n, self.latent_dim) < self.alpha) * super().draw_prior(n)
