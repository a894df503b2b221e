"""The squared error of a decoder's last linear layer, as one differentiable function."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sclatent.nn.sparse_rows import SparseRows, product_type


def linear_squared_error(h: Tensor, weight: Tensor, bias: Tensor, x: Tensor | SparseRows) -> Tensor:
    """Return the sum over features of (x - (h weight^T + bias))^2.

    The gradients are those that autograd gives for `squared_error` of the layer's output. But this
    function writes one matrix of B x G instead of autograd's four. With many features, writing
    those takes as long as the products. If x is sparse, there is no such matrix at all: the square
    is expanded, and only W^T W, X W and X^T H are computed.

    Parameters
    ----------
    h
        (B, H), the decoder's last hidden layer.
    weight, bias
        (G, H) and (G,), those of the linear layer.
    x
        (B, G), the cells. They get no gradient.

    Returns
    -------
    (B,), at least float32. Products are computed in the type of autocast if it is on, otherwise in
    the type of h. Squares are summed in float32 or better.
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
        # Scaling the rows of h and of the product is cheaper than scaling those of the residual.
        scale = (2 * grad).to(h.dtype).unsqueeze(-1)
        transposed = residual.t()
        return (
            scale * (residual @ weight),
            transposed @ (scale * h),
            (transposed @ scale).squeeze(-1),
            None,
        )


class _SparseSquaredError(torch.autograd.Function):
    """|x|^2 - 2 x m + |m|^2 per cell, with m = W h + b and |m|^2 = h W^T W h + 2 b W h + |b|^2."""

    @staticmethod
    def forward(
        ctx, h: Tensor, weight: Tensor, bias: Tensor, x: SparseRows, dtype: torch.dtype
    ) -> Tensor:
        low = weight.to(dtype)
        mean_term = h @ (low.t() @ low).to(h.dtype)  # W^T W h
        cell_term = x.times(low).to(h.dtype) - bias @ weight  # W^T (x - b)
        ctx.save_for_backward(h, weight, low, bias, mean_term - cell_term)
        ctx.x = x
        return (
            x.squares
            - 2 * x.times(bias.unsqueeze(-1)).squeeze(-1)
            + bias @ bias
            + (h * (mean_term - 2 * cell_term)).sum(-1)
        )

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        h, weight, low, bias, residual = ctx.saved_tensors
        scale = 2 * grad.unsqueeze(-1)
        scaled = scale * h
        # The gradient of the weights is the sum over cells of scale (W h + b - x) h^T.
        weight_grad = (low @ (h.t() @ scaled).to(low.dtype)).to(weight.dtype)
        weight_grad -= ctx.x.transposed_times(scaled.to(low.dtype)).to(weight.dtype)
        weight_grad.addr_(bias, scaled.sum(0))
        bias_grad = (
            weight @ scaled.sum(0) + bias * scale.sum() - ctx.x.transposed_times(scale).squeeze(-1)
        )
        return scale * residual, weight_grad, bias_grad, None, None
