"""Reads only expression values and the split, so that labels cannot leak into training."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from scipy import sparse

from sclatent.common.errors import LeakError, UserError
from sclatent.common.vocabulary import HELD_OUT, TRAIN
from sclatent.io.atomic import whole
from sclatent.io.hdf5 import array, group, texts


@dataclass(frozen=True)
class Values:
    """Normalised values of N cells and G genes, made dense and scaled only when they are asked for.

    Attributes
    ----------
    x
        Values as they are stored (N, G), CSR or dense.
    cells
        Name of each cell (N,). A balanced cell has the name of the cell that it repeats.
    training
        Which cells (N,) are for training.
    mean, std
        Mean and standard deviation of each gene (G,); None if values are not scaled.
    max_value
        Scaled values are clipped to at most this far from zero.
    balanced
        Mean and standard deviation of each gene (G,) over balanced cells, if the cells in the
        training were standardised by them; else None.
    counts
        The counts (N, G) behind the values, if they were asked for; else None.
    """

    x: sparse.csr_matrix | np.ndarray
    cells: np.ndarray
    training: np.ndarray
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    max_value: float = np.inf
    balanced: tuple[np.ndarray, np.ndarray] | None = None
    counts: sparse.csr_matrix | None = None

    @property
    def n_vars(self) -> int:
        """The number of genes."""
        # scipy declares its shapes as None.
        return self.x.shape[1]  # pyright: ignore[reportOptionalSubscript]

    @property
    def is_plain(self) -> bool:
        """Whether models see `x` as it is stored."""
        return self.mean is None and self.balanced is None

    def dense(self, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Return some rows, by default all, as models see them: dense float32 (n, G)."""
        x = self.x[rows]
        x = x if isinstance(x, np.ndarray) else x.toarray()
        if self.mean is not None and self.std is not None:
            x = np.clip(standardize(x, self.mean, self.std), -self.max_value, self.max_value)
        return x if self.balanced is None else standardize(x, *self.balanced)

    def for_training(self) -> "Values":
        """Return the values of the training cells only."""
        return self if self.training.all() else self.take(np.flatnonzero(self.training))

    def take(self, rows: np.ndarray) -> "Values":
        """Return the values of some cells, by their positions (n,)."""
        return replace(
            self,
            x=self.x[rows],
            cells=self.cells[rows],
            training=self.training[rows],
            counts=None if self.counts is None else self.counts[rows],
        )


def standardize(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return (x - mean) / std of values (n, G) as float32; a gene with std 0 is only centred."""
    return ((x - mean) / np.where(std == 0, 1, std)).astype(np.float32)


def read_values(
    path: str | Path, trained_on: str | Path | None = None, counts: bool = False
) -> Values:
    """Read the values of a data set.

    Parameters
    ----------
    path
        File of the kind "preprocessed" or "training".
    trained_on
        File on which models of this data set are trained. If it is of the kind "training" and
        standardised, the values get the same standardisation.
    counts
        Whether to read counts, too.

    Returns
    -------
    Values
        All cells of the file.

    Raises
    ------
    UserError
        If a file is missing or not whole, or if it has no counts and they are asked for.
    """
    with _opened(path) as file:
        obs, var = group(file, "obs"), group(file, "var")
        x = _matrix(file, "X")
        if _is_training(obs):
            cells = _categories(obs, "drawn")
            values = Values(x, cells, training=np.ones(len(cells), dtype=bool))
        else:
            values = Values(x, cells=_names(obs), training=_categories(obs, "split") == TRAIN)
            if "mean" in var:
                values = replace(
                    values,
                    mean=array(var, "mean")[:],
                    std=array(var, "std")[:],
                    max_value=float(array(file, "uns/max_value")[()]),
                )
        if counts:
            values = replace(values, counts=_counts(file, path))
    if trained_on is None:
        return values
    with _opened(trained_on) as file:
        var = group(file, "var")
        if _is_training(group(file, "obs")) and "mean" in var:
            values = replace(values, balanced=(array(var, "mean")[:], array(var, "std")[:]))
    return values


def held_out_cells(path: str | Path) -> np.ndarray:
    """Return the names of the cells held out in a file of the kind "preprocessed"."""
    with _opened(path) as file:
        obs = group(file, "obs")
        return _names(obs)[_categories(obs, "split") == HELD_OUT]


def check_none_held_out(cells: np.ndarray, path: str | Path) -> None:
    """Check that no cell is held out in a file of the kind "preprocessed".

    Parameters
    ----------
    cells
        Names of the cells (n,) that a model is about to be trained on.
    path
        The data set.

    Raises
    ------
    LeakError
        If one of them is held out.
    """
    leaked = np.intersect1d(cells, held_out_cells(path))
    if len(leaked):
        raise LeakError(f"{len(leaked)} cells held out reached training, the first {leaked[0]}")


def read_labels(path: str | Path, column: str, cells: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Read a label of some cells from a file of the kind "preprocessed".

    Only by this function do labels and conditions reach a training, for models that use them.

    Parameters
    ----------
    path
        The data set.
    column
        Column of obs, such as "condition".
    cells
        Names of the cells (n,).

    Returns
    -------
    tuple
        The number of each cell's level (n,), int64, and the names of the levels. Levels are
        numbered in the order of their names.

    Raises
    ------
    UserError
        If there is no such column.
    """
    with _opened(path) as file:
        obs = group(file, "obs")
        if column not in obs:
            raise UserError(
                f"{path} has no {column}, which the model needs; choose another model, or name the "
                "column in columns"
            )
        level_of = dict(zip(_names(obs), _categories(obs, column), strict=True))
        levels = sorted(set(level_of.values()))
    number = {level: i for i, level in enumerate(levels)}
    return np.array([number[level_of[cell]] for cell in cells], dtype=np.int64), levels


def read_genes(path: str | Path) -> np.ndarray:
    """Return the names of the genes (G,) of an AnnData file."""
    with _opened(path) as file:
        return _names(group(file, "var"))


@contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    """Open an AnnData file for reading; an error while it is read becomes a UserError."""
    with whole(path, ".h5ad file"), h5py.File(path) as file:
        yield file


def _is_training(obs: h5py.Group) -> bool:
    """Return whether a file is of the kind "training"."""
    return "drawn" in obs


def _matrix(file: h5py.File, place: str) -> sparse.csr_matrix | np.ndarray:
    """Return a matrix that is stored as CSR or dense."""
    if isinstance(file[place], h5py.Dataset):
        return array(file, place)[:]
    item = group(file, place)
    data, indices, indptr = (array(item, name)[:] for name in ("data", "indices", "indptr"))
    return sparse.csr_matrix((data, indices, indptr), shape=tuple(np.asarray(item.attrs["shape"])))


def _counts(file: h5py.File, path: str | Path) -> sparse.csr_matrix:
    if "layers/counts" not in file:
        raise UserError(
            f"{path} has no counts, which likelihoods of counts need; choose another likelihood or "
            "data set"
        )
    counts = _matrix(file, "layers/counts")
    if isinstance(counts, np.ndarray):
        raise TypeError("layers/counts is not sparse")
    return counts


def _names(frame: h5py.Group) -> np.ndarray:
    """Return the names of the rows of obs or var."""
    return texts(frame, str(frame.attrs["_index"]))


def _categories(frame: h5py.Group, name: str) -> np.ndarray:
    """Return the values of a categorical column as text."""
    column = group(frame, name)
    return texts(column, "categories")[array(column, "codes")[:]]
