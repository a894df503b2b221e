"""What is known of a treatment, and what is asked: cells of a data set, their types and conditions, and those to be predicted."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from sclatent.common.vocabulary import ALL, FEWEST
from sclatent.io.matrices import read_matrix
from sclatent.perturbation.baselines import Responses


class Target(NamedTuple):
    """Cells of a type, or all, that a treatment is predicted for: rows of control cells, and of treated ones to compare with."""

    condition: str
    cell_type: str
    control: np.ndarray
    treated: np.ndarray


class Prediction(NamedTuple):
    """Treated cells (n, G) as a method expects them, and as it draws them, with what varies between cells."""

    method: str
    expected: np.ndarray
    drawn: np.ndarray


@dataclass(frozen=True)
class Treated:
    """Cells of a data set with a treatment.

    x: (N, G) float32. obs: with cell_type, condition and split. genes: names (G,). control: name of the control condition.
    held_out: whether the treated cells of the types asked for are held out; otherwise models have seen treated cells of all
    types, and what they are asked for is in sample.
    """

    x: sparse.csr_matrix
    obs: pd.DataFrame
    genes: np.ndarray
    control: str
    held_out: bool

    def rows(self, cell_type: str, condition: str, split: str | None = None) -> np.ndarray:
        """Return the rows (n,) of the cells of a type, "all" for any, in a condition, of one split or of all."""
        chosen = self.obs["condition"] == condition
        if cell_type != ALL:
            chosen &= self.obs["cell_type"] == cell_type
        return np.flatnonzero(chosen if split is None else chosen & (self.obs["split"] == split))

    def dense(self, rows: np.ndarray) -> np.ndarray:
        """Return the values (n, G) of some cells."""
        return self.x[rows].toarray()

    def targets(self) -> Iterator[tuple[Target | None, str]]:
        """Yield what is asked for, or None and the reason: too few cells of a type, or no other type whose response is known.

        held_out: each type whose treated cells are held out. In sample: each type, and all cells whatever their type, in cells
        held out at random where there are such, else in all.
        """
        types = [*self.obs["cell_type"].cat.categories, *([] if self.held_out else [ALL])]
        split = None if self.held_out or not (self.obs["split"] == "held_out").any() else "held_out"
        treatments = [
            level for level in self.obs["condition"].cat.categories if level != self.control
        ]
        for condition in treatments:
            for cell_type in types:
                treated = self.rows(cell_type, condition, "held_out" if self.held_out else split)
                if self.held_out and not len(treated):
                    continue
                control = self.rows(cell_type, self.control, split)
                fewest = min(len(control), len(treated))
                if fewest < FEWEST:
                    yield (
                        None,
                        f"{cell_type} has {fewest} cells in {self.control} or {condition}, too few to compare",
                    )
                    continue
                target = Target(condition, cell_type, control, treated)
                if self.held_out and not self.known_types(target):
                    why = f"no type but {cell_type} has {FEWEST} training cells in both {self.control} and {condition}"
                    yield None, why
                else:
                    yield target, ""

    def known_types(self, target: Target) -> list[str]:
        """Return the types other than the target's whose response was seen in training."""
        return [
            cell_type
            for cell_type in self.obs["cell_type"].cat.categories
            if cell_type != target.cell_type
            and min(len(self.rows(cell_type, c, "train")) for c in (self.control, target.condition))
            >= FEWEST
        ]

    def known_responses(self, target: Target) -> Responses:
        """Return the mean profiles of the known types."""
        types = self.known_types(target)
        means = [
            [
                np.asarray(self.x[self.rows(cell_type, c, "train")].mean(axis=0)).ravel()
                for cell_type in types
            ]
            for c in (self.control, target.condition)
        ]
        return Responses(*map(np.stack, means))


def read_treated(path: str | Path, held_out: bool) -> Treated:
    """Read the cells of a file of the kind "preprocessed" that has conditions."""
    adata = read_matrix(path)
    return Treated(
        adata.X, adata.obs, adata.var_names.to_numpy(), str(adata.uns["control"]), held_out
    )
