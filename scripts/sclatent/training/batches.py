"""Cells as the batches of a training."""

from collections.abc import Callable
from typing import cast

import torch
from scipy.sparse import csr_matrix, issparse
from torch import Tensor, nn

from sclatent.io.blocks import BLOCK
from sclatent.io.expression import Values
from sclatent.models.base import Batch
from sclatent.nn.sparse_rows import SparseRows
from sclatent.training.inputs import Input

# Up to this many bytes, all cells are kept dense on the device. If they need more, each batch is
# made from rows of the sparse matrix.
DENSE = 1_000_000_000
# One multiplication of a sparse product costs about as much as 3 of a dense product. This is
# measured, and includes the additional passes over dense matrices.
SPARSE_COST = 3


def sparse_pays(
    widths: tuple[int, int] | None, values: Values, input: Input, batch_size: int, device: str
) -> bool:
    """Return whether a training is faster on sparse rows than on dense ones, with equal results.

    Sparse rows are possible if the values stay sparse until the model sees them, and if the
    model's layers take them. Multiplications per epoch and cell: dense, 2 products with G x H in
    the encoder and 3 in the decoder; sparse, 2 each with the non-zero values, and per batch 3 with
    G x H x H for the square of the reconstruction.

    Parameters
    ----------
    widths
        `LatentModel.sparse_widths` of the model.
    values
        The cells.
    input
        The input of the model.
    batch_size
        Number of cells per batch.
    device
        "cpu" or "cuda".
    """
    if widths is None or device != "cpu" or not input.is_identity or not values.is_plain:
        return False
    if values.counts is not None or not issparse(values.x):
        return False
    encoder, decoder = widths
    n_nonzero, n_vars = cast(csr_matrix, values.x).nnz / len(values.cells), values.n_vars
    dense = n_vars * (2 * encoder + 3 * decoder)
    square = 3 * n_vars * decoder**2 / batch_size
    return SPARSE_COST * n_nonzero * 2 * (encoder + decoder) + square < dense


class CellBatches:
    """N cells as batches on a device.

    Parameters
    ----------
    values
        Normalised values (N, D), with counts if the model explains counts.
    input
        A fitted input, on the device.
    condition
        (N, C) one-hot, or None.
    label
        (N,) class of each cell, or None.
    device
        "cpu" or "cuda".
    dtype
        The type in which values are kept. bfloat16 halves the memory.
    sparse
        Whether batches are `SparseRows`, for models that take them.
    """

    def __init__(
        self,
        values: Values,
        input: Input,
        condition: Tensor | None = None,
        label: Tensor | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        sparse: bool = False,
    ):
        self.values, self.input, self.sparse = values, input, sparse
        self.device = torch.device(device)
        self.condition = None if condition is None else condition.to(device)
        self.label = None if label is None else label.to(device)
        # What precedes a mask is the same in every epoch. It is computed once if it fits.
        self.before: Callable[[Tensor], Tensor] = input.scaled if input.mask else input
        self.after: Callable[[Tensor], Tensor] = input.project if input.mask else nn.Identity()
        self.kept: Tensor | None = None
        self.kept_counts: Tensor | None = None
        n_bytes = dtype.itemsize + (0 if values.counts is None else torch.float32.itemsize)
        if not sparse and len(self) * input.n_genes * n_bytes <= DENSE:
            self.kept = self._all_cells(self._features, dtype)
            if values.counts is not None:
                self.kept_counts = self._all_cells(self._counts, torch.float32)

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.values.cells)

    def batch(self, rows: Tensor, masked: bool = True) -> Batch:
        """Return some cells.

        Parameters
        ----------
        rows
            (B,), positions of the cells.
        masked
            Whether genes are masked, if the input masks genes.
        """
        label = None if self.label is None else self.label[rows]
        if self.sparse:
            # Only models with `sparse_widths` get these, and their layers take them as tensors.
            x = cast(Tensor, SparseRows(cast(csr_matrix, self.values.x[rows.numpy()])))
            return Batch(x, x, None, label)
        features = self._features(rows) if self.kept is None else self.kept[rows]
        x = self.after(features)
        seen = self.after(self.input.masked(features)) if masked and self.input.mask else x
        if self.values.counts is not None:
            x = self._counts(rows) if self.kept_counts is None else self.kept_counts[rows]
        condition = None if self.condition is None else self.condition[rows]
        return Batch(x, seen, condition, label)

    def _features(self, rows: Tensor) -> Tensor:
        return self.before(torch.from_numpy(self.values.dense(rows.numpy())).to(self.device))

    def _counts(self, rows: Tensor) -> Tensor:
        assert self.values.counts is not None
        dense = self.values.counts[rows.numpy()].toarray()
        counts = torch.from_numpy(dense).float().to(self.device)
        return counts if self.input.genes is None else counts[:, self.input.genes]

    def _all_cells(self, read: Callable[[Tensor], Tensor], dtype: torch.dtype) -> Tensor:
        """Return what a function returns for every cell, (N, ...).

        It is filled block by block, so that there is never a second copy of all of it.
        """
        n_columns = read(torch.arange(0)).shape[1]
        kept = torch.empty(len(self), n_columns, dtype=dtype, device=self.device)
        for rows in torch.arange(len(self)).split(BLOCK):
            kept[rows] = read(rows).to(dtype)
        return kept
