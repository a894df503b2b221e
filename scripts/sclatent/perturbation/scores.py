"""Tables of predictions of treated cells and of their scores, with floor and ceiling."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from sclatent.common.not_measured import NotMeasured
from sclatent.common.vocabulary import FEWEST, NO_CHANGE, REAL_CELLS, TRAIN
from sclatent.io.contracts import TABLES
from sclatent.io.tables import concat_tables
from sclatent.metrics.expression import marker_overlap, measure, measure_cells, rank_genes
from sclatent.metrics.principal_components import principal_space
from sclatent.perturbation.baselines import predict
from sclatent.perturbation.targets import PerturbationData, Prediction, Target

N_MARKERS = 100  # genes that are ranked by their real response
# Numbers of genes at the head of that ranking on which means are compared, too.
TOP_SUBSETS = (100, 20)
# Columns that are equal in a score and in its floor and ceiling.
BOUND_KEYS = ["split", "condition", "cell_type", "metric", "subset"]


class PerturbationScore(NamedTuple):
    """A score of a prediction: columns of the kind "perturbation" that `score_targets` fills."""

    split: str
    condition: str
    cell_type: str
    method: str
    metric: str
    subset: str
    value: float
    resampling_sd: float | None


class Scored(NamedTuple):
    """What `score_targets` returns."""

    scores: pd.DataFrame  # one row per `PerturbationScore`
    # Table of the kind "responses" of all predictions but floor and ceiling, which are real cells.
    responses: pd.DataFrame
    missing: list[NotMeasured]


def real_responses(cells: PerturbationData) -> pd.DataFrame:
    """Return a table of the kind "responses" of the real cells of each target.

    The methods are called control and treated.
    """
    tables = []
    for target, _ in cells.targets():
        if target is not None:
            control, treated = cells.dense(target.control), cells.dense(target.treated)
            no_scores = np.full(len(cells.genes), np.nan)
            scores = rank_genes(treated, control).scores
            tables.append(_response(target, "control", cells.genes, control, no_scores))
            tables.append(_response(target, "treated", cells.genes, treated, scores))
    return concat_tables(tables, "responses")


def _response(
    target: Target, method: str, genes: np.ndarray, cells: np.ndarray, scores: np.ndarray
) -> pd.DataFrame:
    """Return rows of the kind "responses" of cells (n, G), with the score (G,) of each gene."""
    return pd.DataFrame(
        {
            "condition": target.condition,
            "cell_type": target.cell_type,
            "method": method,
            "gene": genes,
            "mean": cells.mean(axis=0, dtype=np.float64),
            "score": scores,
        }
    )


def rank_markers(real: pd.DataFrame) -> pd.DataFrame:
    """Return a table of the kind "markers": the genes that rise most in each target.

    real: table that `real_responses` returns.
    """
    tables = []
    treated = real.loc[real["method"] == "treated"]
    for _, genes in treated.groupby(["condition", "cell_type"], sort=False):
        first = genes.sort_values(by="score", ascending=False, kind="stable").head(N_MARKERS)
        tables.append(first.assign(rank=np.arange(1, len(first) + 1))[list(TABLES["markers"])])
    return concat_tables(tables, "markers")


def positions(markers: pd.DataFrame, target: Target, genes: np.ndarray) -> np.ndarray:
    """Return the positions among genes (G,) of a target's markers, by rank.

    Raises
    ------
    ValueError
        If the table has another number of markers for the target than there should be.
    """
    ranked = markers.loc[
        (markers["condition"] == target.condition) & (markers["cell_type"] == target.cell_type)
    ]
    expected = min(N_MARKERS, len(genes))
    if len(ranked) != expected:
        raise ValueError(f"{len(ranked)} genes are ranked for {target.cell_type}, not {expected}")
    return pd.Index(genes).get_indexer(ranked.sort_values(by="rank")["gene"])


def predictions_without_model(
    cells: PerturbationData, target: Target, seed: int
) -> Iterator[tuple[Prediction, Target]]:
    """Yield the predictions that need no model, each with the target it is compared with.

    First comes the ceiling, real_cells: the real treated cells of the type that models were trained
    on, if they are others than the target's; else a random half of the target's, compared with the
    other half. In sample the floor, no_change, follows. If treated cells are held out, all methods
    of `predict` follow, the floor among them. In sample they would be no prediction, because models
    have seen the responses.

    Parameters
    ----------
    cells
        Cells of the data set.
    target
        What is predicted.
    seed
        Seed of the halves and of principal components.
    """
    control = cells.dense(target.control)
    trained_on = cells.rows(target.cell_type, target.condition, TRAIN)
    trained_on = np.setdiff1d(trained_on, target.treated)
    if len(trained_on) >= FEWEST:
        real = cells.dense(trained_on)
        yield Prediction(REAL_CELLS, real, real), target
    else:
        shuffled = np.random.default_rng(seed).permutation(target.treated)
        half, other = map(np.sort, np.array_split(shuffled, 2))
        real = cells.dense(half)
        yield Prediction(REAL_CELLS, real, real), target._replace(treated=other)
    if not cells.held_out:
        yield Prediction(NO_CHANGE, control, control), target
        return
    training = cells.x[np.flatnonzero(cells.obs["split"] == TRAIN)]
    for name, predicted in predict(control, cells.known_profiles(target), training, seed).items():
        yield Prediction(name, predicted, predicted), target


def score_targets(
    cells: PerturbationData,
    markers: pd.DataFrame,
    predict: Callable[[Target], Iterable[tuple[Prediction, Target]]],
    seed: int,
) -> Scored:
    """Score the predictions of every target by every metric.

    Parameters
    ----------
    cells
        Cells of the data set.
    markers
        Table of that kind.
    predict
        Yields the predictions of a target, each with the target that it is compared with.
    seed
        Seed of all that is random in metrics.
    """
    scores, responses, missing = [], [], []
    for target, reason in cells.targets():
        if target is None:
            missing.append(NotMeasured("a cell type", reason))
            continue
        scoring = _TargetScoring(cells, target, positions(markers, target, cells.genes), seed)
        missing += scoring.missing_subsets()
        for prediction, compared in predict(target):
            if not _is_finite(prediction):
                what = f"{prediction.method}, {scoring.title}"
                missing.append(NotMeasured(what, "the prediction is not finite"))
                continue
            gene_scores = rank_genes(prediction.drawn, scoring.control).scores
            measured, absent = scoring.score(prediction, compared, gene_scores)
            scores += measured
            missing += absent
            if prediction.method not in (NO_CHANGE, REAL_CELLS):
                responses.append(
                    _response(
                        target, prediction.method, cells.genes, prediction.expected, gene_scores
                    )
                )
    return Scored(
        pd.DataFrame(scores, columns=pd.Index(PerturbationScore._fields)),
        concat_tables(responses, "responses"),
        missing,
    )


def _is_finite(prediction: Prediction) -> bool:
    return bool(np.isfinite(prediction.expected).all() and np.isfinite(prediction.drawn).all())


class _TargetScoring:
    """What the predictions of one target are scored with.

    Distances are measured in leading principal components of the real cells of the type.
    """

    def __init__(self, cells: PerturbationData, target: Target, ranking: np.ndarray, seed: int):
        self.cells, self.target, self.ranking, self.seed = cells, target, ranking, seed
        self.control = cells.dense(target.control)
        real = np.concatenate([self.control, cells.dense(target.treated)])
        self.space: PCA = principal_space(real, seed=seed)
        self.title = f"{target.cell_type}, {target.condition}"

    def missing_subsets(self) -> list[NotMeasured]:
        """Return the subsets of genes that would have more genes than are ranked."""
        n_ranked = len(self.ranking)
        return [
            NotMeasured(f"{self.title}: top_{n}", f"there are {n_ranked} genes")
            for n in TOP_SUBSETS
            if n_ranked < n
        ]

    def score(
        self, prediction: Prediction, compared: Target, gene_scores: np.ndarray
    ) -> tuple[list[PerturbationScore], list[NotMeasured]]:
        """Score one prediction.

        compared: target with the treated cells that it is compared with. gene_scores: scores (G,)
        that `rank_genes` gives to the predicted cells as they are drawn.
        """
        treated = self.cells.dense(compared.treated)
        # Only the real cells that a prediction is compared with decide which genes respond.
        ranking = self.ranking
        if compared is not self.target:
            ranking = rank_genes(treated, self.control).order[:N_MARKERS]
        subsets = {"all": np.arange(self.control.shape[1])}
        subsets |= {f"top_{n}": ranking[:n] for n in TOP_SUBSETS if len(ranking) >= n}
        scores, missing = [], []
        for measured, absent in (
            measure(prediction.expected, self.control, treated, subsets, seed=self.seed),
            measure_cells(prediction.drawn, treated, self.space, self.seed),
            marker_overlap(gene_scores, ranking),
        ):
            scores += [
                PerturbationScore(
                    split="held_out" if self.cells.held_out else "in_sample",
                    condition=self.target.condition,
                    cell_type=self.target.cell_type,
                    method=prediction.method,
                    metric=row.metric,
                    subset=row.subset,
                    value=row.value,
                    resampling_sd=row.sd,
                )
                for row in measured
            ]
            missing += [
                NotMeasured(
                    f"{prediction.method}, {self.title}: {row.metric} ({row.subset})", row.reason
                )
                for row in absent
            ]
        return scores, missing


def with_bounds(scores: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """Return scores with the columns floor and ceiling.

    Parameters
    ----------
    scores
        Scores of predictions.
    baselines
        Scores of predictions without a model, which hold the floor and the ceiling.
    """
    for bound, method in (("floor", NO_CHANGE), ("ceiling", REAL_CELLS)):
        values = baselines.loc[baselines["method"] == method, [*BOUND_KEYS, "value"]]
        scores = scores.merge(values.rename(columns={"value": bound}), on=BOUND_KEYS, how="left")
    return scores
