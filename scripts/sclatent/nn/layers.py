"""Neural building blocks that the model families share."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from sclatent.families.base import NetworkHyperparameters
from sclatent.nn.sparse_rows import SparseRows, sparse_linear

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}


class Float32(nn.Module):
    """Return the input as float32: under autocast products come in bfloat16, too coarse for what is computed from them."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x, of any shape, as float32; float64 stays."""
        return x.float() if x.dtype == torch.bfloat16 else x


def hidden_layers(
    n_in: int, widths: list[int], hp: NetworkHyperparameters, linear_first: bool = False
) -> nn.Sequential:
    """Fully connected layers of the given widths, each followed by dropout, batch normalisation and activation as hp says.

    linear_first: no activation after the first layer. Input (B, n_in), output (B, widths[-1]), or the input where there are none.
    """
    layers: list[nn.Module] = []
    for i, (width_in, width) in enumerate(zip([n_in, *widths], widths, strict=False)):
        layers.append(linear(width_in, width, hp))
        if hp.dropout:
            layers.append(nn.Dropout(hp.dropout))
        if hp.batch_norm:
            layers.append(nn.BatchNorm1d(width))
        if not (linear_first and i == 0):
            layers.append(ACTIVATIONS[hp.activation]())
    return nn.Sequential(*layers)


def mlp(
    n_in: int, widths: list[int], n_out: int, hp: NetworkHyperparameters, linear_first: bool = False
) -> nn.Sequential:
    """`hidden_layers` followed by a linear layer. Input (B, n_in), output (B, n_out), float32 under autocast too."""
    hidden = hidden_layers(n_in, widths, hp, linear_first)
    return nn.Sequential(*hidden, linear([n_in, *widths][-1], n_out, hp), Float32())


class Linear(nn.Linear):
    """A linear layer that takes sparse rows as well as a dense tensor.

    Weights (n_out, n_in) lie in memory with the longer axis first, so that what belongs to a gene lies together.
    """

    def __init__(self, n_in: int, n_out: int):
        super().__init__(n_in, n_out)
        if n_in > n_out:
            self.weight = nn.Parameter(self.weight.detach().t().contiguous().t())

    def forward(self, x: Tensor | SparseRows) -> Tensor:
        """Return x weight^T + bias, (B, n_out)."""
        return (
            sparse_linear(x, self.weight, self.bias)
            if isinstance(x, SparseRows)
            else super().forward(x)
        )


def linear(n_in: int, n_out: int, hp: NetworkHyperparameters) -> Linear:
    """A linear layer with PyTorch's default initialisation or, with hp.xavier, weights by Glorot and Bengio 2010 (uniform)."""
    layer = Linear(n_in, n_out)
    if hp.xavier and layer.weight.numel():
        nn.init.xavier_uniform_(layer.weight)
    return layer


def soft_clip(v: Tensor, low: float, high: float) -> Tensor:
    """Return v, of any shape, bent smoothly into the range from low to high; monotone, near the identity well inside it.

    r = low + softplus(v - low), then high - softplus(high - r). Source: the GMVAE thesis' bounded parameters.
    """
    raised = low + softplus(v - low)
    return high - softplus(high - raised)
