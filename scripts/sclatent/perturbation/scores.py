"""Tables of what treated cells were predicted to be, and how well, with floor and ceiling."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from sclatent.common.vocabulary import FEWEST, NO_CHANGE, REAL_CELLS
from sclatent.io.contracts import TABLES
from sclatent.io.tables import concat_tables
from sclatent.metrics.distances import principal_space
from sclatent.metrics.expression import marker_overlap, measure, measure_cells, rank_genes
from sclatent.perturbation.baselines import predict
from sclatent.perturbation.targets import Prediction, Target, Treated

N_MARKERS = 100  # genes that are ranked by their real response
TOP = (100, 20)  # genes, at the head of that ranking, on which means are compared beside all
COMPARED = ["split", "condition", "cell_type", "metric", "subset"]


def real_responses(cells: Treated) -> pd.DataFrame:
    """Return a table of the kind "responses": the real cells of each type asked for, control and treated."""
    tables = []
    for target, _ in cells.targets():
        if target is not None:
            control, treated = cells.dense(target.control), cells.dense(target.treated)
            tables.append(
                _response(
                    target, "control", cells.genes, control, np.full(len(cells.genes), np.nan)
                )
            )
            tables.append(
                _response(
                    target, "treated", cells.genes, treated, rank_genes(treated, control).scores
                )
            )
    return concat_tables(tables, "responses")


def _response(
    target: Target, method: str, genes: np.ndarray, cells: np.ndarray, scores: np.ndarray
) -> pd.DataFrame:
    """Return rows of the kind "responses" of cells (n, G), with the score (G,) of each gene."""
    mean = cells.mean(axis=0, dtype=np.float64)
    names = {"condition": target.condition, "cell_type": target.cell_type, "method": method}
    return pd.DataFrame({**names, "gene": genes, "mean": mean, "score": scores})


def rank_markers(real: pd.DataFrame) -> pd.DataFrame:
    """Return a table of the kind "markers": the genes that respond most in each type asked for, by `real_responses`."""
    tables = []
    for _, of_type in real[real["method"] == "treated"].groupby(
        ["condition", "cell_type"], sort=False
    ):
        first = of_type.sort_values("score", ascending=False, kind="stable").head(N_MARKERS)
        tables.append(first.assign(rank=np.arange(1, len(first) + 1))[list(TABLES["markers"])])
    return concat_tables(tables, "markers")


def positions(markers: pd.DataFrame, target: Target, genes: np.ndarray) -> np.ndarray:
    """Return where the ranked genes of a target stand among genes (G,), by rank."""
    ranked = markers[
        (markers["condition"] == target.condition) & (markers["cell_type"] == target.cell_type)
    ]
    if len(ranked) != min(N_MARKERS, len(genes)):
        raise ValueError(
            f"{len(ranked)} genes are ranked for {target.cell_type}, not {min(N_MARKERS, len(genes))}"
        )
    return pd.Index(genes).get_indexer(ranked.sort_values("rank")["gene"])


def predictions_without_model(
    cells: Treated, target: Target, seed: int
) -> Iterable[tuple[Prediction, Target]]:
    """Yield the predictions that need no model, and what each is compared with: the floor, the ceiling, and where it is not in
    sample shifts by the responses of other types, which in sample would be no prediction.

    The ceiling, real_cells, are real treated cells of the type: those that models were trained on, where those asked for are
    others; else a random half of them, compared with the other half.
    """
    control = cells.dense(target.control)
    trained_on = np.setdiff1d(
        cells.rows(target.cell_type, target.condition, "train"), target.treated
    )
    if len(trained_on) >= FEWEST:
        yield Prediction(REAL_CELLS, *[cells.dense(trained_on)] * 2), target
    else:
        half, other = map(
            np.sort, np.array_split(np.random.default_rng(seed).permutation(target.treated), 2)
        )
        yield Prediction(REAL_CELLS, *[cells.dense(half)] * 2), target._replace(treated=other)
    if not cells.held_out:
        yield Prediction(NO_CHANGE, control, control), target
        return
    training = cells.x[np.flatnonzero(cells.obs["split"] == "train")]
    for name, predicted in predict(control, cells.known_responses(target), training, seed).items():
        yield Prediction(name, predicted, predicted), target


class Scored(NamedTuple):
    """What `score_targets` finds.

    scores: table of the kind "perturbation" without data set, model, seed and bounds. responses: table of the kind "responses" of
    all predictions but floor and ceiling, which are real cells. missing: what does not apply, with its reason.
    """

    scores: pd.DataFrame
    responses: pd.DataFrame
    missing: list[tuple[str, str]]


def score_targets(
    cells: Treated,
    markers: pd.DataFrame,
    predict: Callable[[Target], Iterable[tuple[Prediction, Target]]],
    seed: int,
) -> Scored:
    """Return every metric of the predictions of every target.

    markers: table of that kind. predict: yields the predictions of a target, each with the target that it is compared with.
    """
    rows, responses, missing = [], [], []
    for target, why in cells.targets():
        if target is None:
            missing.append(("a cell type", why))
            continue
        ranking = positions(markers, target, cells.genes)
        found = _score(cells, target, predict(target), ranking, seed)
        for kept, of_target in zip((rows, responses, missing), found, strict=True):
            kept += of_target
    columns = [
        name
        for name in TABLES["perturbation"]
        if name not in ("dataset", "model", "seed", "floor", "ceiling")
    ]
    return Scored(
        pd.DataFrame(rows, columns=columns), concat_tables(responses, "responses"), missing
    )


def _score(
    cells: Treated,
    target: Target,
    predictions: Iterable[tuple[Prediction, Target]],
    ranking: np.ndarray,
    seed: int,
) -> tuple[list[tuple], list[pd.DataFrame], list[tuple[str, str]]]:
    """Score the predictions of a target; distances are those in leading principal components of the real cells of the type."""
    control = cells.dense(target.control)
    space = principal_space(np.concatenate([control, cells.dense(target.treated)]), seed=seed)
    what = f"{target.cell_type}, {target.condition}"
    rows, responses = [], []
    missing = [
        (f"{what}: top_{n}", f"there are {len(ranking)} genes") for n in TOP if len(ranking) < n
    ]
    names = ("held_out" if cells.held_out else "in_sample", target.condition, target.cell_type)
    for prediction, compared in predictions:
        if not (np.isfinite(prediction.expected).all() and np.isfinite(prediction.drawn).all()):
            missing.append((f"{prediction.method}, {what}", "the prediction is not finite"))
            continue
        treated = cells.dense(compared.treated)
        # Which genes respond is said by those real cells alone that a prediction is compared with.
        ranked = ranking if compared is target else rank_genes(treated, control).order[:N_MARKERS]
        scores = rank_genes(prediction.drawn, control).scores
        subsets = {
            "all": np.arange(control.shape[1]),
            **{f"top_{n}": ranked[:n] for n in TOP if len(ranked) >= n},
        }
        parts = [
            measure(prediction.expected, control, treated, subsets, seed=seed),
            measure_cells(prediction.drawn, treated, space, seed),
            marker_overlap(scores, ranked),
        ]
        for measured, absent in parts:
            rows += [(*names, prediction.method, *row) for row in measured]
            missing += [
                (f"{prediction.method}, {what}: {metric} ({genes})", why)
                for metric, genes, why in absent
            ]
        if prediction.method not in (NO_CHANGE, REAL_CELLS):
            responses.append(
                _response(target, prediction.method, cells.genes, prediction.expected, scores)
            )
    return rows, responses, missing


def with_bounds(scores: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """Return scores with the floor and the ceiling that baselines, scores without a model, give for the same."""
    for bound, method in (("floor", NO_CHANGE), ("ceiling", REAL_CELLS)):
        found = baselines.loc[baselines["method"] == method, [*COMPARED, "value"]].rename(
            columns={"value": bound}
        )
        scores = scores.merge(found, on=COMPARED, how="left")
    return scores
