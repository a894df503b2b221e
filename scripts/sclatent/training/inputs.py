"""What a model can see instead of normalised values: z-scores, principal components, masked genes.

Symbols: D features of a data set, G genes of them that the model uses, F features that it sees.
"""

import numpy as np
import torch
from torch import Tensor, nn

from sclatent.io.blocks import mean_and_std
from sclatent.io.expression import Values
from sclatent.nn.principal_axes import principal_axes


class Input(nn.Module):
    """Turns normalised values of cells (n, D) into the features (n, F) of a model, and back.

    Parameters
    ----------
    n_vars
        D.
    scale
        Whether to compute z-scores, with the mean and the deviation (n - 1) of training cells.
    max_value
        Values are clipped at most this far from zero; None for no limit.
    n_pcs
        F, the number of principal axes of training cells on which to project; None for F = G.
    mask
        Share of the genes that is hidden from each cell's encoder, in training only. Each step
        draws new ones. The other genes are multiplied by 1 / (1 - mask).
    genes
        (G,), which of the D features the model uses; None for all, G = D.
    """

    genes: Tensor | None
    mean: Tensor | None
    std: Tensor | None
    centre: Tensor | None
    axes: Tensor | None

    def __init__(
        self,
        n_vars: int,
        scale: bool = False,
        max_value: float | None = None,
        n_pcs: int | None = None,
        mask: float = 0.0,
        genes: Tensor | None = None,
    ):
        super().__init__()
        self.n_genes = n_vars if genes is None else len(genes)
        self.n_features = n_pcs or self.n_genes
        self.max_value = max_value
        self.n_pcs, self.mask = n_pcs, mask
        self.register_buffer("genes", genes)
        self.register_buffer("mean", torch.zeros(self.n_genes) if scale else None)
        self.register_buffer("std", torch.ones(self.n_genes) if scale else None)
        self.register_buffer("centre", torch.zeros(self.n_genes) if n_pcs else None)
        self.register_buffer("axes", torch.zeros(n_pcs, self.n_genes) if n_pcs else None)

    def fit(self, values: Values) -> None:
        """Learn means, deviations and principal axes from training cells.

        Raises
        ------
        TrainingError
            If n_pcs is not below the number of cells and of genes.
        """
        if self.mean is not None and self.std is not None:
            mean, std = _mean_and_std(values)
            if self.genes is not None:
                genes = self.genes.cpu().numpy()
                mean, std = mean[genes], std[genes]
            self.mean.copy_(torch.from_numpy(mean))
            self.std.copy_(torch.from_numpy(np.where(std == 0, 1, std)))
        if self.n_pcs is not None and self.centre is not None and self.axes is not None:
            centre, axes = principal_axes(
                lambda rows: self.scaled(torch.from_numpy(values.dense(rows))),
                len(values.cells),
                self.n_pcs,
            )
            self.centre.copy_(centre)
            self.axes.copy_(axes)

    @property
    def is_identity(self) -> bool:
        """Whether features are the values themselves."""
        return not self.mask and self.max_value is None and not any(True for _ in self.buffers())

    def scaled(self, values: Tensor) -> Tensor:
        """Return values (n, D) of the model's genes, as z-scores if the input scales, (n, G)."""
        x = values if self.genes is None else values[:, self.genes]
        if self.mean is not None and self.std is not None:
            x = (x - self.mean) / self.std
        return x if self.max_value is None else x.clamp(-self.max_value, self.max_value)

    def masked(self, x: Tensor) -> Tensor:
        """Return scaled values (n, G), a random share of each cell's genes 0, the others raised."""
        return x * (torch.rand_like(x) >= self.mask) / (1 - self.mask)

    def project(self, x: Tensor) -> Tensor:
        """Return scaled values (n, G) as features (n, F)."""
        if self.centre is None or self.axes is None:
            return x
        return (x - self.centre) @ self.axes.T

    def forward(self, values: Tensor) -> Tensor:
        """Return the features (n, F) of values (n, D), without a mask."""
        return self.project(self.scaled(values))

    def inverse(self, features: Tensor) -> Tensor:
        """Return the values (n, G) of features (n, F).

        Clipping is not undone. Of values that were projected, only the projection returns.
        """
        x = features
        if self.centre is not None and self.axes is not None:
            x = features @ self.axes + self.centre
        if self.mean is not None and self.std is not None:
            x = x * self.std + self.mean
        return x


def _mean_and_std(values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each feature (D,), after any scaling of the data set itself."""
    return mean_and_std(values.x if values.is_plain else values.dense())
