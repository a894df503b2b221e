"""Metrics that compare predicted with real expression of treated cells.

Cells are dense float32 matrices of log-normalised values: predicted (n, G), control (m, G) and
treated (t, G). Genes are given by their positions. No value is NaN: a metric that has no value is
returned as `Absent`, with the reason.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import ranksums
from sklearn.decomposition import PCA

from sclatent.metrics.distances import (
    TWO_SAMPLE_FOLDS,
    energy_distance,
    mmd,
    subsample,
    two_sample_auc,
)

RESAMPLED_SHARE = 0.8  # of the cells in a resample, as in scGen's reg_mean
# Cells are float32, and so may be the sums that they come from. Differences below this share of
# the largest mean, or of a gene's own mean, are rounding, which has no correlation.
PRECISION = 1e-5
VALUES_PER_BLOCK = 2_000_000  # that are ranked or resampled at once
DISTANCE_CELLS = 1000  # of either sample, at most, in distances between cells


class Measured(NamedTuple):
    """The value of a metric on a subset of genes."""

    metric: str
    subset: str  # name of the subset of genes
    value: float
    sd: float | None  # standard deviation over resamples of cells; None if there are none


class Absent(NamedTuple):
    """A metric that has no value on a subset of genes."""

    metric: str
    subset: str  # name of the subset of genes
    reason: str  # in one clause


class RankedGenes(NamedTuple):
    """Genes ranked by their response to a treatment."""

    order: np.ndarray  # (G,) positions of the genes by falling score
    scores: np.ndarray  # (G,) score of each gene, in the order of the data


def rank_genes(treated: np.ndarray, control: np.ndarray) -> RankedGenes:
    """Rank genes by how much they rise in treated cells over control cells.

    The score is the z-score of the Wilcoxon rank-sum test.

    Parameters
    ----------
    treated
        Treated cells, (t, G).
    control
        Control cells, (m, G).

    Returns
    -------
    The genes that rise most come first. Genes of equal score keep the order of the data.

    Raises
    ------
    ValueError
        If either has no cell, or if a value is NaN.

    Notes
    -----
    z = (W - t (t + m + 1) / 2) / sqrt(t m (t + m + 1) / 12), where W is the sum of the ranks of the
    treated cells and equal values share their mean rank; there is no correction for ties. It is
    the score of scanpy's rank_genes_groups. If every treated cell is above every control cell, z is
    sqrt(3 t m / (t + m + 1)) whatever the size of the change. Decoded means lack noise and reach
    this limit for many genes, whose order is then arbitrary.

    Source
    ------
    Wilcoxon 1945, computed by SciPy.
    """
    if min(len(treated), len(control)) == 0:
        raise ValueError("no cells to rank genes by")
    blocks = []
    # Blocks of genes take less time and less memory than all genes at once.
    for genes in _gene_blocks(treated, len(treated) + len(control)):
        # SciPy documents axis, but a decorator adds it, which type checkers do not see.
        test = ranksums(treated[:, genes], control[:, genes], axis=0)  # pyright: ignore[reportCallIssue]
        blocks.append(test.statistic)
    scores = np.concatenate(blocks)
    if np.isnan(scores).any():
        raise ValueError("expression has values that are NaN")
    return RankedGenes(np.argsort(-scores, kind="stable"), scores)


def marker_overlap(
    scores: np.ndarray, ranking: np.ndarray, sizes: tuple[int, ...] = (10, 20, 100)
) -> tuple[list[Measured], list[Absent]]:
    """Return the share of the first n genes of a ranking that are among the first n by score.

    Parameters
    ----------
    scores
        Scores (G,) that `rank_genes` gives to predicted cells with the noise of the likelihood.
    ranking
        Positions of the genes as real treated cells rank them over the same control cells.
    sizes
        Numbers n of genes. The subset of each is called top_n, and is absent if it would hold all
        genes.

    Notes
    -----
    If several genes share the score of the last place, each counts by its chance to get one of the
    places left. A prediction of no change therefore has n / G.
    """
    measured, absent = [], []
    for n in sizes:
        subset = f"top_{n}"
        if n < len(scores):
            chance = _chance_to_be_among_first(n, scores)
            value = float(chance[ranking[:n]].mean())
            measured.append(Measured("marker_overlap", subset, value, None))
        else:
            reason = f"there are only {len(scores)} genes"
            absent.append(Absent("marker_overlap", subset, reason))
    return measured, absent


def _chance_to_be_among_first(n: int, scores: np.ndarray) -> np.ndarray:
    last = np.sort(scores)[-n]
    above, level = scores > last, scores == last
    return above + level * (n - above.sum()) / level.sum()


# Each of the following functions compares predicted with real values of genes. A row is one set of
# cells, all or a resample: it takes two arrays (R, g) and returns one value per row, (R,).


def cosine(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return the cosine of the angle between predicted and real rows, (R, g) to (R,)."""
    return _dot(predicted, real) / np.sqrt(_dot(predicted, predicted) * _dot(real, real))


