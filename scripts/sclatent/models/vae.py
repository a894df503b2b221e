"""The beta-VAE with any likelihood."""

from typing import NamedTuple, TypeVar

from torch import Tensor

from sclatent.families.base import VariationalHyperparameters
from sclatent.families.vae import Hyperparameters
from sclatent.models.base import with_condition
from sclatent.models.variational import VariationalModel
from sclatent.nn.divergences import draw_normal, kl_standard_normal

HP = TypeVar("HP", bound=VariationalHyperparameters)


class Posterior(NamedTuple):
    """q(z|x) of B cells."""

    mean: Tensor  # (B, L)
    log_var: Tensor  # (B, L)


class GaussianModel(VariationalModel[HP, Posterior]):
    """A variational autoencoder with q(z|x) = N(mean(x), exp(log_var(x))) and p(z) = N(0, I)."""

    def posterior(self, seen: Tensor, condition: Tensor | None = None) -> Posterior:
        """Return mean and log-variance of q(z|x); see `VariationalModel.posterior`."""
        return Posterior(*self.gaussian(self.trunk(with_condition(seen, condition))))

    def mean(self, posterior: Posterior) -> Tensor:
        """Return the mean of q(z|x), (B, L)."""
        return posterior.mean

    def draw(self, posterior: Posterior, progress: float = 1.0) -> Tensor:
        """Return one differentiable draw from q(z|x), (B, L)."""
        return draw_normal(posterior.mean, posterior.log_var)

    def divergence(self, posterior: Posterior, condition: Tensor | None) -> dict[str, Tensor]:
        """Return the divergence from the prior, kl."""
        return {"kl": self.kl(posterior, condition).mean()}

    def kl(self, posterior: Posterior, condition: Tensor | None) -> Tensor:
        """Return the divergence of each cell's posterior from the prior, (B,)."""
        return kl_standard_normal(posterior.mean, posterior.log_var)


class Model(GaussianModel[Hyperparameters]):
    """loss = E_q -log p(x|z) + beta KL(q(z|x) || N(0, I)), q(z|x) = N(mean(x), exp(log_var(x))).

    Under mse, which is a Gaussian with variance 1/2, beta = 2 gives the evidence bound of a
    Gaussian with unit variance. See `VariationalModel` for the networks.

    Source
    ------
    Kingma and Welling 2014; Higgins et al. 2017.
    """
