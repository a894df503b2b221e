"""What any model can be given in place of normalised values: z-scores, principal components, cells with masked genes."""

import numpy as np
import torch
from torch import Tensor, nn

from sclatent.io.blocks import mean_and_std
from sclatent.io.expression import Values
from sclatent.nn.principal_axes import principal_axes


class Input(nn.Module):
    """From the normalised values of cells (n, D) to the features (n, F) that a model sees, and back.

    genes: (G,) which of the D features take part, None for all, G = D. scale: z-scores with the mean and deviation (n - 1) of
    training cells; max_value: clipped at most this far from zero, None for no limit. n_pcs: projection on as many principal
    axes of training cells, F = n_pcs; None for F = G. mask: share of the genes that each cell is seen without, drawn anew
    each step, the others raised by 1 / (1 - mask); in training only.
    """

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
        """Learn means, deviations and principal axes from training cells. Raises TrainingError where n_pcs is too large."""
        if self.mean is not None:
            mean, std = _mean_and_std(values)
            mean, std = (
                x if self.genes is None else x[self.genes.cpu().numpy()] for x in (mean, std)
            )
            self.mean.copy_(torch.from_numpy(mean))
            self.std.copy_(torch.from_numpy(np.where(std == 0, 1, std)))
        if self.n_pcs is not None:
            centre, axes = principal_axes(
                lambda rows: self.scaled(_dense(values, rows)), len(values.cells), self.n_pcs
            )
            self.centre.copy_(centre)
            self.axes.copy_(axes)

    @property
    def is_identity(self) -> bool:
        """Whether features are the values themselves."""
        return not self.mask and self.max_value is None and not any(True for _ in self.buffers())

    def scaled(self, values: Tensor) -> Tensor:
        """Return values (n, D) of the genes that take part, as z-scores where the input scales, (n, G)."""
        x = values if self.genes is None else values[:, self.genes]
        if self.mean is not None:
            x = (x - self.mean) / self.std
        return x if self.max_value is None else x.clamp(-self.max_value, self.max_value)

    def masked(self, x: Tensor) -> Tensor:
        """Return scaled values (n, G) with a random share of the genes of each cell set to 0 and the others raised."""
        return x * (torch.rand_like(x) >= self.mask) / (1 - self.mask)

    def project(self, x: Tensor) -> Tensor:
        """Return scaled values (n, G) as features (n, F)."""
        return x if self.axes is None else (x - self.centre) @ self.axes.T

    def forward(self, values: Tensor) -> Tensor:
        """Return the features (n, F) of values (n, D), nothing masked."""
        return self.project(self.scaled(values))

    def inverse(self, features: Tensor) -> Tensor:
        """Return the values (n, G) of features (n, F), as far as principal components hold them."""
        x = features if self.axes is None else features @ self.axes + self.centre
        return x if self.mean is None else x * self.std + self.mean


def _dense(values: Values, rows: slice) -> Tensor:
    return torch.from_numpy(values.dense(rows))


def _mean_and_std(values: Values) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each feature (D,) as models see it."""
    return mean_and_std(values.x if values.is_plain else values.dense())
