"""The interface of every model: how a batch becomes a loss, cells become latents, latents become expression, cells are drawn.

A family is two files of one name: `sclatent.families.<family>` with the class `Hyperparameters`, and one beside this file
with the class `Model`.
Randomness comes from torch's global generator, which `sclatent.common.determinism` seeds.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sclatent.families.base import BaseHyperparameters


class Batch(NamedTuple):
    """B cells as a model meets them.

    x: (B, G) what the decoder explains: values, or counts for likelihoods of counts. seen: (B, F) what the encoder sees: the
    values, with some genes masked where the input masks. condition: (B, C) one-hot, None for families that see none. label:
    (B,) class of each cell, int64, None where no label is used.
    """

    x: Tensor
    seen: Tensor
    condition: Tensor | None = None
    label: Tensor | None = None


class Latents(NamedTuple):
    """Latents of B cells: mean of the posterior and one draw from it, (B, L) each; of mixtures, the component's share too.

    responsibilities: (B, K) posterior of the component, sums to 1. w_mean, w_sample: (B, W) latent that moves the components.
    """

    mean: Tensor
    sample: Tensor
    responsibilities: Tensor | None = None
    w_mean: Tensor | None = None
    w_sample: Tensor | None = None


class Generated(NamedTuple):
    """n cells drawn from a model.

    x: (n, G) expression. expected: (n, G) what the same latents are expected to express; equal to x where no noise is drawn.
    component, condition: (n,) for which each cell was drawn, None where there is none.
    """

    x: Tensor
    expected: Tensor
    component: Tensor | None = None
    condition: Tensor | None = None


class LatentModel(nn.Module):
    """What the trainer and the workflow ask of a model.

    n_features: number F of input features. n_vars: number G of features that the decoder explains. n_conditions: number C of
    conditions, 0 for families that see none. hyperparameters: those of the model's family.
    """

    # Share of the training after which the loss has its final weights; early stopping waits for it.
    settled = 0.0

    def __init__(
        self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: BaseHyperparameters
    ):
        super().__init__()
        self.n_features, self.n_vars, self.n_conditions = n_features, n_vars, n_conditions
        self.hp = hyperparameters
        self.latent_dim = hyperparameters.latent_dim

    def fit(self, cells: Callable[[slice], Tensor], n_cells: int) -> None:
        """Set the parameters to their optimum; for closed-form models only.

        cells: gives the values (n, G) of a range of the n_cells cells.
        """
        raise NotImplementedError

    def loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the parts of the loss for a batch as scalars, summed over features and averaged over cells; labels unread.

        The part named "loss" is what training minimises; the others are shown beside it, unweighted. progress: share of the
        training that is over, from 0 to 1, for what changes in its course.
        """
        raise NotImplementedError

    def encode(self, seen: Tensor, condition: Tensor | None = None) -> Latents:
        """Return the latents of cells seen (B, F), with their conditions (B, C) one-hot where the family sees them."""
        raise NotImplementedError

    def decode(self, z: Tensor, condition: Tensor | None = None, sample: bool = False) -> Tensor:
        """Return the expected expression (B, G) of latents z (B, L), or with `sample` a draw from the likelihood."""
        raise NotImplementedError

    def generate(self, n: int, sample: bool = False) -> Generated:
        """Return cells drawn from the prior, n for each component and condition; for models that have a prior."""
        raise NotImplementedError

    def generated(
        self,
        z: Tensor,
        sample: bool,
        condition: Tensor | None = None,
        component: Tensor | None = None,
    ) -> Generated:
        """Return the cells of latents z (B, L) drawn for conditions (B, C) one-hot and components (B,), as `generate` does."""
        expected = self.decode(z, condition)
        x = self.decode(z, condition, sample=True) if sample else expected
        return Generated(x, expected, component, None if condition is None else condition.argmax(1))

    @property
    def sparse_widths(self) -> tuple[int, int] | None:
        """Widths of the layers beside the cells, in encoder and decoder, if both take `SparseRows` for dense cells; else None."""
        return None

    @property
    def device(self) -> torch.device:
        """The device that holds the model's parameters and buffers."""
        return next(iter(self.state_dict().values())).device


def with_condition(x: Tensor, condition: Tensor | None) -> Tensor:
    """Return x (B, D) with the one-hot condition (B, C) beside it, or x itself where there is none."""
    return x if condition is None else torch.cat([x, condition.to(x.dtype)], dim=-1)


def each_condition(n: int, n_conditions: int, device: torch.device) -> Tensor:
    """Return n one-hot rows of each condition, (n * C, C), the first condition first."""
    return torch.eye(n_conditions, device=device).repeat_interleave(n, dim=0)
