"""Matrices of any size, row block by row block: CSR in memory, or lazy (dask) where they would not fit.

Both kinds are read in the same blocks, so that the sums computed here are the same to the last bit.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
from scipy import sparse

BLOCK = 4096  # rows
# A matrix with more stored values than this is read block by block: in memory it would take a gigabyte with its copies.
LARGE = 30_000_000


def h5_matrix(path: str | Path, place: str):
    """Return a matrix of an HDF5 file: lazy where it is large and stored by rows, else as it is stored."""
    import anndata as ad  # takes most of a second, which trainings do without

    with h5py.File(path) as file:
        item = file[place]
        stored = item if isinstance(item, h5py.Dataset) else item["data"]
        by_columns = item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", "")) in (
            "csc_matrix",
            "csc",
        )
        if stored.size <= LARGE or by_columns:
            return ad.io.read_elem(item)
    from anndata.experimental import read_elem_lazy  # imports dask, which small data do without

    item = h5py.File(path)[place]  # open as long as the lazy matrix lives
    n_vars = item.shape[1] if isinstance(item, h5py.Dataset) else item.attrs["shape"][1]
    return read_elem_lazy(item, chunks=(BLOCK, int(n_vars)))


def is_lazy(matrix) -> bool:
    """Return whether a matrix is read from its file block by block."""
    return hasattr(matrix, "dask")


def row_blocks(matrix) -> Iterator[tuple[slice, sparse.csr_matrix]]:
    """Yield the rows and the values (CSR) of each block of a matrix."""
    for start in range(0, matrix.shape[0], BLOCK):
        rows = slice(start, min(start + BLOCK, matrix.shape[0]))
        block = matrix[rows]
        yield (
            rows,
            sparse.csr_matrix(block.compute(scheduler="synchronous") if is_lazy(block) else block),
        )


def map_blocks(matrix, function: Callable, dtype):
    """Return a matrix with a function applied to it, CSR to CSR of the same shape; a lazy one stays lazy."""
    return matrix.map_blocks(function, dtype=dtype) if is_lazy(matrix) else function(matrix)


def in_blocks(matrix):
    """Return a matrix that, where it is lazy, is cut into the usual blocks, whatever rows were taken out of it before."""
    return matrix.rechunk((BLOCK, -1)) if is_lazy(matrix) else matrix


def detected_per_row(matrix) -> np.ndarray:
    """Return the number of values other than zero (n,) in each row."""
    return np.concatenate([np.diff(block.indptr) for _, block in row_blocks(matrix)])


def detected_per_column(matrix, rows: np.ndarray) -> np.ndarray:
    """Return the number of values other than zero (d,) in each column, over the rows (n,) that are True."""
    total = np.zeros(matrix.shape[1], dtype=np.int64)
    for chosen, block in row_blocks(matrix):
        total += np.bincount(block[rows[chosen]].indices, minlength=matrix.shape[1])
    return total


def mean_and_std(matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (n - 1) of each column, float64 (d,); a constant column has exactly 0."""
    total, squares = np.zeros((2, matrix.shape[1]))
    for _, block in row_blocks(matrix):
        block = block.astype(np.float64)
        total += np.asarray(block.sum(axis=0)).ravel()
        squares += np.asarray(block.multiply(block).sum(axis=0)).ravel()
    n = matrix.shape[0]
    mean = total / n
    deviations = squares - n * mean**2
    deviations[deviations < 1e-12 * squares] = 0  # what rounding leaves of a constant column
    return mean, np.sqrt(deviations / max(n - 1, 1))
