"""The conditional VAE in three variants: what the condition moves, the prior of the latent, the decoder, or both."""

import torch
from torch import Tensor, nn

from sclatent.families.cvae import Hyperparameters
from sclatent.models import vae
from sclatent.models.base import Generated, each_condition, with_condition
from sclatent.nn.divergences import draw_normal, kl_normal
from sclatent.nn.layers import soft_clip


class Model(vae.Model):
    """A VAE whose encoder sees the condition c beside the cell: q(z|x, c).

    learned_prior: p(z|c) is a Gaussian of its own for each condition and the decoder does not see c, so conditions are apart in
    the latent. forget: p(z) = N(0, I) and p(x|z, c), so what c explains leaves the latent. both: p(z|c) and p(x|z, c).
    loss = E_q -log p(x|.) + beta KL(q(z|x, c) || prior). Source: the GMVAE thesis; Sohn, Lee and Yan 2015.
    """

    def __init__(
        self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: Hyperparameters
    ):
        variant = hyperparameters.variant
        n_decoded = 0 if variant == "learned_prior" else n_conditions
        super().__init__(n_features, n_vars, n_conditions, hyperparameters, n_decoded)
        self.condition_in_decoder, self.condition_in_prior = (
            variant != "learned_prior",
            variant != "forget",
        )
        if self.condition_in_prior:
            self.prior_table = nn.Parameter(torch.zeros(n_conditions, 2, self.latent_dim))

    def prior(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean, within -5 and 5, and log-variance, within -9 and 1, of p(z|c) for one-hot c (B, C), (B, L) each."""
        mean, log_var = (condition[:, :, None, None] * self.prior_table).sum(1).unbind(1)
        return soft_clip(mean, -5, 5), soft_clip(log_var, -9, 1)

    def kl(self, mean: Tensor, log_var: Tensor, condition: Tensor) -> Tensor:
        """Return the divergence of q(z|x, c) from p(z|c) or N(0, I), (B,)."""
        if self.condition_in_prior:
            return kl_normal(mean, log_var, *self.prior(condition))
        return super().kl(mean, log_var, condition)

    def last_hidden(self, z: Tensor, condition: Tensor) -> Tensor:
        """Return the decoder's last hidden layer for latents z (B, L) and, where it sees them, conditions (B, C)."""
        return self.decoder(with_condition(z, condition) if self.condition_in_decoder else z)

    @torch.no_grad()
    def flip(self, seen: Tensor, condition: Tensor, to: Tensor, sample: bool = False) -> Tensor:
        """Return cells seen (B, F) in `condition` as expected in the conditions `to`, (B, C) one-hot each, or drawn: (B, G).

        The mean latent is decoded with `to`; where the prior is learned it moves first by the difference of the priors' means.
        """
        z = self.posterior(seen, condition)[0]
        if self.condition_in_prior:
            z = z + self.prior(to)[0] - self.prior(condition)[0]
        return self.decode(z, to, sample)

    @torch.no_grad()
    def generate(self, n: int, sample: bool = False) -> Generated:
        """Return n cells of each condition, decoded from draws of its prior."""
        condition = each_condition(n, self.n_conditions, self.device)
        z = (
            draw_normal(*self.prior(condition))
            if self.condition_in_prior
            else self.draw_prior(len(condition))
        )
        return self.generated(z, sample, condition)
