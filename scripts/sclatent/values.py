"""The normalised values of cells, and nothing else of their file but which are held out: no label can reach a training so."""

from dataclasses import dataclass
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
    """

    x: sparse.csr_matrix | np.ndarray
    cells: np.ndarray
    training: np.ndarray
    mean: np.ndarray | None
    std: np.ndarray | None
    max_value: float

    def dense(self, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Return some rows, all by default, as float32 (n, G), scaled where the data set is."""
        x = self.x[rows]
        x = x.toarray() if sparse.issparse(x) else x
        if self.mean is None:
            return x
        scaled = (x - self.mean) / np.where(self.std == 0, 1, self.std)
        return np.clip(scaled, -self.max_value, self.max_value).astype(np.float32)


def read_values(path: str | Path) -> Values:
    """Read the values of a file of the kind "preprocessed" or "training". Raises UserError where the file is not whole."""
    try:
        with h5py.File(path) as file:
            x, obs, var = file["X"], file["obs"], file["var"]
            if isinstance(x, h5py.Group):
                x = sparse.csr_matrix((x["data"][:], x["indices"][:], x["indptr"][:]), shape=x.attrs["shape"])
            else:
                x = x[:]
            drawn = "drawn" in obs  # rows of the kind "training" are all for training
            return Values(
                x=x,
                cells=_text(obs["drawn"]) if drawn else _names(obs),
                training=np.ones(x.shape[0], dtype=bool) if drawn else _text(obs["split"]) == "train",
                mean=var["mean"][:] if "mean" in var else None,
                std=var["std"][:] if "mean" in var else None,
                max_value=float(file["uns/max_value"][()]) if "mean" in var else np.inf,
            )
    except (OSError, KeyError) as error:
        raise UserError(f"{path} is not a whole .h5ad file ({error}); delete it and run again") from error


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
