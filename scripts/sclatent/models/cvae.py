"""The conditional VAE. The condition moves the prior of the latent, the decoder, or both."""

import torch
from torch import Tensor, nn

from sclatent.families.cvae import Hyperparameters
from sclatent.models.base import Generated, each_condition
from sclatent.models.vae import GaussianModel, Posterior
from sclatent.nn.divergences import draw_normal, kl_normal
from sclatent.nn.layers import bounded_gaussian


class Model(GaussianModel[Hyperparameters]):
    """loss = E_q -log p(x|.) + beta KL(q(z|x, c) || prior). The encoder sees the condition c.

    The variants:

    - learned_prior: p(z|c) is one Gaussian per condition, and the decoder does not see c. So
      conditions lie apart in the latent.
    - forget: p(z) = N(0, I) and p(x|z, c). So the latent loses what c explains.
    - both: p(z|c) and p(x|z, c).

    Source
    ------
    The GMVAE thesis; Sohn, Lee and Yan 2015.
    """

    def __init__(
        self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: Hyperparameters
    ):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        if self.condition_in_prior:
            self.prior_table = nn.Parameter(torch.zeros(n_conditions, 2, self.latent_dim))

    @property
    def n_decoded(self) -> int:
        """Number of conditions that the decoder sees; 0 if the prior alone depends on them."""
        return 0 if self.hp.variant == "learned_prior" else self.n_conditions

    @property
    def condition_in_prior(self) -> bool:
        """Whether each condition has a prior of its own."""
        return self.hp.variant != "forget"

    def prior(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of p(z|c), bounded, (B, L) each, for one-hot c (B, C)."""
        mean, log_var = (condition[:, :, None, None] * self.prior_table).sum(1).unbind(1)
        return bounded_gaussian(mean, log_var)

    def kl(self, posterior: Posterior, condition: Tensor | None) -> Tensor:
        """Return the divergence of q(z|x, c) from p(z|c) or N(0, I), (B,)."""
        if not self.condition_in_prior:
            return super().kl(posterior, condition)
        assert condition is not None
        return kl_normal(posterior.mean, posterior.log_var, *self.prior(condition))

    @torch.no_grad()
    def flip(
        self, seen: Tensor, condition: Tensor, to: Tensor, path: str = "", sample: bool = False
    ) -> Tensor:
        """Decode the mean latent with another condition; see `LatentModel.flip`.

        If the prior is learned, the latent first moves by the difference of the priors' means.
        """
        z = self.mean(self.posterior(seen, condition))
        if self.condition_in_prior:
            z = z + self.prior(to)[0] - self.prior(condition)[0]
        return self.decode(z, to, sample)

    @torch.no_grad()
    def generate(self, n: int, sample: bool = False) -> Generated:
        """Return n cells per condition, decoded from draws of its prior."""
        condition = each_condition(n, self.n_conditions, self.device)
        if self.condition_in_prior:
            return self.generated(draw_normal(*self.prior(condition)), sample, condition)
        return self.generated(self.draw_prior(len(condition)), sample, condition)
