"""Measures of predicted against real expression of treated cells.

Cells are dense matrices of log-normalised values, float32: predicted (n, G), control (m, G) and treated (t, G). What a measure
cannot say of its input is returned as `Absent`, with the reason; no value is NaN. Genes are given by their positions.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata
from sklearn.decomposition import PCA

from sclatent.metrics.distances import FOLDS, energy_distance, mmd, subsample, two_sample_auc

SHARE = 0.8  # of the cells in a resample, as in scGen's reg_mean
# Cells are float32, and so may be the sums they come from: relative to the largest mean, or to a gene's own, smaller differences
# are rounding, which has no correlation.
PRECISION = 1e-5
BLOCK = 2_000_000  # values that are ranked or resampled at once
MAX_CELLS = 1000  # of either sample in distances between cells


class Measured(NamedTuple):
    """Value of a metric on a subset of genes, and its standard deviation over resamples of cells, None where not resampled."""

    metric: str
    subset: str
    value: float
    sd: float | None


class Absent(NamedTuple):
    """A metric that has no value on a subset of genes, and why, in one clause."""

    metric: str
    subset: str
    reason: str


class RankedGenes(NamedTuple):
    """Positions (G,) of genes by falling score, and the score (G,) of each gene in the order of the data."""

    order: np.ndarray
    scores: np.ndarray


def rank_genes(treated: np.ndarray, control: np.ndarray) -> RankedGenes:
    """Rank genes by the Wilcoxon rank-sum z-score of treated (t, G) over control (m, G) cells: those that rise stand first.

    z = (W - t (t + m + 1) / 2) / sqrt(t m (t + m + 1) / 12) with W the sum of the ranks of the treated cells, equal values having
    their mean rank; without correction for ties, and genes of equal score in the order of the data. It is the score of scanpy's
    rank_genes_groups. Where every treated cell is above every control cell z is sqrt(3 t m / (t + m + 1)) whatever the size of
    the change: decoded means, which lack noise, reach this limit for many genes, whose order is then arbitrary.
    Raises ValueError where either has no cell, and for NaN. Source: Wilcoxon 1945.
    """
    t, m = len(treated), len(control)
    if min(t, m) == 0:
        raise ValueError("no cells to rank genes by")
    sums = [
        rankdata(np.concatenate([treated[:, b], control[:, b]]), axis=0)[:t].sum(axis=0)
        for b in _gene_blocks(treated, t + m)
    ]
    scores = (np.concatenate(sums) - t * (t + m + 1) / 2) / np.sqrt(t * m * (t + m + 1) / 12)
    if np.isnan(scores).any():
        raise ValueError("expression has values that are NaN")
    return RankedGenes(np.argsort(-scores, kind="stable"), scores)


def marker_overlap(
    scores: np.ndarray, ranking: np.ndarray, sizes: tuple[int, ...] = (10, 20, 100)
) -> tuple[list[Measured], list[Absent]]:
    """Return the share of the first n genes of a ranking that are among the first n by score, for each n.

    scores (G,): those of `rank_genes` for predicted cells with the noise of the likelihood. ranking: positions of the genes as
    real treated cells rank them over the same control cells. Where several genes have the score of the last place, each counts by
    its chance to have one of the places left, so that a prediction of no change has n / G. The subset is top_n; one that would
    hold all genes is absent.
    """
    measured, absent = [], []
    for n in sizes:
        if n < len(scores):
            chance = _chance_to_be_among_first(n, scores)
            measured.append(
                Measured("marker_overlap", f"top_{n}", float(chance[ranking[:n]].mean()), None)
            )
        else:
            absent.append(
                Absent("marker_overlap", f"top_{n}", f"there are only {len(scores)} genes")
            )
    return measured, absent


def _chance_to_be_among_first(n: int, scores: np.ndarray) -> np.ndarray:
    last = np.sort(scores)[-n]
    above, level = scores > last, scores == last
    return above + level * (n - above.sum()) / level.sum()


# Rows (R, g) of values by gene, predicted and real, to one value a row (R,).


def cosine(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Cosine of the angle between predicted and real rows (R, g)."""
    return _dot(predicted, real) / np.sqrt(_dot(predicted, predicted) * _dot(real, real))


