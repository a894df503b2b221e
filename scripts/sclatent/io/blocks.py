"""Matrices of any size, in blocks of rows: CSR in memory, or lazy (dask) if they would not fit.

Both kinds are read in the same blocks, so sums over them are the same to the last bit.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import h5py
import numpy as np
from scipy import sparse

from sclatent.io.hdf5 import array, group

BLOCK = 4096  # rows per block
# A matrix with more stored values than this is read in blocks: in memory, with the copies that
# computing makes of it, it would take more than a gigabyte.
LARGE = 30_000_000

# A matrix in memory. Lazy matrices (dask arrays) pass under the same name: they have the methods
# that are used here, and dask is not imported only to name its type.
Matrix = sparse.csr_matrix | sparse.csc_matrix | np.ndarray


def h5_matrix(path: str | Path, place: str) -> Matrix:
    """Read a matrix of an HDF5 file.

    Parameters
    ----------
    path
        An HDF5 file in anndata's encoding.
    place
        Path of the matrix in the file, such as "layers/counts".

    Returns
    -------
    Matrix
        Lazy if the matrix has more than `LARGE` stored values and is stored by rows; otherwise in
        memory, as it is stored.
    """
    import anndata as ad  # takes most of a second, which trainings do without

    with h5py.File(path) as file:
        item = _matrix_item(file, place)
        stored = item if isinstance(item, h5py.Dataset) else array(item, "data")
        form = item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", ""))
        if stored.shape is None or stored.size is None:
            raise TypeError(f"{place} holds no values")
        if stored.size <= LARGE or form in ("csc_matrix", "csc"):
            return cast(Matrix, ad.io.read_elem(item))
    from anndata.experimental import read_elem_lazy  # imports dask, which small data do without

    item = _matrix_item(h5py.File(path), place)  # stays open as long as the lazy matrix exists
    shape = item.shape if isinstance(item, h5py.Dataset) else item.attrs["shape"]
    n_vars = int(np.asarray(shape)[1])
    return cast(Matrix, read_elem_lazy(item, chunks=(BLOCK, n_vars)))


def is_lazy(matrix) -> bool:
    """Return whether a matrix is read from its file block by block."""
    return hasattr(matrix, "dask")


def row_blocks(matrix) -> Iterator[tuple[slice, sparse.csr_matrix]]:
    """Yield the rows and the values (CSR) of each block of a matrix (n, d)."""
    for start in range(0, matrix.shape[0], BLOCK):
        rows = slice(start, min(start + BLOCK, matrix.shape[0]))
        block = matrix[rows]
        values = block.compute(scheduler="synchronous") if is_lazy(block) else block
        yield rows, sparse.csr_matrix(values)


def map_blocks(matrix, function: Callable, dtype):
    """Apply a function to a matrix (n, d).

    Parameters
    ----------
    matrix
        CSR or lazy.
    function
        Takes and returns CSR of the same shape, with rows independent of each other.
    dtype
        Type of the values that `function` returns.

    Returns
    -------
    Matrix
        Lazy if `matrix` is lazy, else CSR.
    """
    return matrix.map_blocks(function, dtype=dtype) if is_lazy(matrix) else function(matrix)


def in_blocks(matrix):
    """Return a matrix whose lazy blocks have the usual size, whatever rows were selected before."""
    return matrix.rechunk((BLOCK, -1)) if is_lazy(matrix) else matrix


def detected_per_row(matrix) -> np.ndarray:
    """Return the number of non-zero values in each row (n,)."""
    return np.concatenate([np.diff(block.indptr) for _, block in row_blocks(matrix)])


def detected_per_column(matrix, rows: np.ndarray) -> np.ndarray:
    """Return the number of non-zero values per column (d,), over the rows (n,) that are True."""
    total = np.zeros(matrix.shape[1], dtype=np.int64)
    for chosen, block in row_blocks(matrix):
        total += np.bincount(block[rows[chosen]].indices, minlength=matrix.shape[1])
    return total


def mean_and_std(matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (n - 1) of each column.

    Returns
    -------
    tuple
        Two arrays, float64 (d,). The deviation of a constant column is exactly 0.
    """
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


def _matrix_item(file: h5py.File, place: str) -> h5py.Group | h5py.Dataset:
    """Return where a matrix is stored: a group for sparse ones, an array for dense ones."""
    is_dense = isinstance(file[place], h5py.Dataset)
    return array(file, place) if is_dense else group(file, place)
