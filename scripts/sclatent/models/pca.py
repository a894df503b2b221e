"""Principal component analysis: the linear baseline of every learned model."""

from collections.abc import Callable

import torch
from torch import Tensor

from sclatent.families.pca import Hyperparameters
from sclatent.models.base import Batch, LatentModel, Latents
from sclatent.nn.principal_axes import principal_axes


class Model(LatentModel[Hyperparameters]):
    """z = (x - m) V, x' = z V' + m, with the mean m and principal axes V (G, L).

    V are the leading right singular vectors of the centred data. This is the optimum of a linear
    autoencoder under the squared error.

    Source
    ------
    Pearson 1901; SciPy's truncated SVD by ARPACK.
    """

    mean: Tensor
    components: Tensor

    def __init__(
        self, n_features: int, n_vars: int, n_conditions: int, hyperparameters: Hyperparameters
    ):
        super().__init__(n_features, n_vars, n_conditions, hyperparameters)
        self.register_buffer("mean", torch.zeros(n_vars))
        self.register_buffer("components", torch.zeros(self.latent_dim, n_vars))

    def fit(self, cells: Callable[[slice], Tensor], n_cells: int) -> None:
        """Set the mean and the components, by falling variance; see `LatentModel.fit`.

        Raises
        ------
        TrainingError
            If L is not below the number of cells and the number of features.
        """
        mean, components = principal_axes(cells, n_cells, self.latent_dim)
        self.mean.copy_(mean)
        self.components.copy_(components)

    def loss(self, batch: Batch, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the squared error of the reconstruction."""
        reconstruction = self.decode(self.encode(batch.seen).mean)
        return {"loss": (batch.x - reconstruction).square().sum(-1).mean()}

    def encode(self, seen: Tensor, condition: Tensor | None = None) -> Latents:
        """Return the projections of cells on the components as both mean and sample."""
        z = (seen - self.mean) @ self.components.T
        return Latents(z, z)

    def decode(self, z: Tensor, condition: Tensor | None = None, sample: bool = False) -> Tensor:
        """Return z V' + m. There is no likelihood to draw from, so a sample is the same."""
        return z @ self.components + self.mean
