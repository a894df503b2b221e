"""Cells as rows of a sparse matrix, for layers that do not need a dense one."""

from typing import cast

import torch
from scipy import sparse
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding_bag


class SparseRows:
    """B cells by G genes, most values 0. It replaces a dense tensor (B, G), on the CPU.

    Attributes
    ----------
    shape
        (B, G).
    squares
        (B,), sum of the squared values of each cell.
    """

    def __init__(self, matrix: sparse.csr_matrix):
        # SciPy's own annotations give no type to the shape.
        self.shape = cast(tuple[int, int], matrix.shape)
        self.by_cell, self.by_gene = _tensors(matrix), _tensors(matrix.tocsc())
        squares = torch.from_numpy(matrix.data).square()
        self.squares = torch.segment_reduce(squares, "sum", offsets=self.by_cell[0].long())

    def __len__(self) -> int:
        """Return the number of cells."""
        return self.shape[0]

    def times(self, w: Tensor) -> Tensor:
        """Return the product (B, H) with w (G, H)."""
        return _product(self.by_cell, w)

    def transposed_times(self, w: Tensor) -> Tensor:
        """Return the product (G, H) of the transpose with w (B, H)."""
        return _product(self.by_gene, w)


def sparse_linear(x: SparseRows, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x weight^T + bias, (B, H), for weight (H, G) and bias (H,).

    Products are computed in the type of autocast, if it is on.
    """
    return _SparseLinear.apply(x, weight, bias, product_type(weight))


def product_type(tensor: Tensor) -> torch.dtype:
    """Return the type in which products with a tensor are computed.

    It is the type of autocast if that is on, otherwise the type of the tensor.
    """
    device = tensor.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensor.dtype


def _tensors(matrix: sparse.csr_matrix | sparse.csc_array) -> tuple[Tensor, Tensor, Tensor]:
    """Return offsets, indices and values of a matrix in SciPy's CSR or CSC format."""
    return (
        torch.from_numpy(matrix.indptr),
        torch.from_numpy(matrix.indices),
        torch.from_numpy(matrix.data),
    )


def _product(rows: tuple[Tensor, Tensor, Tensor], w: Tensor) -> Tensor:
    """Return a sparse matrix times w. Each row of the result is a weighted sum of rows of w.

    For these sums, embedding_bag is faster than torch's own sparse product.
    """
    offsets, columns, values = rows
    return embedding_bag(
        columns,
        w,
        offsets,
        per_sample_weights=values.to(w.dtype),
        mode="sum",
        include_last_offset=True,
    )


class _SparseLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: SparseRows, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.x, ctx.dtype = x, dtype
        return x.times(weight.t().to(dtype)).to(weight.dtype) + bias

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[None, Tensor, Tensor, None]:
        return (
            None,
            ctx.x.transposed_times(grad.to(ctx.dtype)).to(grad.dtype).t(),
            grad.sum(0),
            None,
        )
