"""Cells drawn from a model, and how they are kept."""

from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd

from sclatent.common.vocabulary import UNNAMED


class Drawn(NamedTuple):
    """n cells drawn from a model, in the units of the data.

    values, expected: (n, G) with the noise of the likelihood, and what the same latents are expected to express. cell_type,
    condition, component: (n,) for which each was drawn, "all" where the model has none; the type of a component that stands for
    no type is "no type".
    """

    values: np.ndarray
    expected: np.ndarray
    cell_type: np.ndarray
    condition: np.ndarray
    component: np.ndarray

    def named(self) -> "Drawn":
        """Return the cells without those whose component stands for no type."""
        return Drawn(*(field[self.cell_type != UNNAMED] for field in self))


def as_matrix(drawn: Drawn, genes: pd.Index, seed: int) -> ad.AnnData:
    """Return drawn cells of genes (G,) as an AnnData of the kind "drawn", with the seed of the training that they come from."""
    if not np.isfinite([drawn.values, drawn.expected]).all():
        return no_cells(genes, "the model draws values that are not finite")
    return _matrix(drawn, genes, {"seed": seed})


def no_cells(genes: pd.Index, reason: str) -> ad.AnnData:
    """Return an AnnData of the kind "drawn" without cells, and why there are none."""
    values, labels = np.empty((0, len(genes))), np.empty(0, dtype=str)
    return _matrix(Drawn(values, values, labels, labels, labels), genes, {"absent": reason})


def _matrix(drawn: Drawn, genes: pd.Index, uns: dict) -> ad.AnnData:
    labels = {
        name: pd.Categorical(getattr(drawn, name))
        for name in ("cell_type", "condition", "component")
    }
    obs = pd.DataFrame(labels, index=[f"drawn_{i}" for i in range(len(drawn.values))])
    layers = {"expected": drawn.expected.astype(np.float32)}
    return ad.AnnData(
        drawn.values.astype(np.float32), obs, pd.DataFrame(index=genes), uns, layers=layers
    )
