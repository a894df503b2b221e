"""Score drawn cells: how like real cells they are, and whether they are of the intended type."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

from sclatent.common.not_measured import NotMeasured
from sclatent.common.vocabulary import ALL, FEWEST
from sclatent.generation.draw import N_DRAWN
from sclatent.generation.drawn import Drawn
from sclatent.metrics.expression import measure_cells
from sclatent.metrics.principal_components import principal_space

N_CLASSIFIED = 5000  # real cells, at most, that the classifier of cell types learns from
CLASSIFIER_PCS = 50
CLASSIFIER_FOLDS = 5


class DrawnScore(NamedTuple):
    """A score of drawn cells: the columns of the kind "generation" that `score_drawn` fills."""

    condition: str
    cell_type: str
    metric: str
    value: float
    floor: float | None = None
    ceiling: float | None = None


class Comparison(NamedTuple):
    """Two samples of cells that are compared, (n, G) and (m, G)."""

    cells: np.ndarray
    reference: np.ndarray


class Bounds(NamedTuple):
    """The floor and the ceiling of the scores of drawn cells."""

    floor: Comparison
    ceiling: Comparison


class RealCells:
    """The real cells that drawn cells are compared with, and a classifier of their types.

    Parameters
    ----------
    x
        Expression, (N, G).
    obs
        cell_type of each cell and, if cells have one, condition.
    seed
        Seed of all that is random.

    Attributes
    ----------
    rows
        Rows of the cells that the classifier learns from: at most `N_CLASSIFIED`, of types with at
        least one cell per fold.
    types
        Their types.
    """

    def __init__(self, x: sparse.csr_matrix, obs: pd.DataFrame, seed: int):
        self.x, self.obs, self.seed = x, obs, seed
        rows = np.sort(np.random.default_rng(seed).permutation(len(obs))[:N_CLASSIFIED])
        labels = obs["cell_type"].to_numpy()[rows]
        names, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        kept = sizes[codes] >= CLASSIFIER_FOLDS
        self.rows, labels = rows[kept], labels[kept]
        self.types = set(names[sizes >= CLASSIFIER_FOLDS])
        self._classifier: Pipeline | None = None
        # Types that a classifier gives to the cells in `rows` without having seen them, so that
        # real and drawn cells are treated alike.
        self._predicted_types: np.ndarray | None = None
        if len(self.types) > 1:
            values = x[self.rows].toarray()
            self._classifier = self._new_classifier(values).fit(values, labels)
            self._predicted_types = np.asarray(
                cross_val_predict(self._new_classifier(values), values, labels, cv=CLASSIFIER_FOLDS)
            )

    def _new_classifier(self, values: np.ndarray) -> Pipeline:
        """Return a classifier that can be fitted on cells (n, G), and on all folds of them but one.

        Its PCA chooses its own solver: for thousands of cells a randomised one, which is faster
        than the ARPACK of `principal_space`.
        """
        smallest = min(values.shape) * (CLASSIFIER_FOLDS - 1) // CLASSIFIER_FOLDS - 1
        pca = PCA(max(1, min(CLASSIFIER_PCS, smallest)), random_state=self.seed)
        return make_pipeline(pca, LogisticRegression(max_iter=1000))

    def group(self, cell_type: str, condition: str) -> np.ndarray:
        """Return the rows (n,) of the cells of a type in a condition; "all" for any."""
        chosen = np.ones(len(self.obs), dtype=bool)
        for column, level in (("cell_type", cell_type), ("condition", condition)):
            if level != ALL:
                chosen &= (self.obs[column] == level).to_numpy()
        return np.flatnonzero(chosen)

    def bounds(self, rows: np.ndarray) -> Bounds:
        """Return the floor and the ceiling for some real cells.

        The floor draws every gene by itself, from cells of any type and condition. The ceiling is
        a random half of the cells. Both are compared with the other half.
        """
        rng = np.random.default_rng(self.seed)
        half, other = np.array_split(rng.permutation(rows)[: 2 * N_DRAWN], 2)
        any_cells = self.x[rng.choice(len(self.obs), len(half))].toarray()
        reference = self.x[other].toarray()
        return Bounds(
            floor=Comparison(rng.permuted(any_cells, axis=0), reference),
            ceiling=Comparison(self.x[half].toarray(), reference),
        )

    def can_classify(self, cell_type: str) -> bool:
        """Return whether the classifier has learnt to tell a type from others."""
        return self._classifier is not None and cell_type in self.types

    def right_label(self, values: np.ndarray, cell_type: str) -> float:
        """Return the share of cells (n, G) to which the classifier gives a type.

        Raises
        ------
        ValueError
            If there are too few real cells of two types, so that there is no classifier.
        """
        if self._classifier is None:
            raise ValueError("there is no classifier, because fewer than two types can be learnt")
        return float(np.mean(self._classifier.predict(values) == cell_type))

    def right_label_of_real(self, rows: np.ndarray, cell_type: str) -> float | None:
        """Return the share of real cells to which a classifier that has not seen them gives a type.

        None if the classifier learnt from none of these cells, or if there is no classifier.
        """
        if self._predicted_types is None:
            return None
        predicted = self._predicted_types[np.isin(self.rows, rows)]
        return float(np.mean(predicted == cell_type)) if len(predicted) else None


def score_drawn(drawn: Drawn, real: RealCells) -> tuple[list[DrawnScore], list[NotMeasured]]:
    """Score every group of drawn cells, of a cell type in a condition, by every metric.

    Cells of components that stand for no type are left out.

    Returns
    -------
    scores
        Distances are measured in leading principal components of the real cells of the group.
        right_label is the share of cells to which a classifier trained on real cells gives the
        type that they were drawn for. types_drawn is the share of real types for which cells are
        drawn.
    missing
        What does not apply, with the reason.
    """
    drawn = drawn.named()
    scores, missing = [], []
    groups = set(zip(drawn.cell_type.tolist(), drawn.condition.tolist(), strict=True))
    for cell_type, condition in sorted(groups):
        title = f"{cell_type}, {condition}"
        chosen = (drawn.cell_type == cell_type) & (drawn.condition == condition)
        rows = real.group(cell_type, condition)
        if min(chosen.sum(), len(rows) // 2) < FEWEST:
            reason = f"{chosen.sum()} cells are drawn and {len(rows)} are real, too few"
            missing.append(NotMeasured(title, reason))
            continue
        measured, absent = _score_group(drawn.values[chosen], rows, cell_type, condition, real)
        scores += measured
        missing += [NotMeasured(f"{title}: {what}", reason) for what, reason in absent]
        if cell_type != ALL and not real.can_classify(cell_type):
            reason = (
                f"there are fewer than {CLASSIFIER_FOLDS} real cells of the type, or of any other, "
                "to learn from"
            )
            missing.append(NotMeasured(f"{title}: right_label", reason))
    if (drawn.cell_type == ALL).any():
        missing.append(NotMeasured("right_label", "cells are drawn for no type"))
    else:
        share = len(set(drawn.cell_type)) / real.obs["cell_type"].nunique()
        scores.append(DrawnScore(ALL, ALL, "types_drawn", share, ceiling=1.0))
    return scores, missing


def _score_group(
    values: np.ndarray, rows: np.ndarray, cell_type: str, condition: str, real: RealCells
) -> tuple[list[DrawnScore], list[NotMeasured]]:
    """Score drawn cells (n, G) beside the real cells of their group.

    rows: rows (m,) of these real cells.
    """
    bounds = real.bounds(rows)
    reference = np.concatenate([bounds.ceiling.cells, bounds.ceiling.reference])
    space = principal_space(reference, seed=real.seed)
    measured, absent = measure_cells(values, reference, space, real.seed)
    floor, ceiling = (
        {
            row.metric: row.value
            for row in measure_cells(bound.cells, bound.reference, space, real.seed)[0]
        }
        for bound in bounds
    )
    # For all cells, the floor has the mean of every gene, and the other metrics see little else.
    if len(rows) == len(real.obs):
        floor = {name: value for name, value in floor.items() if name == "mmd"}
    scores = [
        DrawnScore(
            condition,
            cell_type,
            row.metric,
            row.value,
            floor=floor.get(row.metric),
            ceiling=ceiling.get(row.metric),
        )
        for row in measured
    ]
    if real.can_classify(cell_type):
        scores.append(
            DrawnScore(
                condition,
                cell_type,
                "right_label",
                real.right_label(values, cell_type),
                floor=real.right_label(bounds.floor.cells, cell_type),
                ceiling=real.right_label_of_real(rows, cell_type),
            )
        )
    return scores, [NotMeasured(row.metric, row.reason) for row in absent]
