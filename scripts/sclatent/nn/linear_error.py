"""The squared error of a decoder's last linear layer, as one differentiable function."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sclatent.nn.sparse_rows import SparseRows, product_type


def linear_squared_error(h: Tensor, weight: Tensor, bias: Tensor, x: Tensor | SparseRows) -> Tensor:
    """Sum over features of (x - (h weight^T + bias))^2. Input (B, H), (G, H), (G,) and (B, G), output (B,), at least float32.

    As `squared_error` of the layer's output, to which autograd gives the same gradients, but with one matrix of B x G where
    autograd makes four: for many features writing those takes as long as the products. With sparse x there is none: the square
    is expanded, and only W^T W, X W and X^T H are needed. x gets no gradient. Products take place in the type of autocast,
    where that is on, otherwise in the type of h; squares are summed in float32 or better.
    """
    dtype = product_type(h)
    if isinstance(x, SparseRows):
        return _SparseSquaredError.apply(h.to(weight.dtype), weight, bias, x, dtype)
    return _LinearSquaredError.apply(h.to(dtype), weight.to(dtype), bias.to(dtype), x.to(dtype))


class _LinearSquaredError(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        residual = (bias - x).addmm_(h, weight.t())
        ctx.save_for_backward(h, weight, residual)
        # Unlike square().sum(), a norm squares in the wider type and writes no matrix of squares.
        return torch.linalg.vector_norm(
            residual, dim=-1, dtype=torch.promote_types(h.dtype, torch.float32)
        ).square()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        h, weight, residual = ctx.saved_tensors
        scale = (
            (2 * grad).to(h.dtype).unsqueeze(-1)
        )  # of rows: scaling h and the product is cheaper than scaling the residual
        transposed = residual.t()
        return (
            scale * (residual @ weight),
            transposed @ (scale * h),
            (transposed @ scale).squeeze(-1),
            None,
        )


class _SparseSquaredError(torch.autograd.Function):
    """|x|^2 - 2 x m + |m|^2 with m = W h + b, for each cell: |m|^2 = h W^T W h + 2 b W h + |b|^2."""

    @staticmethod
    def forward(
        ctx, h: Tensor, weight: Tensor, bias: Tensor, x: SparseRows, dtype: torch.dtype
    ) -> Tensor:
        low = weight.to(dtype)
        of_mean = h @ (low.t() @ low).to(h.dtype)  # W^T W h
        of_rest = x.times(low).to(h.dtype) - bias @ weight  # W^T (x - b)
        ctx.save_for_backward(h, weight, low, bias, of_mean - of_rest)
        ctx.x = x
        return (
            x.squares
            - 2 * x.times(bias.unsqueeze(-1)).squeeze(-1)
            + bias @ bias
            + (h * (of_mean - 2 * of_rest)).sum(-1)
        )

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        h, weight, low, bias, residual = ctx.saved_tensors
        scale = 2 * grad.unsqueeze(-1)
        scaled = scale * h
        # Of the weights: sum of scale (W h + b - x) h^T over cells.
        of_weight = (low @ (h.t() @ scaled).to(low.dtype)).to(weight.dtype)
        of_weight -= ctx.x.transposed_times(scaled.to(low.dtype)).to(weight.dtype)
        of_weight.addr_(bias, scaled.sum(0))
        of_bias = (
            weight @ scaled.sum(0) + bias * scale.sum() - ctx.x.transposed_times(scale).squeeze(-1)
        )
        return scale * residual, of_weight, of_bias, None, None