def pearson(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of predicted and real rows, (R, g) to (R,)."""
    return cosine(_centred(predicted), _centred(real))


def pearson_squared(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return the squared Pearson correlation, scGen's R^2, which is blind to slope and offset.

    Source: Lotfollahi et al. 2019.
    """
    return np.square(pearson(predicted, real))


def slope(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return the slope of the regression of real on predicted values, as in scGen; 1 is ideal."""
    centred = _centred(predicted)
    return _dot(centred, _centred(real)) / _dot(centred, centred)


def intercept(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return the intercept of the regression of real on predicted values; 0 is ideal."""
    return real.mean(axis=1) - slope(predicted, real) * predicted.mean(axis=1)


def mse(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return the mean squared difference of predicted and real values."""
    return np.square(predicted - real).mean(axis=1)


def r2(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return the share of the real values' variance over genes that predicted values explain.

    Predicted values are taken as they are, without a regression. The share is at most 1 and can be
    negative.
    """
    return 1 - mse(predicted, real) / np.square(_centred(real)).mean(axis=1)


def sign_agreement(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return the share of genes whose predicted change has the direction of the real one.

    Only genes with a real change count.
    """
    changes = real != 0
    return ((np.sign(predicted) == np.sign(real)) & changes).sum(axis=1) / changes.sum(axis=1)


def variance_ratio(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return the median ratio of predicted to real variance, over genes with a real variance.

    1 is ideal; 0 is what a prediction of means has.
    """
    return np.array([np.median(p[r > 0] / r[r > 0]) for p, r in zip(predicted, real, strict=True)])


class _Needed(NamedTuple):
    """Without this a metric is undefined: the values of a side must not be alike for all genes."""

    side: Literal["predicted", "real"]
    not_all: Literal["zero", "the same"]


class _GeneMetric(NamedTuple):
    """A metric that compares a statistic of each gene between predicted and real cells."""

    statistic: Literal["mean", "variance", "change"]  # change: of the mean, from control cells
    function: Callable[[np.ndarray, np.ndarray], np.ndarray]
    needs: tuple[_Needed, ...] = ()


_PREDICTED_VARIES = _Needed("predicted", "the same")
_REAL_VARIES = _Needed("real", "the same")
_PREDICTED_CHANGES = _Needed("predicted", "zero")
_REAL_CHANGES = _Needed("real", "zero")
_BOTH_VARY = (_PREDICTED_VARIES, _REAL_VARIES)
_BOTH_CHANGE = (_PREDICTED_CHANGES, _REAL_CHANGES)

GENE_METRICS = {
    "pearson_squared_mean": _GeneMetric("mean", pearson_squared, _BOTH_VARY),
    "slope_mean": _GeneMetric("mean", slope, (_PREDICTED_VARIES,)),
    "intercept_mean": _GeneMetric("mean", intercept, (_PREDICTED_VARIES,)),
    "r2_mean": _GeneMetric("mean", r2, (_REAL_VARIES,)),
    "mse_mean": _GeneMetric("mean", mse),
    "pearson_squared_variance": _GeneMetric("variance", pearson_squared, _BOTH_VARY),
    "r2_variance": _GeneMetric("variance", r2, (_REAL_VARIES,)),
    "variance_ratio": _GeneMetric("variance", variance_ratio, (_REAL_CHANGES,)),
    "pearson_change": _GeneMetric("change", pearson, _BOTH_CHANGE + _BOTH_VARY),
    "cosine_change": _GeneMetric("change", cosine, _BOTH_CHANGE),
    "sign_agreement": _GeneMetric("change", sign_agreement, (_REAL_CHANGES,)),
}
CELL_METRICS = ("e_distance", "mmd", "two_sample_auc")


def measure(
    predicted: np.ndarray,
    control: np.ndarray,
    treated: np.ndarray,
    subsets: dict[str, np.ndarray],
    n_resamples: int = 100,
    seed: int = 0,
) -> tuple[list[Measured], list[Absent]]:
    """Compute every metric of `GENE_METRICS` on each subset of genes.

    Parameters
    ----------
    predicted, control, treated
        Predicted, control and real treated cells, (n, G), (m, G) and (t, G).
    subsets
        Positions of the genes of each subset, by its name.
    n_resamples
        Number of resamples for the standard deviation.
    seed
        Seed of the resamples.

    Returns
    -------
    measured
        Each metric of all cells, and its standard deviation (n - 1) over resamples. A resample
        has 80 % of the predicted and of the treated cells, drawn with replacement; the control
        mean stays fixed. The deviation is None if 80 % of either are fewer than two cells, if
        there are fewer than two resamples, or if the metric is undefined for one of them.
    absent
        Metrics without a value, with the reason.

    Raises
    ------
    ValueError
        If a value is not finite, or if any of the three has no cells.

    Notes
    -----
    Variances are unbiased (n - 1). Differences within the rounding of float32 count as none.
    """
    if min(len(predicted), len(control), len(treated)) == 0:
        raise ValueError("predicted, control and treated cells must all be given")
    fewest = min(len(predicted), len(treated))
    if RESAMPLED_SHARE * fewest < 2:
        n_resamples = 0
    rng = np.random.default_rng(seed)
    sides = {
        "predicted": _statistics(predicted, control, n_resamples, rng),
        "real": _statistics(treated, control, n_resamples, rng),
    }
    measured, absent = [], []
    for subset, genes in subsets.items():
        of_subset = {
            side: {name: values[:, genes] for name, values in statistics.items()}
            for side, statistics in sides.items()
        }
        for name, metric in GENE_METRICS.items():
            if metric.statistic == "variance" and fewest < 2:
                absent.append(Absent(name, subset, "one cell has no variance"))
                continue
            values, reason = _measure_rows(metric, of_subset)
            if reason:
                absent.append(Absent(name, subset, reason))
            else:
                measured.append(Measured(name, subset, float(values[0]), _spread(values[1:])))
    return measured, absent


def measure_cells(
    predicted: np.ndarray, treated: np.ndarray, space: PCA, seed: int
) -> tuple[list[Measured], list[Absent]]:
    """Compute e_distance, mmd and two_sample_auc of predicted and real treated cells.

    Parameters
    ----------
    predicted, treated
        Predicted and real cells, (n, G) and (t, G). Both are first reduced at random to equal
        numbers, at most `DISTANCE_CELLS` each.
    space
        Principal components of real cells in which distances are measured, by
        `sclatent.metrics.principal_components.principal_space`.
    seed
        Seed of all that is random.

    Returns
    -------
    measured
        Values over all genes, without standard deviations.
    absent
        All three for fewer than five cells. two_sample_auc also for fewer cells than components:
        the cells then nearly span the space, so that what the classifier learns from some is
        wrong for the others.
    """
    n = min(len(predicted), len(treated), DISTANCE_CELLS)
    if n < TWO_SAMPLE_FOLDS:
        reason = f"fewer than {TWO_SAMPLE_FOLDS} cells"
        return [], [Absent(name, "all", reason) for name in CELL_METRICS]
    rng = np.random.default_rng(seed)
    x, y = (space.transform(subsample(cells, n, rng)) for cells in (predicted, treated))
    measured, absent = [Measured("e_distance", "all", energy_distance(x, y), None)], []
    if n < x.shape[1]:
        reason = f"{n} cells are fewer than the {x.shape[1]} components"
        absent.append(Absent("two_sample_auc", "all", reason))
    else:
        measured.append(Measured("two_sample_auc", "all", two_sample_auc(x, y, seed), None))
    try:
        measured.append(Measured("mmd", "all", mmd(x, y), None))
    except ValueError as error:
        absent.append(Absent("mmd", "all", str(error)))
    return measured, absent


def _statistics(
    cells: np.ndarray, control: np.ndarray, n_resamples: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return mean, variance and change of each gene, (1 + n_resamples, G) each.

    The first row is of all cells, the others are of resamples.
    """
    n, size = len(cells), int(RESAMPLED_SHARE * len(cells))
    # How often each cell is in each resample.
    times_drawn = rng.multinomial(size, np.full(n, 1 / n), n_resamples)
    sizes = np.array([[n]] + [[size]] * n_resamples)
    weights = np.vstack([np.ones(n), times_drawn]) / sizes
    mean, variance = np.empty((2, 1 + n_resamples, cells.shape[1]))
    for genes in _gene_blocks(cells, n):
        centre = cells[:, genes].mean(axis=0, dtype=np.float64)
        # In float64 and without the mean, because its square would drown small variances.
        deviations = cells[:, genes] - centre
        shift = weights @ deviations
        mean[:, genes] = centre + shift
        biased = weights @ np.square(deviations) - np.square(shift)
        variance[:, genes] = biased * sizes / np.maximum(sizes - 1, 1)
    before = control.mean(axis=0, dtype=np.float64)
    change = mean - before
    if not np.isfinite(change).all():
        raise ValueError("expression has values that are not finite")
    variance[variance <= np.square(PRECISION * mean)] = 0
    change[np.abs(change) <= PRECISION * np.maximum(np.abs(mean), np.abs(before))] = 0
    return {"mean": mean, "variance": variance, "change": change}


def _measure_rows(
    metric: _GeneMetric, sides: dict[str, dict[str, np.ndarray]]
) -> tuple[np.ndarray, str | None]:
    """Return the metric of each row, NaN if undefined, and why it is undefined for all cells.

    All cells are the first row; the reason is None if the metric is defined for it.
    """
    predicted, real = sides["predicted"][metric.statistic], sides["real"][metric.statistic]
    values, defined = np.full(len(real), np.nan), np.ones(len(real), dtype=bool)
    for side, not_all in metric.needs:
        holds = _holds(not_all, sides[side], metric.statistic)
        if not holds[0]:
            return values, f"the {side} {metric.statistic} is {not_all} for all genes"
        defined &= holds
    values[defined] = metric.function(predicted[defined], real[defined])
    return values, None


def _holds(not_all: str, statistics: dict[str, np.ndarray], statistic: str) -> np.ndarray:
    """Return whether in each row (R,) of a statistic the genes are not all "zero" or "the same".

    Genes are the same if they differ by rounding only.
    """
    if not_all == "zero":
        return np.any(statistics[statistic], axis=1)
    scale = np.abs(statistics["variance" if statistic == "variance" else "mean"]).max()
    return np.ptp(statistics[statistic], axis=1) > PRECISION * scale


def _spread(values: np.ndarray) -> float | None:
    return None if len(values) < 2 or np.isnan(values).any() else float(values.std(ddof=1))


def _gene_blocks(cells: np.ndarray, n_rows: int) -> list[slice]:
    """Divide the genes so that n_rows rows of a block hold at most VALUES_PER_BLOCK values."""
    width = max(VALUES_PER_BLOCK // n_rows, 1)
    return [slice(start, start + width) for start in range(0, cells.shape[1], width)]


def _centred(rows: np.ndarray) -> np.ndarray:
    return rows - rows.mean(axis=1, keepdims=True)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("rg,rg->r", a, b)
