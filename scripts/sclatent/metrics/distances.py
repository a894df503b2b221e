"""Distances between two samples of cells in one space, and the space of principal components in which they are measured."""

import numpy as np
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
BANDWIDTHS = (0.1, 1.0, 10.0)


def principal_space(real: np.ndarray, n_pcs: int = 50, seed: int = 0) -> PCA:
    """Return the principal components fitted on real cells (n, G) alone; its `transform` places any cells in them.

    There are n_pcs components, or n - 1, G - 1 or as many as have any variance, where that is fewer. Fit it on control and
    treated cells together: without the control cells it hardly holds the direction of the treatment. The cells that it was fitted
    on spread a little more in it than others of their kind, which keeps the distance of a perfect prediction from them above 0,
    the less the more cells there are.
    """
    n_pcs = min(n_pcs, len(real) - 1, real.shape[1] - 1)
    space = PCA(n_pcs, svd_solver="arpack", random_state=seed).fit(real)
    largest = space.singular_values_[0]
    rank = int(
        (space.singular_values_ > largest * max(real.shape) * np.finfo(real.dtype).eps).sum()
    )
    if 0 < rank < n_pcs:  # ARPACK then fills up with noise of its own, which no seed repeats
        space = PCA(rank, svd_solver="full").fit(real)
    return space


def subsample(cells: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n of the cells (rows), drawn without replacement; all in their order where there are no more than n."""
    return cells if len(cells) <= n else cells[rng.choice(len(cells), n, replace=False)]


def energy_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return the E-distance between two samples of cells, as scPerturb defines it.

    It is ``2 E|X - Y|^2 - E|X - X'|^2 - E|Y - Y'|^2``, with squared Euclidean distances. Means within
    a sample are over the N (N - 1) pairs of different cells. So the estimate is unbiased: its mean is
    0 for equal distributions, and single values can be slightly negative. With squared distances,
    the spread of the samples cancels. What remains is twice the squared distance of the means, minus
    what chance adds to it. The function computes this form.

    Source: Peidli et al. 2024.

    Parameters
    ----------
    x, y
        Cells, (n, d) and (m, d), at least two each.

    Raises
    ------
    ValueError
        If either sample has fewer than two cells.
    """
    _require(2, x, y)
    x, y = x.astype(np.float64), y.astype(np.float64)
    chance = x.var(axis=0, ddof=1).sum() / len(x) + y.var(axis=0, ddof=1).sum() / len(y)
    return float(2 * (np.square(x.mean(axis=0) - y.mean(axis=0)).sum() - chance))


def mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Return the squared maximum mean discrepancy of two samples of cells.

    It is ``E k(X, X') + E k(Y, Y') - 2 E k(X, Y)``. Means within a sample are over the N (N - 1) pairs
    of different cells. So the estimate is unbiased and can be slightly negative. The kernel k is the
    mean over s in {0.1, 1, 10} of ``exp(-|a - b|^2 / (2 s h^2))``. The bandwidth h is the median
    Euclidean distance over all pairs of the pooled cells.

    Source: Gretton et al. 2012.

    Parameters
    ----------
    x, y
        Cells, (n, d) and (m, d), at least two each.

    Raises
    ------
    ValueError
        If either sample has fewer than two cells, or if h is 0.
    """
    _require(2, x, y)
    distances = pdist(np.concatenate([x, y]).astype(np.float64))
    median = np.median(distances)
    if median == 0:
        raise ValueError("most pairs of cells are identical")
    scaled = np.square(distances / median) / 2
    kernel = squareform(
        np.mean([np.exp(-scaled / s) for s in BANDWIDTHS], axis=0)
    )  # its diagonal is 0: no cell with itself
    n, m = len(x), len(y)
    within = kernel[:n, :n].sum() / (n * (n - 1)) + kernel[n:, n:].sum() / (m * (m - 1))
    return float(within - 2 * kernel[:n, n:].mean())


def two_sample_auc(x: np.ndarray, y: np.ndarray, seed: int) -> float:
    """Return how well a classifier tells cells x (n, d) from y (m, d): area under its ROC curve; 0.5 is ideal, 1 apart.

    A logistic regression on standardised features, mean over five stratified folds of the cells it was not fitted on; the larger
    sample is first reduced to the size of the smaller. By chance it falls below 0.5, and by more where x holds copies of cells
    of y. Raises ValueError for fewer than five cells in either. Source: Lopez-Paz and Oquab 2017.
    """
    _require(FOLDS, x, y)
    rng = np.random.default_rng(seed)
    n = min(len(x), len(y))
    cells = np.concatenate([subsample(x, n, rng), subsample(y, n, rng)])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return float(
        cross_val_score(classifier, cells, np.repeat([0, 1], n), cv=folds, scoring="roc_auc").mean()
    )


def _require(n: int, *samples: np.ndarray) -> None:
    if min(map(len, samples)) < n:
        raise ValueError(f"fewer than {n} cells")
