"""The values of cells, without anything else of their file but which are held out: no label can reach a training unasked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from scipy import sparse

from sclatent.common.errors import LeakError, UserError
from sclatent.io.atomic import whole


@dataclass(frozen=True)
class Values:
    """Normalised values of cells (N, G), made dense and scaled when they are asked for.

    cells: name of each cell, of the cell that was drawn where cells were drawn. training: which cells are for training. mean,
    std: of each gene, None where values are not scaled. max_value: scaled values are clipped at most this far from zero.
    balanced: mean and deviation of each gene of the balanced cells, where those that are trained on were standardised by them.
    counts: the counts behind the values, where they were asked for.
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
        return self.x.shape[1]

    @property
    def is_plain(self) -> bool:
        """Whether models see x as it is stored."""
        return self.mean is None and self.balanced is None

    def dense(self, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Return some rows, all by default, as float32 (n, G), as models see them."""
        x = self.x[rows]
        x = x.toarray() if sparse.issparse(x) else x
        if self.mean is not None:
            x = np.clip(standardize(x, self.mean, self.std), -self.max_value, self.max_value)
        return x if self.balanced is None else standardize(x, *self.balanced)

    def for_training(self) -> "Values":
        """Return the values of the cells that are for training alone."""
        return self if self.training.all() else self.take(np.flatnonzero(self.training))

    def take(self, rows: np.ndarray) -> "Values":
        """Return the values of some cells (n,) alone."""
        counts = None if self.counts is None else self.counts[rows]
        return replace(
            self,
            x=self.x[rows],
            cells=self.cells[rows],
            training=self.training[rows],
            counts=counts,
        )


def standardize(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return values (n, G) less their mean by their deviation, float32; a gene without deviation is only centred."""
    return ((x - mean) / np.where(std == 0, 1, std)).astype(np.float32)


def read_values(
    path: str | Path, trained_on: str | Path | None = None, counts: bool = False
) -> Values:
    """Read the values of a file of the kind "preprocessed" or "training", and its counts if asked for.

    trained_on: the file that models of this data set are trained on; where that is of the kind "training" and was standardised,
    these values are, alike. Raises UserError where a file is not whole, or has no counts.
    """
    with _opened(path) as file:
        obs, var = file["obs"], file["var"]
        x = _matrix(file["X"])
        if "drawn" in obs:  # of the kind "training"
            values = Values(x, cells=_text(obs["drawn"]), training=np.ones(x.shape[0], dtype=bool))
        else:
            values = Values(x, cells=_names(obs), training=_text(obs["split"]) == "train")
        if counts and "layers/counts" not in file:
            raise UserError(
                f"{path} has no counts, which likelihoods of counts need; choose another likelihood or data set"
            )
        if counts:
            values = replace(values, counts=_matrix(file["layers/counts"]))
        if "drawn" in obs:
            return values
        if "mean" in var:
            statistics = {
                "mean": var["mean"][:],
                "std": var["std"][:],
                "max_value": float(file["uns/max_value"][()]),
            }
            values = replace(values, **statistics)
    if trained_on is not None:
        with _opened(trained_on) as file:
            if "drawn" in file["obs"] and "mean" in file["var"]:
                values = replace(values, balanced=(file["var/mean"][:], file["var/std"][:]))
    return values


def held_out_cells(path: str | Path) -> np.ndarray:
    """Return the names of the cells that are held out in a file of the kind "preprocessed"."""
    with _opened(path) as file:
        return _names(file["obs"])[_text(file["obs/split"]) == "held_out"]


def check_none_held_out(cells: np.ndarray, path: str | Path) -> None:
    """Raise LeakError where cells about to be trained on are held out in a file of the kind "preprocessed"."""
    leaked = np.intersect1d(cells, held_out_cells(path))
    if len(leaked):
        raise LeakError(f"{len(leaked)} cells held out reached training, the first {leaked[0]}")


def read_labels(path: str | Path, column: str, cells: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the level (n,) of cells, by name, in a column of obs of a file of the kind "preprocessed", and the names of levels.

    The one way by which labels and conditions reach a training, for models that are told to use them. Levels are numbered in
    the order of their names. Raises UserError where there is no such column.
    """
    with _opened(path) as file:
        if column not in file["obs"]:
            raise UserError(
                f"{path} has no {column}, which the model needs; choose another model, or name the column in columns"
            )
        of_cell = dict(zip(_names(file["obs"]), _text(file[f"obs/{column}"]), strict=True))
        levels = sorted(set(of_cell.values()))
    number = {level: i for i, level in enumerate(levels)}
    return np.array([number[of_cell[cell]] for cell in cells], dtype=np.int64), levels


def read_genes(path: str | Path) -> np.ndarray:
    """Return the names of the genes (G,) of an AnnData file."""
    with _opened(path) as file:
        return _names(file["var"])


@contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    """Yield an AnnData file that is open for reading. Raises UserError where it, or what is read of it, is not whole."""
    with whole(path, ".h5ad file"), h5py.File(path) as file:
        yield file


def _matrix(item: h5py.Group | h5py.Dataset) -> sparse.csr_matrix | np.ndarray:
    """Return a matrix that is stored as CSR or dense."""
    if isinstance(item, h5py.Dataset):
        return item[:]
    return sparse.csr_matrix(
        (item["data"][:], item["indices"][:], item["indptr"][:]), shape=item.attrs["shape"]
    )


def _names(obs: h5py.Group) -> np.ndarray:
    return obs[obs.attrs["_index"]].asstr()[:]


def _text(column: h5py.Group) -> np.ndarray:
    """Return the values of a categorical column."""
    return column["categories"].asstr()[:][column["codes"][:]]
