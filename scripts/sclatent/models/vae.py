"""The beta-VAE with any likelihood."""

import torch
from torch import Tensor, nn

from sclatent.families.base import VariationalHyperparameters
from sclatent.models.base import Batch, Generated, LatentModel, Latents, with_condition
from sclatent.nn.divergences import draw_normal, kl_standard_normal
from sclatent.nn.layers import hidden_layers, mlp, soft_clip
from sclatent.nn.likelihoods import LIKELIHOODS

LARGEST_LOG_VAR = 20.0  # the exponential of 89 is infinite in float32, and the slope of an infinite loss is not a number


class Model(LatentModel):
    """loss = E_q -log p(x|z) + beta KL(q(z|x) || N(0, I)), q(z|x) = N(mean(x), exp(log_var(x))), one draw of z a cell.

    A shared trunk F -> encoder_hidden, then a head -> head_hidden -> L each for mean and log-variance; a decoder L ->
    decoder_hidden, then the head of the likelihood -> G. Under mse, a Gaussian with variance 1/2, beta = 2 is the evidence bound
    of a Gaussian with unit variance. Source: Kingma and Welling 2014; Higgins et al. 2017.

    n_decoded: number of conditions that the decoder sees; the encoder sees all n_conditions, 0 here.
    """

    def __init__(
        self,
        n_features: int,
        n_vars: int,
        n_conditions: int,
        hyperparameters: VariationalHyperparameters,
        n_decoded: int = 0,
    ):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        hp = hyperparameters
        self.beta, self.warmup, self.bounded = hp.beta, hp.warmup, hp.bounded
        self.settled = hp.warmup
        self.trunk = hidden_layers(
            n_features + n_conditions, hp.encoder_hidden, hp, hp.linear_first
        )
        self.mean_head = self.head(hp)
        self.log_var_head = self.head(hp)
        self.decoder = hidden_layers(self.latent_dim + n_decoded, hp.decoder_hidden, hp)
        self.likelihood = LIKELIHOODS[hp.likelihood](
            [self.latent_dim + n_decoded, *hp.decoder_hidden][-1], n_vars, hp
        )

    @property
    def sparse_widths(self) -> tuple[int, int] | None:
        """Widths of the first layer of the trunk and of the last hidden one of the decoder, for likelihoods of squared errors."""
        if self.n_conditions or not len(self.trunk) or not self.likelihood.takes_sparse:
            return None
        return self.trunk[0].out_features, self.likelihood.linear.in_features

    def head(self, hp: VariationalHyperparameters) -> nn.Module:
        """Return a new head, trunk -> head_hidden -> L."""
        return mlp(
            [self.n_features + self.n_conditions, *hp.encoder_hidden][-1],
            hp.head_hidden,
            self.latent_dim,
            hp,
        )

    def gaussian(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, (B, L) each, from the trunk's output."""
        mean, log_var = self.mean_head(h), self.log_var_head(h)
        if self.bounded:
            return soft_clip(mean, -5, 5), soft_clip(log_var, -9, 1)
        return mean, below_overflow(log_var)

    def posterior(self, seen: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of q(z|x), (B, L) each."""
        return self.gaussian(self.trunk(with_condition(seen, condition)))

    def kl(self, mean: Tensor, log_var: Tensor, condition: Tensor | None) -> Tensor:
        """Return the divergence of the posterior from the prior, (B,)."""
        return kl_standard_normal(mean, log_var)

    def last_hidden(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """Return the decoder's last hidden layer for latents z (B, L)."""
        return self.decoder(z)

    def loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """The negative evidence bound and its two parts."""
        mean, log_var = self.posterior(batch.seen, batch.condition)
        z = draw_normal(mean, log_var)
        reconstruction = self.likelihood.nll(self.last_hidden(z, batch.condition), batch.x).mean()
        kl = self.kl(mean, log_var, batch.condition).mean()
        loss = reconstruction + self.beta * rise(progress, 0, self.warmup) * kl
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl}

    def encode(self, seen: Tensor, condition: Tensor | None = None) -> Latents:
        """Return the mean of q(z|x) and one draw."""
        mean, log_var = self.posterior(seen, condition)
        return Latents(mean, draw_normal(mean, log_var))

    def decode(self, z: Tensor, condition: Tensor | None = None, sample: bool = False) -> Tensor:
        """Return the mean of p(x|z), or a draw from it."""
        h = self.last_hidden(z, condition)
        return self.likelihood.sample(h) if sample else self.likelihood.mean(h)

    def draw_prior(self, n: int) -> Tensor:
        """Return n draws from N(0, I), (n, L)."""
        return torch.randn(n, self.latent_dim).to(next(self.parameters()))

    @torch.no_grad()
    def generate(self, n: int, sample: bool = False) -> Generated:
        """Return n cells decoded from draws of the prior."""
        return self.generated(self.draw_prior(n), sample)


def below_overflow(log_var: Tensor) -> Tensor:
    """Return a log-variance, cut at LARGEST_LOG_VAR; its slope stays 1 beyond, so that the divergence can bring it back."""
    return log_var + (log_var.clamp(max=LARGEST_LOG_VAR) - log_var).detach()


def rise(progress: float, start: float, end: float) -> float:
    """Return how far a rise from 0 at start to 1 at end, linear and constant outside, has come."""
    return 1.0 if progress >= end else max(0.0, (progress - start) / (end - start))
