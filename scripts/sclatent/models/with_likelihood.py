"""Models whose decoder ends in a likelihood of the cells."""

from typing import TypeVar

from torch import Tensor, nn

from sclatent.families.base import (
    MixtureHyperparameters,
    VariationalHyperparameters,
)
from sclatent.models.base import LatentModel, with_condition
from sclatent.nn.likelihoods import Head, Poisson

HP = TypeVar("HP", bound=VariationalHyperparameters | MixtureHyperparameters)


class LikelihoodModel(LatentModel[HP]):
    """A model of p(x|z): a decoder from latents to its last hidden layer, then a likelihood."""

    decoder: nn.Sequential
    likelihood: Head

    def last_hidden(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """Return the decoder's last hidden layer (B, H) of latents z (B, L).

        The decoder sees the condition (B, C), if there is one.
        """
        return self.decoder(with_condition(z, condition))

    def decode(self, z: Tensor, condition: Tensor | None = None, sample: bool = False) -> Tensor:
        """Return the mean of p(x|z), or a draw from it, (B, G); see `LatentModel.decode`."""
        hidden = self.last_hidden(z, condition)
        return self.likelihood.sample(hidden) if sample else self.likelihood.mean(hidden)

    def set_library(self, total: float) -> None:
        """Set the total count that expected and drawn cells have."""
        assert isinstance(self.likelihood, Poisson), "only likelihoods of counts have a library"
        self.likelihood.library.fill_(total)
