"""Reconstruction terms: negative log-likelihoods of cells under what a decoder gives, summed over features."""

from torch import Tensor


def squared_error(x: Tensor, mean: Tensor) -> Tensor:
    """Sum over features of (x - mean)^2: a Gaussian with variance 1/2, up to a constant. Input (B, G) each, output (B,)."""
    return (x - mean).square().sum(-1)
