"""Layers and transformations that the networks of several families share."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from sclatent.families.base import LOG_VAR_BOUNDS, MEAN_BOUNDS, NetworkHyperparameters
from sclatent.nn.sparse_rows import SparseRows, sparse_linear

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}
# exp(89) is infinite in float32, and the gradient of an infinite loss is not a number.
LARGEST_LOG_VAR = 20.0


class Float32(nn.Module):
    """Converts bfloat16 to float32.

    Under autocast, matrix products are in bfloat16, which is too coarse for likelihoods and
    divergences.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x, of any shape, as float32 if it is bfloat16; other types do not change."""
        return x.float() if x.dtype == torch.bfloat16 else x


def hidden_layers(
    n_in: int, widths: list[int], hp: NetworkHyperparameters, linear_first: bool = False
) -> nn.Sequential:
    """Return fully connected layers, each with dropout, batch normalisation and activation.

    Parameters
    ----------
    n_in
        Width of the input.
    widths
        Width of each layer; empty for a network that returns its input.
    hp
        Says which dropout, normalisation and activation follow each layer.
    linear_first
        Whether the first layer has no activation.

    Returns
    -------
    A network from (B, n_in) to (B, widths[-1]).
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
    """Return `hidden_layers` followed by a linear layer of width n_out.

    Returns
    -------
    A network from (B, n_in) to (B, n_out). Its output is float32 under autocast, too.
    """
    hidden = hidden_layers(n_in, widths, hp, linear_first)
    return nn.Sequential(*hidden, linear([n_in, *widths][-1], n_out, hp), Float32())


def first_width(network: nn.Sequential) -> int:
    """Return the width of the first layer of a network, which is a linear one."""
    first = network[0]
    assert isinstance(first, nn.Linear)
    return first.out_features


class Linear(nn.Linear):
    """A linear layer that takes a dense tensor or sparse rows.

    Weights (n_out, n_in) are stored with the longer axis first, so that the weights of one gene
    lie together in memory.
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
    """Return a linear layer with PyTorch's initial weights or, if hp.xavier, Xavier's.

    Source
    ------
    Glorot and Bengio 2010, the uniform variant.
    """
    layer = Linear(n_in, n_out)
    if hp.xavier and layer.weight.numel():
        nn.init.xavier_uniform_(layer.weight)
    return layer


def soft_clip(v: Tensor, low: float, high: float) -> Tensor:
    """Return v, of any shape, moved smoothly into the range from low to high.

    r = low + softplus(v - low), then high - softplus(high - r): monotone, and near the identity
    well inside the range.

    Source
    ------
    The bounded parameters of the GMVAE thesis.
    """
    raised = low + softplus(v - low)
    return high - softplus(high - raised)


def bounded_gaussian(mean: Tensor, log_var: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and log-variance, of any shape, within `MEAN_BOUNDS` and `LOG_VAR_BOUNDS`."""
    return soft_clip(mean, *MEAN_BOUNDS), soft_clip(log_var, *LOG_VAR_BOUNDS)


def inverse_soft_clip(out: Tensor, low: float, high: float) -> Tensor:
    """Return v with soft_clip(v, low, high) = out, of any shape.

    Values of out beyond the range or near its ends are first moved to 0.001 inside of it.
    """
    out = out.clamp(low + 1e-3, high - 1e-3)
    raised = high - inverse_softplus(high - out)
    return low + inverse_softplus(raised - low)


def inverse_softplus(y: Tensor) -> Tensor:
    """Return v with ln(1 + exp(v)) = y, for y above 0."""
    return y + (-torch.expm1(-y)).log()


def below_overflow(log_var: Tensor) -> Tensor:
    """Return a log-variance, cut at `LARGEST_LOG_VAR`.

    Beyond the cut its gradient stays 1, so that the divergence can bring it back.
    """
    return log_var + (log_var.clamp(max=LARGEST_LOG_VAR) - log_var).detach()
