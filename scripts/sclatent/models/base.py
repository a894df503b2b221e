"""The interface of every model: how a batch becomes a loss, cells become latents, latents become expression, cells are drawn.

A family is one file beside this one with two classes: `Hyperparameters` (read without importing the file) and `Model`.
Randomness comes from torch's global generator, which `sclatent.determinism` seeds.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sclatent.models.hyperparameters import BaseHyperparameters


class Latents(NamedTuple):
    """Latents of B cells: the mean of the posterior and one draw from it, (B, L) each."""

    mean: Tensor
    sample: Tensor


class LatentModel(nn.Module):
    """What the trainer and the workflow ask of a model.

    n_vars: number of input features G. hyperparameters: those of the model's family.
    """

    closed_form = False  # True where `fit` finds the optimum at once and there is nothing to train
    stochastic = False  # True where the posterior is a distribution, so that a sample differs from the mean

    def __init__(self, n_vars: int, hyperparameters: BaseHyperparameters):
        super().__init__()
        self.n_vars = n_vars
        self.latent_dim = hyperparameters.latent_dim

    def fit(self, x: Tensor) -> None:
        """Set the parameters to their optimum for x (N, G); for closed-form models only."""
        raise NotImplementedError

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        """Return the parts of the loss for a batch x (B, G) as scalars, summed over features and averaged over cells.

        The part named "loss" is what training minimises; the others are shown beside it, unweighted.
        """
        raise NotImplementedError

    def encode(self, x: Tensor) -> Latents:
        """Return the latents of cells x (B, G)."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """Return the expected expression (B, G) of latents z (B, L)."""
        raise NotImplementedError

    def generate(self, n: int) -> Tensor:
        """Return the expected expression (n, G) of n latents drawn from the prior, for models that have one."""
        return self.decode(self.draw_prior(n).to(self.device))

    def draw_prior(self, n: int) -> Tensor:
        """Return n draws (n, L) from the prior of the latents, for models that have one."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """The device that holds the model's parameters and buffers."""
        return next(iter(self.state_dict().values())).device
