"""Distances between two samples of cells in one space."""

import numpy as np
from scipy.spatial.distance import pdist, squareform
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TWO_SAMPLE_FOLDS = 5  # of the cross-validation in `two_sample_auc`
MMD_BANDWIDTHS = (0.1, 1.0, 10.0)  # of the kernels in `mmd`, relative to the squared median


def subsample(cells: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n of the cells (rows), drawn without replacement; all in order if there are fewer."""
    return cells if len(cells) <= n else cells[rng.choice(len(cells), n, replace=False)]


def energy_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return scPerturb's E-distance, ``2 E|X - Y|^2 - E|X - X'|^2 - E|Y - Y'|^2``.

    Parameters
    ----------
    x, y
        Two samples of cells, (n, d) and (m, d).

    Raises
    ------
    ValueError
        If a sample has fewer than two cells.

    Notes
    -----
    Distances are squared Euclidean ones. Means within a sample are over its N (N - 1) pairs of
    different cells, so that the estimate is unbiased: its mean is 0 for equal distributions, and
    single values can be slightly negative. With squared distances, the spread of the samples
    cancels. What remains is twice the squared distance of the means, minus what chance adds to it.
    The function computes this form.

    Source
    ------
    Peidli et al. 2024.
    """
    _require(2, x, y)
    x, y = x.astype(np.float64), y.astype(np.float64)
    chance = x.var(axis=0, ddof=1).sum() / len(x) + y.var(axis=0, ddof=1).sum() / len(y)
    return float(2 * (np.square(x.mean(axis=0) - y.mean(axis=0)).sum() - chance))


def mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Return the squared maximum mean discrepancy, ``E k(X, X') + E k(Y, Y') - 2 E k(X, Y)``.

    Parameters
    ----------
    x, y
        Two samples of cells, (n, d) and (m, d).

    Raises
    ------
    ValueError
        If a sample has fewer than two cells, or if the median distance is 0.

    Notes
    -----
    The kernel k(a, b) is the mean over s in `MMD_BANDWIDTHS` of ``exp(-|a - b|^2 / (2 s h^2))``.
    Here h is the median Euclidean distance over all pairs of the pooled cells. Means within a
    sample are over its N (N - 1) pairs of different cells. So the estimate is unbiased, and single
    values can be slightly negative.

    Source
    ------
    Gretton et al. 2012.
    """
    _require(2, x, y)
    distances = pdist(np.concatenate([x, y]).astype(np.float64))
    median = np.median(distances)
    if median == 0:
        raise ValueError("most pairs of cells are identical")
    scaled = np.square(distances / median) / 2
    # Its diagonal is 0: no cell is paired with itself.
    kernel = squareform(np.mean([np.exp(-scaled / s) for s in MMD_BANDWIDTHS], axis=0))
    n, m = len(x), len(y)
    within = kernel[:n, :n].sum() / (n * (n - 1)) + kernel[n:, n:].sum() / (m * (m - 1))
    return float(within - 2 * kernel[:n, n:].mean())


def two_sample_auc(x: np.ndarray, y: np.ndarray, seed: int) -> float:
    """Return how well a classifier tells two samples apart, as the area under its ROC curve.

    0.5 is ideal; 1 means that the samples are fully apart. By chance the value can fall below 0.5,
    and it falls further if x holds copies of cells of y.

    Parameters
    ----------
    x, y
        Two samples of cells, (n, d) and (m, d). The larger one is first reduced at random to the
        size of the smaller.
    seed
        Seed of the reduction and of the folds.

    Raises
    ------
    ValueError
        If a sample has fewer than five cells.

    Notes
    -----
    The classifier is a logistic regression on standardised features. The area is the mean over
    five stratified folds of cells that the classifier was not fitted on.

    Source
    ------
    Lopez-Paz and Oquab 2017.
    """
    _require(TWO_SAMPLE_FOLDS, x, y)
    rng = np.random.default_rng(seed)
    n = min(len(x), len(y))
    cells = np.concatenate([subsample(x, n, rng), subsample(y, n, rng)])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(TWO_SAMPLE_FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_score(classifier, cells, np.repeat([0, 1], n), cv=folds, scoring="roc_auc")
    return float(scores.mean())


def _require(n: int, *samples: np.ndarray) -> None:
    if min(map(len, samples)) < n:
        raise ValueError(f"fewer than {n} cells")
