"""Cells drawn from a model, and how they are kept in files."""

from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd

from sclatent.common.vocabulary import UNNAMED


class Drawn(NamedTuple):
    """n cells drawn from a model, in the units of the data."""

    values: np.ndarray  # (n, G) expression, with the noise of the likelihood
    expected: np.ndarray  # (n, G) expected expression of the same latents
    # (n,) cell type for which each cell was drawn; "all" if the model has no types, "no type" if
    # its component stands for none.
    cell_type: np.ndarray
    condition: np.ndarray  # (n,) condition for which each was drawn; "all" if the model sees none
    component: np.ndarray  # (n,) number of its component; "all" if the model has none

    def named(self) -> "Drawn":
        """Return the cells whose component stands for a type, and cells of models without types."""
        return Drawn(*(field[self.cell_type != UNNAMED] for field in self))


def as_matrix(drawn: Drawn, genes: pd.Index, seed: int) -> ad.AnnData:
    """Return drawn cells as an AnnData of the kind "drawn".

    Parameters
    ----------
    drawn
        The cells. If a value is not finite, the file has no cells, and says so.
    genes
        Names of the genes, (G,).
    seed
        Seed of the training that the cells come from.
    """
    if not np.isfinite([drawn.values, drawn.expected]).all():
        return no_cells(genes, "the model draws values that are not finite")
    return _matrix(drawn, genes, {"seed": seed})


def no_cells(genes: pd.Index, reason: str) -> ad.AnnData:
    """Return an AnnData of the kind "drawn" without cells, with the reason why there are none."""
    values, labels = np.empty((0, len(genes))), np.empty(0, dtype=str)
    return _matrix(Drawn(values, values, labels, labels, labels), genes, {"absent": reason})


def _matrix(drawn: Drawn, genes: pd.Index, uns: dict) -> ad.AnnData:
    labels = {
        name: pd.Categorical(getattr(drawn, name))
        for name in ("cell_type", "condition", "component")
    }
    names = pd.Index([f"drawn_{i}" for i in range(len(drawn.values))])
    return ad.AnnData(
        drawn.values.astype(np.float32),
        pd.DataFrame(labels, index=names),
        pd.DataFrame(index=genes),
        uns,
        layers={"expected": drawn.expected.astype(np.float32)},
    )
