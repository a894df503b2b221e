"""The normalised values of cells, and nothing else of their file but which are held out: no label can reach a training so."""

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from scipy import sparse

from sclatent.errors import LeakError, UserError


@dataclass(frozen=True)
class Values:
    """Normalised values of cells (N, G), made dense and scaled when they are asked for.

    cells: name of each cell, of the cell that was drawn where cells were drawn. training: which cells are for training. mean,
    std: of each gene, None where values are not scaled. max_value: scaled values are clipped at most this far from zero.
    balanced: mean and deviation of each gene of the balanced cells, where those that are trained on were standardised by them.
    """

    x: sparse.csr_matrix | np.ndarray
    cells: np.ndarray
    training: np.ndarray
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    max_value: float = np.inf
    balanced: tuple[np.ndarray, np.ndarray] | None = None

    def dense(self, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Return some rows, all by default, as float32 (n, G), as models see them."""
        x = self.x[rows]
        x = x.toarray() if sparse.issparse(x) else x
        if self.mean is not None:
            x = np.clip(standardize(x, self.mean, self.std), -self.max_value, self.max_value)
        return x if self.balanced is None else standardize(x, *self.balanced)

    def for_training(self) -> "Values":
        """Return the values of the cells that are for training alone."""
        return replace(self, x=self.x[self.training], cells=self.cells[self.training], training=self.training[self.training])


def standardize(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return values (n, G) less their mean by their deviation, float32; a gene without deviation is only centred."""
    return ((x - mean) / np.where(std == 0, 1, std)).astype(np.float32)


def read_values(path: str | Path, trained_on: str | Path | None = None) -> Values:
    """Read the values of a file of the kind "preprocessed" or "training".

    trained_on: the file that models of this data set are trained on; where that is of the kind "training" and was standardised,
    these values are, alike. Raises UserError where a file is not whole.
    """
    try:
        with h5py.File(path) as file:
            x, obs, var = file["X"], file["obs"], file["var"]
            if isinstance(x, h5py.Group):
                x = sparse.csr_matrix((x["data"][:], x["indices"][:], x["indptr"][:]), shape=x.attrs["shape"])
            else:
                x = x[:]
            if "drawn" in obs:  # of the kind "training"
                return Values(x, cells=_text(obs["drawn"]), training=np.ones(x.shape[0], dtype=bool))
            values = Values(x, cells=_names(obs), training=_text(obs["split"]) == "train")
            if "mean" in var:
                statistics = {"mean": var["mean"][:], "std": var["std"][:], "max_value": float(file["uns/max_value"][()])}
                values = replace(values, **statistics)
        if trained_on is not None:
            with h5py.File(trained_on) as file:
                if "drawn" in file["obs"] and "mean" in file["var"]:
                    values = replace(values, balanced=(file["var/mean"][:], file["var/std"][:]))
    except (OSError, KeyError) as error:
        raise UserError(f"{path} is not a whole .h5ad file ({error}); delete it and run again") from error
    return values


def check_none_held_out(cells: np.ndarray, path: str | Path) -> None:
    """Raise LeakError where cells about to be trained on are held out in a file of the kind "preprocessed"."""
    with h5py.File(path) as file:
        held_out = _names(file["obs"])[_text(file["obs/split"]) == "held_out"]
    leaked = np.intersect1d(cells, held_out)
    if len(leaked):
        raise LeakError(f"{len(leaked)} cells held out reached training, the first {leaked[0]}")


def _names(obs: h5py.Group) -> np.ndarray:
    return obs[obs.attrs["_index"]].asstr()[:]


def _text(column: h5py.Group) -> np.ndarray:
    """Return the values of a categorical column."""
    return column["categories"].asstr()[:][column["codes"][:]]
