"""The beta-VAE with a squared-error reconstruction."""

import torch
from torch import Tensor, nn

from sclatent.distributions import kl_standard_normal
from sclatent.likelihoods import squared_error
from sclatent.models.base import LatentModel, Latents
from sclatent.models.hyperparameters import VariationalHyperparameters
from sclatent.networks import hidden_layers, mlp


class Hyperparameters(VariationalHyperparameters):
    """Those of any variational autoencoder."""


class Model(LatentModel):
    """loss = E_q sum (x - g(z))^2 + beta KL(q(z|x) || N(0, I)), q(z|x) = N(mean(x), exp(log_var(x))), one sample of z a cell.

    A shared trunk G -> encoder_hidden, then a head -> head_hidden -> L each for mean and log-variance; g: L -> decoder_hidden
    -> G. The squared error is a Gaussian with variance 1/2, so beta = 2 is the evidence bound of one with unit variance.
    Source: Kingma and Welling 2014; Higgins et al. 2017.
    """

    stochastic = True

    def __init__(self, n_vars: int, hyperparameters: Hyperparameters):
        super().__init__(n_vars, hyperparameters)
        hp = hyperparameters
        self.beta = hp.beta
        self.trunk = hidden_layers(n_vars, hp.encoder_hidden, hp.linear_first)
        self.mean_head = self.head(hp)
        self.log_var_head = self.head(hp)
        self.decoder = mlp(self.latent_dim, hp.decoder_hidden, n_vars)

    def head(self, hp: VariationalHyperparameters) -> nn.Module:
        """Return a new head, trunk -> head_hidden -> L."""
        return mlp([self.n_vars, *hp.encoder_hidden][-1], hp.head_hidden, self.latent_dim)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of q(z|x), (B, L) each."""
        h = self.trunk(x)
        return self.mean_head(h), self.log_var_head(h)

    def draw(self, mean: Tensor, log_var: Tensor) -> Tensor:
        """Return one differentiable draw from N(mean, exp(log_var)), (B, L)."""
        return mean + (0.5 * log_var).exp() * torch.randn_like(mean)

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        """The negative evidence bound and its two parts."""
        mean, log_var = self.posterior(x)
        reconstruction = squared_error(x, self.decode(self.draw(mean, log_var))).mean()
        kl = kl_standard_normal(mean, log_var).mean()
        return {"loss": reconstruction + self.beta * kl, "reconstruction": reconstruction, "kl": kl}

    def encode(self, x: Tensor) -> Latents:
        """Return the mean of q(z|x) and one draw."""
        mean, log_var = self.posterior(x)
        return Latents(mean, self.draw(mean, log_var))

    def decode(self, z: Tensor) -> Tensor:
        """Return g(z)."""
        return self.decoder(z)

    def draw_prior(self, n: int) -> Tensor:
        """Return n draws from N(0, I)."""
        return torch.randn(n, self.latent_dim)
