"""The cells that a training draws its batches from."""

from collections.abc import Callable

import torch
from scipy.sparse import issparse
from torch import Tensor, nn

from sclatent.io.blocks import BLOCK
from sclatent.io.expression import Values
from sclatent.models.base import Batch
from sclatent.nn.sparse_rows import SparseRows
from sclatent.training.inputs import Input

# Bytes up to which all cells are kept dense on the device; beyond that each batch is made from rows of the sparse matrix.
DENSE = 1_000_000_000
SPARSE_COST = 3  # of a multiplication in a sparse product, in those of a dense one, with the passes over dense matrices; measured


def sparse_pays(
    widths: tuple[int, int] | None, values: Values, input: Input, batch_size: int, device: str
) -> bool:
    """Return whether a training is faster on sparse rows than on dense ones, and gives the same.

    widths: those of `LatentModel.sparse_widths`. It needs values that nothing makes dense, and a model whose layers take them.
    Multiplications an epoch and cell: dense, 2 products with G x H in the encoder and 3 in the decoder; sparse, 2 each with the
    non-zero values, and 3 a batch with G x H x H for the square of the reconstruction.
    """
    plain = input.is_identity and values.is_plain and issparse(values.x) and values.counts is None
    if widths is None or not plain or device != "cpu":
        return False
    encoder, decoder = widths
    n_nonzero, n_vars = values.x.nnz / len(values.cells), values.n_vars
    dense = n_vars * (2 * encoder + 3 * decoder)
    return (
        SPARSE_COST * n_nonzero * 2 * (encoder + decoder) + 3 * n_vars * decoder**2 / batch_size
        < dense
    )


class Cells:
    """N cells as batches on a device.

    values: normalised values (N, D), with counts where models are to explain counts. input: fitted, on the device. condition:
    (N, C) one-hot, or None. label: (N,) class of each cell, or None. dtype: in which values are kept; bfloat16 halves memory.
    sparse: batches are `SparseRows`, for models that take them.
    """

    def __init__(
        self,
        values: Values,
        input: Input,
        condition: Tensor | None = None,
        label: Tensor | None = None,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        sparse: bool = False,
    ):
        self.values, self.input, self.device, self.sparse = (
            values,
            input,
            torch.device(device),
            sparse,
        )
        self.condition = None if condition is None else condition.to(device)
        self.label = None if label is None else label.to(device)
        # What comes before a mask is the same in every epoch, and is made once where it fits.
        self.before, self.after = (
            (input.scaled, input.project) if input.mask else (input, nn.Identity())
        )
        self.kept = self.counts = None
        if (
            not sparse
            and len(self) * input.n_genes * (dtype.itemsize + 4 * (values.counts is not None))
            <= DENSE
        ):
            self.kept = self._all(self._features, dtype)
            self.counts = None if values.counts is None else self._all(self._counts, torch.float32)

    def __len__(self) -> int:
        """The number of cells."""
        return len(self.values.cells)

    @property
    def n_vars(self) -> int:
        """The number G of features that a decoder explains: genes where they are counts, else what the input gives."""
        return self.input.n_features if self.values.counts is None else self.input.n_genes

    def batch(self, rows: Tensor, masked: bool = True) -> Batch:
        """Return the cells of some rows (B,); their genes are masked if the input masks, unless masked is false."""
        if self.sparse:
            x = SparseRows(self.values.x[rows.numpy()])
            return Batch(x, x, None, None if self.label is None else self.label[rows])
        features = self._features(rows) if self.kept is None else self.kept[rows]
        x = self.after(features)
        seen = self.after(self.input.masked(features)) if masked and self.input.mask else x
        if self.values.counts is not None:
            x = self._counts(rows) if self.counts is None else self.counts[rows]
        condition = None if self.condition is None else self.condition[rows]
        return Batch(x, seen, condition, None if self.label is None else self.label[rows])

    def _features(self, rows: Tensor) -> Tensor:
        return self.before(torch.from_numpy(self.values.dense(rows.numpy())).to(self.device))

    def _counts(self, rows: Tensor) -> Tensor:
        counts = (
            torch.from_numpy(self.values.counts[rows.numpy()].toarray()).float().to(self.device)
        )
        return counts if self.input.genes is None else counts[:, self.input.genes]

    def _all(self, of_rows: Callable[[Tensor], Tensor], dtype: torch.dtype) -> Tensor:
        """Return what a function gives for every row, in blocks, so that no second copy of it all is made."""
        kept = None
        for rows in torch.arange(len(self)).split(BLOCK):
            block = of_rows(rows)
            kept = (
                torch.empty(len(self), block.shape[1], dtype=dtype, device=self.device)
                if kept is None
                else kept
            )
            kept[rows] = block.to(dtype)
        return kept
