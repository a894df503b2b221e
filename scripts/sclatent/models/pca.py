"""Principal component analysis: the linear floor that stands beside every learned model."""

import numpy as np
import torch
from scipy.sparse.linalg import svds
from torch import Tensor

from sclatent.errors import TrainingError
from sclatent.likelihoods import squared_error
from sclatent.models.base import LatentModel, Latents
from sclatent.models.hyperparameters import BaseHyperparameters


class Hyperparameters(BaseHyperparameters):
    """PCA has its number of components only."""


class Model(LatentModel):
    """z = (x - m) V, x' = z V' + m, with m the mean and V (G, L) the leading right singular vectors of the centred data.

    It is the optimum of a linear autoencoder under the squared error. Source: Pearson 1901; SciPy's truncated SVD by ARPACK.
    """

    closed_form = True

    def __init__(self, n_vars: int, hyperparameters: Hyperparameters):
        super().__init__(n_vars, hyperparameters)
        self.register_buffer("mean", torch.zeros(n_vars))
        self.register_buffer("components", torch.zeros(self.latent_dim, n_vars))

    def fit(self, x: Tensor) -> None:
        """Set mean and components, by falling variance, from x (N, G). Raises TrainingError where L is not below N and G."""
        if self.latent_dim >= min(x.shape):
            raise TrainingError(f"latent_dim is {self.latent_dim} but must be below {min(x.shape)} for data of {tuple(x.shape)}")
        self.mean.copy_(x.mean(0))
        start = torch.rand(min(x.shape)).numpy()
        _, _, components = svds((x - self.mean).cpu().numpy(), k=self.latent_dim, v0=start)
        self.components.copy_(torch.from_numpy(np.ascontiguousarray(components[::-1])))

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        """The squared error of the reconstruction."""
        return {"loss": squared_error(x, self.decode(self.encode(x).mean)).mean()}

    def encode(self, x: Tensor) -> Latents:
        """Project x (B, G) on the components."""
        z = (x - self.mean) @ self.components.T
        return Latents(z, z)

    def decode(self, z: Tensor) -> Tensor:
        """Map latents z (B, L) back to features."""
        return z @ self.components + self.mean
