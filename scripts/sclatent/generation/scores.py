"""How like real cells are the cells that a model draws, and are they of the type and condition that they were drawn for?"""

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

from sclatent.common.vocabulary import ALL, FEWEST, UNNAMED
from sclatent.generation.drawn import Drawn
from sclatent.metrics.distances import principal_space
from sclatent.metrics.expression import measure_cells
from sclatent.training.model_with_input import ModelWithInput

N_DRAWN = 2000  # cells, about, that are drawn from a model
N_CLASSIFIED = 5000  # real cells, at most, that a classifier learns from
N_PCS = 50
FOLDS = 5
MEASURED = [
    "condition",
    "cell_type",
    "metric",
    "value",
    "floor",
    "ceiling",
]  # of each row of `score_drawn`


@torch.no_grad()
def draw(
    trained: ModelWithInput,
    told: str | None,
    conditions: list[str],
    tags: list[str | None] | None,
    total: float,
) -> Drawn:
    """Draw about N_DRAWN cells, as many of each component and condition, noise of the likelihood included.

    told: the label that the model is told of each cell, None for none; conditions: its levels. tags: the type that each
    component stands for, None where it stands for none; None for models without components. Types that the model is told come
    first. total: of counts, where a model draws them.
    """
    n_groups = max(len(conditions), 1) * (1 if tags is None else len(tags))
    drawn = trained.model.generate(max(N_DRAWN // n_groups, 1), sample=True)
    values, expected = (
        trained.normalised(x, torch.tensor(total).to(x)).cpu().numpy()
        for x in (drawn.x, drawn.expected)
    )
    labels = {name: np.full(len(values), ALL) for name in ("cell_type", "condition", "component")}
    if tags is not None:
        component = drawn.component.cpu().numpy()
        labels["component"] = component.astype(str)
        labels["cell_type"] = np.array([tag or UNNAMED for tag in tags])[component]
    if told in labels:
        labels[told] = np.array(conditions)[drawn.condition.cpu().numpy()]
    return Drawn(values, expected, **labels)


def tag_components(responsibilities: np.ndarray, labels: pd.Series) -> list[str | None]:
    """Return the most frequent label of the cells (n,) of each of K components, None for one that has no cell.

    responsibilities: (n, K); a cell is of its likeliest component.
    """
    of_cell = pd.Series(responsibilities.argmax(axis=1))
    tags = (
        labels.reset_index(drop=True)
        .groupby(of_cell)
        .agg(lambda of_component: of_component.value_counts().idxmax())
    )
    return [tags.get(component) for component in range(responsibilities.shape[1])]


class Real:
    """The real cells that drawn ones are compared with, and a classifier of their types.

    x: (N, G). obs: with cell_type and, where cells have one, condition. seed: of all that is random.
    """

    def __init__(self, x: sparse.csr_matrix, obs: pd.DataFrame, seed: int):
        self.x, self.obs, self.seed = x, obs, seed
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.permutation(len(obs))[:N_CLASSIFIED])
        labels = pd.Series(obs["cell_type"].to_numpy()[rows], index=rows)
        labels = labels[
            labels.map(labels.value_counts()) >= FOLDS
        ]  # of fewer cells there is not one for each fold
        self.rows, self.types = labels.index.to_numpy(), set(labels)
        if len(self.types) > 1:
            values, of_cells = x[self.rows].toarray(), labels.to_numpy()
            self.classifier = self._new_classifier(values).fit(values, of_cells)
            # What it says of cells that it has not seen, so that real and drawn cells are asked alike.
            self.said = cross_val_predict(self._new_classifier(values), values, of_cells, cv=FOLDS)

    def _new_classifier(self, values: np.ndarray) -> Pipeline:
        n_pcs = max(1, min(N_PCS, min(values.shape) * (FOLDS - 1) // FOLDS - 1))
        return make_pipeline(PCA(n_pcs, random_state=self.seed), LogisticRegression(max_iter=1000))

    def group(self, cell_type: str, condition: str) -> np.ndarray:
        """Return the rows (n,) of the cells of a type in a condition; "all" for any."""
        chosen = np.ones(len(self.obs), dtype=bool)
        for column, level in (("cell_type", cell_type), ("condition", condition)):
            if level != ALL:
                chosen &= (self.obs[column] == level).to_numpy()
        return np.flatnonzero(chosen)

    def bounds(
        self, rows: np.ndarray
    ) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Return floor and ceiling of real cells (n,), each as cells and what they are compared with.

        The floor draws every gene by itself, from cells of any type and condition; the ceiling is a random half of the cells,
        compared with the other half.
        """
        rng = np.random.default_rng(self.seed)
        half, other = np.array_split(rng.permutation(rows)[: 2 * N_DRAWN], 2)
        any_cells = self.x[rng.choice(len(self.obs), len(half))].toarray()
        real = self.x[other].toarray()
        return (rng.permuted(any_cells, axis=0), real), (self.x[half].toarray(), real)

    def tells(self, cell_type: str) -> bool:
        """Return whether the classifier has learnt to tell a type from others."""
        return len(self.types) > 1 and cell_type in self.types

    def right_label(self, values: np.ndarray, cell_type: str) -> float:
        """Return the share of cells (n, G) that the classifier gives a type."""
        return float(np.mean(self.classifier.predict(values) == cell_type))

    def right_label_of_real(self, rows: np.ndarray, cell_type: str) -> float | None:
        """Return the share of real cells that a classifier which has not seen them gives their type; None without any."""
        said = self.said[np.isin(self.rows, rows)]
        return float(np.mean(said == cell_type)) if len(said) else None


def score_drawn(drawn: Drawn, real: Real) -> tuple[list[tuple], list[tuple[str, str]]]:
    """Return a row of MEASURED for every metric of every group of drawn cells, and what does not apply with its reason.

    Distances are those in leading principal components of the real cells of the group; right_label is the share of cells to
    which a classifier trained on real cells gives the type that they were drawn for, types_drawn the share of types that are.
    Cells of components that stand for no type are left out.
    """
    drawn = drawn.named()
    rows, missing = [], []
    for cell_type, condition in sorted(
        set(zip(drawn.cell_type.tolist(), drawn.condition.tolist(), strict=True))
    ):
        chosen = (drawn.cell_type == cell_type) & (drawn.condition == condition)
        group = real.group(cell_type, condition)
        if min(chosen.sum(), len(group) // 2) < FEWEST:
            missing.append(
                (
                    f"{cell_type}, {condition}",
                    f"{chosen.sum()} cells are drawn and {len(group)} are real, too few",
                )
            )
            continue
        measured, absent = _score_group(drawn.values[chosen], group, cell_type, real)
        rows += [(condition, cell_type, *row) for row in measured]
        missing += [(f"{cell_type}, {condition}: {metric}", reason) for metric, reason in absent]
        if cell_type != ALL and not real.tells(cell_type):
            reason = f"there are fewer than {FOLDS} real cells of the type, or of any other, to learn from"
            missing.append((f"{cell_type}, {condition}: right_label", reason))
    if (drawn.cell_type == ALL).any():
        missing.append(("right_label", "cells are drawn for no type"))
    else:
        rows.append(
            (
                ALL,
                ALL,
                "types_drawn",
                len(set(drawn.cell_type)) / real.obs["cell_type"].nunique(),
                None,
                1.0,
            )
        )
    return rows, missing


def _score_group(
    values: np.ndarray, group: np.ndarray, cell_type: str, real: Real
) -> tuple[list[tuple[str, float, float | None, float | None]], list[tuple[str, str]]]:
    """Return (metric, value, floor, ceiling) of drawn cells (n, G) beside the real ones of their group, and what is absent."""
    floor, ceiling = real.bounds(group)
    compared = np.concatenate([ceiling[0], ceiling[1]])
    space = principal_space(compared, seed=real.seed)
    (measured, absent), *bounds = (
        measure_cells(a, b, space, real.seed) for a, b in [(values, compared), floor, ceiling]
    )
    of_bounds = [{row.metric: row.value for row in found} for found, _ in bounds]
    if len(group) == len(
        real.obs
    ):  # the floor then has the mean of every gene, and those two metrics see little else
        of_bounds[0] = {"mmd": of_bounds[0].get("mmd")}
    rows = [
        (row.metric, row.value, *(bound.get(row.metric) for bound in of_bounds)) for row in measured
    ]
    if real.tells(cell_type):
        shares = [real.right_label(cells, cell_type) for cells in (values, floor[0])]
        rows.append(("right_label", *shares, real.right_label_of_real(group, cell_type)))
    return rows, [(metric, reason) for metric, _, reason in absent]
