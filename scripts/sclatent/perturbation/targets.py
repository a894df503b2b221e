"""Cells of a data set with a treatment, and the targets of predictions: types and conditions."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
from scipy import sparse

from sclatent.common.vocabulary import ALL, FEWEST, HELD_OUT, TRAIN
from sclatent.io.matrices import read_matrix
from sclatent.perturbation.baselines import MeanProfiles


class Target(NamedTuple):
    """Treated cells that are predicted: of a type, or of all types, in a condition."""

    condition: str
    cell_type: str  # "all" for cells of any type
    control: np.ndarray  # rows of the control cells from which predictions start
    treated: np.ndarray  # rows of the treated cells that predictions are compared with


class Prediction(NamedTuple):
    """Treated cells as a method predicts them."""

    method: str
    expected: np.ndarray  # (n, G) expected expression
    drawn: np.ndarray  # (n, G) a draw, with what varies between cells


@dataclass(frozen=True)
class PerturbationData:
    """Control and treated cells of a data set."""

    x: sparse.csr_matrix  # (N, G) expression, float32
    obs: pd.DataFrame  # cell_type, condition and split of each cell
    genes: np.ndarray  # (G,) names
    control: str  # name of the control condition
    # Whether the treated cells of the predicted types are held out. If not, models have seen
    # treated cells of all types, and predictions are in sample.
    held_out: bool

    def rows(self, cell_type: str, condition: str, split: str | None = None) -> np.ndarray:
        """Return the rows (n,) of the cells of a type in a condition.

        Parameters
        ----------
        cell_type
            Cell type; "all" for any.
        condition
            Condition.
        split
            train or held_out; None for either.
        """
        chosen = self.obs["condition"] == condition
        if cell_type != ALL:
            chosen &= self.obs["cell_type"] == cell_type
        if split is not None:
            chosen &= self.obs["split"] == split
        return np.flatnonzero(chosen)

    def dense(self, rows: np.ndarray) -> np.ndarray:
        """Return the expression (n, G) of some cells."""
        return self.x[rows].toarray()

    def targets(self) -> Iterator[tuple[Target | None, str]]:
        """Yield each target and an empty text, or None and the reason why there is no target.

        If treated cells are held out, there is a target for each type whose treated cells are.
        In sample there is one for each type, and one for all cells whatever their type. The cells
        are then those held out at random, if there are any, or else all. There is no target for a
        type with too few cells, or if the response of no other type is known.
        """
        types = self._types() if self.held_out else [*self._types(), ALL]
        some_held_out = (self.obs["split"] == HELD_OUT).any()
        in_sample_split = HELD_OUT if some_held_out and not self.held_out else None
        treated_split = HELD_OUT if self.held_out else in_sample_split
        for condition in self._levels("condition"):
            if condition == self.control:
                continue
            for cell_type in types:
                control = self.rows(cell_type, self.control, in_sample_split)
                treated = self.rows(cell_type, condition, treated_split)
                if self.held_out and not len(treated):
                    continue
                target = Target(condition, cell_type, control, treated)
                reason = self._why_not(target)
                yield (None, reason) if reason else (target, "")

    def _why_not(self, target: Target) -> str:
        """Return why a target cannot be predicted; an empty text if it can."""
        cell_type, conditions = target.cell_type, (self.control, target.condition)
        fewest = min(len(target.control), len(target.treated))
        if fewest < FEWEST:
            either = " or ".join(conditions)
            return f"{cell_type} has {fewest} cells in {either}, too few to compare"
        if self.held_out and not self.known_types(target):
            both = " and ".join(conditions)
            return f"no type but {cell_type} has {FEWEST} training cells in both {both}"
        return ""

    def known_types(self, target: Target) -> list[str]:
        """Return the types, without the target's, whose response models can learn from.

        These have enough training cells in both the control condition and the target's.
        """
        return [
            cell_type
            for cell_type in self._types()
            if cell_type != target.cell_type
            and all(
                len(self.rows(cell_type, condition, TRAIN)) >= FEWEST
                for condition in (self.control, target.condition)
            )
        ]

    def known_profiles(self, target: Target) -> MeanProfiles:
        """Return the mean profiles of the training cells of the known types."""
        types = self.known_types(target)
        return MeanProfiles(
            *(
                np.stack([self._training_mean(cell_type, condition) for cell_type in types])
                for condition in (self.control, target.condition)
            )
        )

    def _training_mean(self, cell_type: str, condition: str) -> np.ndarray:
        return np.asarray(self.x[self.rows(cell_type, condition, TRAIN)].mean(axis=0)).ravel()

    def _types(self) -> list[str]:
        return self._levels("cell_type")

    def _levels(self, column: str) -> list[str]:
        return list(self.obs[column].cat.categories)


def read_perturbation_data(path: str | Path, held_out: bool) -> PerturbationData:
    """Read the cells of a file of the kind "preprocessed" that has conditions."""
    adata = read_matrix(path)
    return PerturbationData(
        # anndata's types allow more than files of this kind hold.
        cast(sparse.csr_matrix, adata.X),
        cast(pd.DataFrame, adata.obs),
        adata.var_names.to_numpy(),
        str(adata.uns["control"]),
        held_out,
    )