def pearson(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Pearson correlation of predicted and real rows (R, g)."""
    return cosine(_centred(predicted), _centred(real))


def pearson_squared(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Squared Pearson correlation, scGen's R^2: blind to slope and offset. Source: Lotfollahi et al. 2019."""
    return np.square(pearson(predicted, real))


def slope(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Slope of the regression of real on predicted values, in scGen's direction; 1 is ideal."""
    centred = _centred(predicted)
    return _dot(centred, _centred(real)) / _dot(centred, centred)


def intercept(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Intercept of the regression of real on predicted values; 0 is ideal."""
    return real.mean(axis=1) - slope(predicted, real) * predicted.mean(axis=1)


def mse(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Mean squared difference of predicted and real values."""
    return np.square(predicted - real).mean(axis=1)


def r2(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Share of the variance over genes of real values that predicted ones explain as they are, at most 1, also negative."""
    return 1 - mse(predicted, real) / np.square(_centred(real)).mean(axis=1)


def sign_agreement(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Share of genes with a predicted change in the direction of the real one, of the genes that really change."""
    changes = real != 0
    return ((np.sign(predicted) == np.sign(real)) & changes).sum(axis=1) / changes.sum(axis=1)


def variance_ratio(predicted: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Median ratio of predicted to real variance, of the genes that really vary: 1 is ideal, 0 a prediction of means."""
    return np.array([np.median(p[r > 0] / r[r > 0]) for p, r in zip(predicted, real, strict=True)])


class _Metric(NamedTuple):
    of: str  # the statistic by gene that it compares: mean, variance, or change of the mean from control
    function: Callable[[np.ndarray, np.ndarray], np.ndarray]
    needs: tuple[
        tuple[str, str], ...
    ]  # without which it is undefined: whose values must be "zero" or "the same" for not all genes


_BOTH_VARY = (("predicted", "the same"), ("real", "the same"))
_BOTH_CHANGE = (("predicted", "zero"), ("real", "zero"))

METRICS = {
    "pearson_squared_mean": _Metric("mean", pearson_squared, _BOTH_VARY),
    "slope_mean": _Metric("mean", slope, (("predicted", "the same"),)),
    "intercept_mean": _Metric("mean", intercept, (("predicted", "the same"),)),
    "r2_mean": _Metric("mean", r2, (("real", "the same"),)),
    "mse_mean": _Metric("mean", mse, ()),
    "pearson_squared_variance": _Metric("variance", pearson_squared, _BOTH_VARY),
    "r2_variance": _Metric("variance", r2, (("real", "the same"),)),
    "variance_ratio": _Metric("variance", variance_ratio, (("real", "zero"),)),
    "pearson_change": _Metric("change", pearson, _BOTH_CHANGE + _BOTH_VARY),
    "cosine_change": _Metric("change", cosine, _BOTH_CHANGE),
    "sign_agreement": _Metric("change", sign_agreement, (("real", "zero"),)),
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
    """Return every metric of METRICS on each subset of genes: those of means, of variances, and of changes from the control mean.

    predicted (n, G), control (m, G), treated (t, G): cells. subsets: positions of genes by name. A value is that of all cells;
    sd is the standard deviation (n - 1) over n_resamples resamples of 80 % of the predicted and of the treated cells, drawn with
    replacement, the control mean being fixed. It is None where 80 % of either are fewer than two cells, for fewer than two
    resamples, and where the metric is undefined for one of them. Variances are those of n - 1. Differences within the
    rounding of float32 count as none. Raises ValueError where a value is not finite, and for no cells.
    """
    if min(len(predicted), len(control), len(treated)) == 0:
        raise ValueError("predicted, control and treated cells must all be given")
    rng = np.random.default_rng(seed)
    if SHARE * min(len(predicted), len(treated)) < 2:
        n_resamples = 0
    sides = {
        "predicted": _statistics(predicted, control, n_resamples, rng),
        "real": _statistics(treated, control, n_resamples, rng),
    }
    measured, absent = [], []
    for subset, genes in subsets.items():
        chosen = {
            side: {of: values[:, genes] for of, values in statistics.items()}
            for side, statistics in sides.items()
        }
        for name, metric in METRICS.items():
            if metric.of == "variance" and min(len(predicted), len(treated)) < 2:
                absent.append(Absent(name, subset, "one cell has no variance"))
                continue
            values, reason = _measure_rows(metric, chosen)
            if reason:
                absent.append(Absent(name, subset, reason))
            else:
                measured.append(Measured(name, subset, float(values[0]), _spread(values[1:])))
    return measured, absent


def measure_cells(
    predicted: np.ndarray, treated: np.ndarray, space: PCA, seed: int
) -> tuple[list[Measured], list[Absent]]:
    """Return e_distance, mmd and two_sample_auc of predicted (n, G) and treated (t, G) cells, over all genes.

    space: the components in which they are measured, of real cells (`distances.principal_space`). Both are first reduced to equal
    numbers, at most 1,000 each (MAX_CELLS). All three are absent for fewer than five cells; the classifier's AUC for fewer cells
    than components, which nearly span them, so that what it learns of some is wrong of the others.
    """
    n = min(len(predicted), len(treated), MAX_CELLS)
    if n < FOLDS:
        return [], [Absent(name, "all", f"fewer than {FOLDS} cells") for name in CELL_METRICS]
    rng = np.random.default_rng(seed)
    x, y = (space.transform(subsample(cells, n, rng)) for cells in (predicted, treated))
    measured, absent = [Measured("e_distance", "all", energy_distance(x, y), None)], []
    if n < x.shape[1]:
        absent.append(
            Absent("two_sample_auc", "all", f"{n} cells are fewer than the {x.shape[1]} components")
        )
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
    """Return mean, variance and change of each gene (1 + n_resamples, G): of all cells, then of each resample."""
    n, size = len(cells), int(SHARE * len(cells))
    drawn = rng.multinomial(
        size, np.full(n, 1 / n), n_resamples
    )  # how often each cell is in each resample
    sizes = np.array([[n]] + [[size]] * n_resamples)
    weights = np.vstack([np.ones(n), drawn]) / sizes
    mean, variance = np.empty((2, 1 + n_resamples, cells.shape[1]))
    for block in _gene_blocks(cells, n):
        centre = cells[:, block].mean(axis=0, dtype=np.float64)
        deviations = (
            cells[:, block] - centre
        )  # float64, without the mean, whose square would drown small variances
        shift = weights @ deviations
        mean[:, block] = centre + shift
        variance[:, block] = (
            (weights @ np.square(deviations) - np.square(shift)) * sizes / np.maximum(sizes - 1, 1)
        )
    before = control.mean(axis=0, dtype=np.float64)
    change = mean - before
    if not np.isfinite(change).all():
        raise ValueError("expression has values that are not finite")
    variance[variance <= np.square(PRECISION * mean)] = 0
    change[np.abs(change) <= PRECISION * np.maximum(np.abs(mean), np.abs(before))] = 0
    return {"mean": mean, "variance": variance, "change": change}


def _measure_rows(
    metric: _Metric, sides: dict[str, dict[str, np.ndarray]]
) -> tuple[np.ndarray, str | None]:
    """Return the metric of each row, NaN where undefined, and the reason where it is so for the first, that of all cells."""
    predicted, real = sides["predicted"][metric.of], sides["real"][metric.of]
    values, defined = np.full(len(real), np.nan), np.ones(len(real), dtype=bool)
    for side, lack in metric.needs:
        holds = (
            _differs(sides[side], metric.of)
            if lack == "the same"
            else sides[side][metric.of].any(axis=1)
        )
        if not holds[0]:
            return values, f"the {side} {metric.of} is {lack} for all genes"
        defined &= holds
    values[defined] = metric.function(predicted[defined], real[defined])
    return values, None


def _differs(statistics: dict[str, np.ndarray], of: str) -> np.ndarray:
    """Return whether each row (R,) of a statistic differs between genes by more than rounding."""
    scale = np.abs(statistics["variance" if of == "variance" else "mean"]).max()
    return np.ptp(statistics[of], axis=1) > PRECISION * scale


def _spread(values: np.ndarray) -> float | None:
    return None if len(values) < 2 or np.isnan(values).any() else float(values.std(ddof=1))


def _gene_blocks(cells: np.ndarray, n_rows: int) -> list[slice]:
    width = max(BLOCK // n_rows, 1)
    return [slice(start, start + width) for start in range(0, cells.shape[1], width)]


def _centred(rows: np.ndarray) -> np.ndarray:
    return rows - rows.mean(axis=1, keepdims=True)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("rg,rg->r", a, b)
