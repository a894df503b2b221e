"""Principal axes of any number of cells."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.sparse.linalg import svds
from torch import Tensor

from sclatent.common.errors import TrainingError
from sclatent.io.blocks import BLOCK

# A matrix of at most this many values is decomposed as a whole. A larger one is not: the covariance
# of its features is summed over blocks of cells, and decomposed.
LARGE = 250_000_000


def principal_axes(
    cells: Callable[[slice], Tensor], n_cells: int, n_axes: int
) -> tuple[Tensor, Tensor]:
    """Return the mean of cells and their leading principal axes, by falling variance.

    Parameters
    ----------
    cells
        Returns the values (n, G) of a range of cells.
    n_cells
        Number of all cells.
    n_axes
        Number of axes.

    Returns
    -------
    The mean (G,) and the axes (n_axes, G), float32. The signs of axes are arbitrary.

    Raises
    ------
    TrainingError
        If n_axes is not below the number of cells and the number of features.

    Source
    ------
    Pearson 1901. SciPy's truncated SVD by ARPACK, or eigenvectors by LAPACK.
    """
    n_vars = cells(slice(0, 1)).shape[1]
    if n_axes >= min(n_cells, n_vars):
        raise TrainingError(
            f"{n_axes} principal components must be below {min(n_cells, n_vars)} for data of "
            f"{(n_cells, n_vars)}"
        )
    if n_cells * n_vars <= LARGE:
        return _by_svd(cells(slice(0, n_cells)), n_axes)
    return _by_covariance(cells, n_cells, n_vars, n_axes)


def _by_svd(x: Tensor, n_axes: int) -> tuple[Tensor, Tensor]:
    mean = x.mean(0)
    start = torch.rand(min(x.shape)).numpy()
    _, _, axes = svds((x - mean).cpu().numpy(), k=n_axes, v0=start)
    assert axes is not None  # svds returns None only if it is called for fewer vectors
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
