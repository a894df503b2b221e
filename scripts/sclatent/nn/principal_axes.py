"""Principal axes of cells, of any number."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.sparse.linalg import svds
from torch import Tensor

from sclatent.common.errors import TrainingError
from sclatent.io.blocks import BLOCK

# Up to as many values a matrix is decomposed whole; beyond that by the covariance of its features, summed over blocks of cells.
LARGE = 250_000_000


def principal_axes(
    cells: Callable[[slice], Tensor], n_cells: int, n_axes: int
) -> tuple[Tensor, Tensor]:
    """Return the mean (G,) and the n_axes leading principal axes (n_axes, G), by falling variance, of cells, float32.

    cells: gives the values (n, G) of a range of the n_cells cells. Signs are arbitrary. Raises TrainingError where n_axes is not
    below the number of cells and of features. Source: Pearson 1901; SciPy's truncated SVD by ARPACK, or eigenvectors by LAPACK.
    """
    n_vars = cells(slice(0, 1)).shape[1]
    if n_axes >= min(n_cells, n_vars):
        raise TrainingError(
            f"{n_axes} principal components must be below {min(n_cells, n_vars)} for data of {(n_cells, n_vars)}"
        )
    if n_cells * n_vars <= LARGE:
        return _by_svd(cells(slice(0, n_cells)), n_axes)
    return _by_covariance(cells, n_cells, n_vars, n_axes)


def _by_svd(x: Tensor, n_axes: int) -> tuple[Tensor, Tensor]:
    mean = x.mean(0)
    start = torch.rand(min(x.shape)).numpy()
    _, _, axes = svds((x - mean).cpu().numpy(), k=n_axes, v0=start)
    return mean, torch.from_numpy(np.ascontiguousarray(axes[::-1]))


def _by_covariance(
    cells: Callable[[slice], Tensor], n_cells: int, n_vars: int, n_axes: int
) -> tuple[Tensor, Tensor]:
    total = torch.zeros(n_vars, dtype=torch.float64)
    products = torch.zeros(n_vars, n_vars, dtype=torch.float64)
    for start in range(0, n_cells, BLOCK):
        block = cells(slice(start, min(start + BLOCK, n_cells))).cpu().double()
        total += block.sum(0)
        products.addmm_(block.T, block)
    mean = total / n_cells
    covariance = products / n_cells - torch.outer(mean, mean)
    _, vectors = eigh(covariance.numpy(), subset_by_index=[n_vars - n_axes, n_vars - 1])
    return mean.float(), torch.from_numpy(np.ascontiguousarray(vectors.T[::-1])).float()
