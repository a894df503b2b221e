"""The interface of every model.

A model turns a batch into a loss, cells into latents and latents into expression, and draws cells.
A family is two modules of the same name: `sclatent.families.<family>` with the class
`Hyperparameters`, and `sclatent.models.<family>` with the class `Model`. Randomness comes from
torch's global generator, which `sclatent.common.determinism` seeds.

Symbols: B cells in a batch, F input features, G features that the decoder explains, L latent
dimensions, C conditions, K components, W dimensions of the latent that moves the components.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from sclatent.families.base import BaseHyperparameters

HP = TypeVar("HP", bound=BaseHyperparameters)


class Batch(NamedTuple):
    """B cells as a model sees them in training."""

    x: Tensor  # (B, G) what the decoder explains: values, or counts if the likelihood is of counts
    seen: Tensor  # (B, F) what the encoder sees: the values, some masked if the input masks genes
    condition: Tensor | None = None  # (B, C) one-hot; None if the family does not use conditions
    label: Tensor | None = None  # (B,) class of each cell, int64; None if no label is used


class Latents(NamedTuple):
    """Latents of B cells. The last three are those of mixtures; None for other families."""

    mean: Tensor  # (B, L) mean of the posterior
    sample: Tensor  # (B, L) one draw from the posterior
    responsibilities: Tensor | None = None  # (B, K) posterior of the component, sums to 1
    w_mean: Tensor | None = None  # (B, W) mean of the latent that moves the components
    w_sample: Tensor | None = None  # (B, W) one draw of it


class Generated(NamedTuple):
    """n cells that a model has drawn."""

    x: Tensor  # (n, G) expression
    expected: Tensor  # (n, G) expected expression of the same latents; equals x without noise
    component: Tensor | None = None  # (n,) component of each cell; None if there are none
    condition: Tensor | None = None  # (n,) condition of each cell; None if there are none


class LatentModel(nn.Module, ABC, Generic[HP]):
    """What training and the workflow need from a model.

    Parameters
    ----------
    n_features
        Number F of input features.
    n_vars
        Number G of features that the decoder explains.
    n_conditions
        Number C of conditions; 0 for families that do not use conditions.
    hyperparameters
        Those of the model's family.

    Attributes
    ----------
    hp
        The hyper-parameters. Their class says what the family can do, see
        `sclatent.families.base.BaseHyperparameters`.
    settled
        Share of the training after which the weights in the loss no longer change. Early stopping
        waits for it.
    """

    settled: float = 0.0

    def __init__(self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: HP):
        super().__init__()
        self.n_features, self.n_vars, self.n_conditions = n_features, n_vars, n_conditions
        self.hp = hyperparameters
        self.latent_dim = hyperparameters.latent_dim

    # ---- every family

    @abstractmethod
    def loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the parts of the loss of a batch. It does not read labels.

        Parameters
        ----------
        batch
            The cells.
        progress
            Share of the training that is over, from 0 to 1. Some weights depend on it.

        Returns
        -------
        Scalars by name, summed over features and averaged over cells. Training minimises "loss".
        The other parts are recorded with it, unweighted.
        """

    @abstractmethod
    def encode(self, seen: Tensor, condition: Tensor | None = None) -> Latents:
        """Return the latents of cells.

        Parameters
        ----------
        seen
            (B, F).
        condition
            (B, C) one-hot; None for families that do not use conditions.
        """

    @abstractmethod
    def decode(self, z: Tensor, condition: Tensor | None = None, sample: bool = False) -> Tensor:
        """Return the expression (B, G) of latents.

        Parameters
        ----------
        z
            (B, L).
        condition
            (B, C) one-hot; None for families that do not use conditions.
        sample
            Whether to draw from the likelihood instead of returning its mean.
        """

    # ---- closed-form families

    def fit(self, cells: Callable[[slice], Tensor], n_cells: int) -> None:
        """Set the parameters to their optimum.

        Parameters
        ----------
        cells
            Returns the values (n, G) of a range of cells.
        n_cells
            Number of all cells.
        """
        raise NotImplementedError

    # ---- generative families

    def generate(self, n: int, sample: bool = False) -> Generated:
        """Return cells drawn from the prior.

        Parameters
        ----------
        n
            Number of cells per component and condition.
        sample
            Whether to draw from the likelihood, too.
        """
        raise NotImplementedError

    def generated(
        self,
        z: Tensor,
        sample: bool,
        condition: Tensor | None = None,
        component: Tensor | None = None,
    ) -> Generated:
        """Return the cells of drawn latents, in the form in which `generate` returns them.

        Parameters
        ----------
        z
            (B, L).
        sample
            Whether to draw from the likelihood, too.
        condition
            (B, C) one-hot.
        component
            (B,).
        """
        expected = self.decode(z, condition)
        x = self.decode(z, condition, sample=True) if sample else expected
        return Generated(x, expected, component, None if condition is None else condition.argmax(1))

    # ---- families whose `flip_paths` are not empty

    def flip(
        self, seen: Tensor, condition: Tensor, to: Tensor, path: str = "", sample: bool = False
    ) -> Tensor:
        """Return cells as the model predicts them in another condition, (B, G).

        Parameters
        ----------
        seen
            (B, F), the cells.
        condition, to
            (B, C) one-hot each: the condition that the cells have, and the other one.
        path
            One of the family's `flip_paths`; by default the first.
        sample
            Whether to draw from the likelihood instead of returning its mean.
        """
        raise NotImplementedError

    # ---- mixtures

    def supervised_loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the parts of the loss of labelled cells, as `loss` does for unlabelled ones."""
        raise NotImplementedError

    def pretraining_loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the parts of the loss without components, before `place_components`."""
        raise NotImplementedError

    def place_components(
        self, seen: Tensor, means: Tensor, condition: Tensor | None = None
    ) -> None:
        """Set the components by clusters of cells, after a training by `pretraining_loss`.

        Parameters
        ----------
        seen
            (N, F), the cells.
        means
            (N, L), their mean latents.
        condition
            (N, C) one-hot; None for families that do not use conditions.
        """
        raise NotImplementedError

    # ---- models of counts

    def set_library(self, total: float) -> None:
        """Set the total count that expected and drawn cells have."""
        raise NotImplementedError

    @property
    def sparse_widths(self) -> tuple[int, int] | None:
        """Widths of the first encoder layer and the last hidden decoder layer.

        They decide whether sparse rows make training faster. None if the model needs dense cells.
        """
        return None

    @property
    def device(self) -> torch.device:
        """The device that holds the model's parameters and buffers."""
        return next(iter(self.state_dict().values())).device


def with_condition(x: Tensor, condition: Tensor | None) -> Tensor:
    """Return x (B, D) and the one-hot condition (B, C) as one matrix, or x if there is none."""
    return x if condition is None else torch.cat([x, condition.to(x.dtype)], dim=-1)


def each_condition(n: int, n_conditions: int, device: torch.device) -> Tensor:
    """Return n one-hot rows of each condition, (n * C, C), the first condition first."""
    return torch.eye(n_conditions, device=device).repeat_interleave(n, dim=0)


def total_of(parts: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of some parts of a loss, at least one."""
    return reduce(torch.add, parts.values())


def rise(progress: float, start: float, end: float) -> float:
    """Return the height of a rise from 0 at start to 1 at end: linear, constant outside."""
    return 1.0 if progress >= end else max(0.0, (progress - start) / (end - start))
