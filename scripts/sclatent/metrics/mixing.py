"""How well groups of cells, such as conditions or batches, are mixed in a latent space."""

import numpy as np
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_samples
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sclatent.metrics.agreement import draw_cells

N_NEIGHBORS = 15  # of each cell in `mixing_entropy`
GROUP_FOLDS = 5  # of the cross-validation in `group_auc`


class NotApplicableError(ValueError):
    """A metric has no meaning for these cells; the message says why."""


def mixing_silhouette(
    latent: np.ndarray, group: np.ndarray, labels: np.ndarray, seed: int
) -> float:
    """Return how well groups are mixed within labels, by the silhouette: 1 mixed, 0 apart.

    s is the silhouette of a cell's group among the cells of its label.

    Parameters
    ----------
    latent
        Coordinates of the cells, (n, L).
    group
        Group of each cell, (n,).
    labels
        Label of each cell, (n,). A label is left out if it has cells of one group only, or no two
        cells of the same group.
    seed
        Seed of `draw_cells`, which chooses the cells.

    Raises
    ------
    NotApplicableError
        If no label is left.

    Notes
    -----
    The silhouette is scikit-learn's; it is 0 for the only cell of a group.

    Source
    ------
    The batch ASW of Luecken et al. 2022 (scIB).
    """
    drawn = draw_cells(len(latent), seed)
    means = []
    for label in np.unique(labels[drawn]):
        cells = drawn[labels[drawn] == label]
        if 2 <= len(np.unique(group[cells])) < len(cells):
            silhouettes = np.asarray(silhouette_samples(latent[cells], group[cells]))
            means.append(1 - np.abs(silhouettes).mean())
    if not means:
        raise NotApplicableError("no label has cells of two groups and two cells of one group")
    return float(np.mean(means))


def mixing_entropy(latent: np.ndarray, group: np.ndarray) -> float:
    """Return the mean entropy of groups among the neighbours of a cell: 1 mixed, 0 apart.

    Parameters
    ----------
    latent
        Coordinates of the cells, (n, L). Each cell has `N_NEIGHBORS` neighbours.
    group
        Group of each cell, (n,). The entropy is divided by that of the groups over all cells.

    Raises
    ------
    NotApplicableError
        If there are too few cells, or if all are of one group.
    """
    if len(latent) <= N_NEIGHBORS:
        raise NotApplicableError(f"there are no more than {N_NEIGHBORS} cells")
    _, codes, sizes = np.unique(group, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise NotApplicableError("all cells are of one group")
    near = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(latent).kneighbors(return_distance=False)
    counts = np.stack([(codes[near] == code).sum(axis=1) for code in range(len(sizes))], axis=1)
    return float(entropy(counts, axis=1).mean() / entropy(sizes))


def group_auc(latent: np.ndarray, group: np.ndarray, seed: int) -> float:
    """Return how well a classifier finds the group of a cell from its latent: 0.5 mixed, 1 apart.

    Parameters
    ----------
    latent
        Coordinates of the cells, (n, L).
    group
        Group of each cell, (n,).
    seed
        Seed of the folds.

    Raises
    ------
    NotApplicableError
        If there is one group only, or if a group has fewer than `GROUP_FOLDS` cells.

    Notes
    -----
    The value is the area under the ROC curve of a logistic regression on standardised dimensions,
    averaged over `GROUP_FOLDS` stratified folds. For more than two groups it is also averaged over
    each group against the rest.
    """
    sizes = np.unique(group, return_counts=True)[1]
    if len(sizes) < 2:
        raise NotApplicableError("all cells are of one group")
    if sizes.min() < GROUP_FOLDS:
        raise NotApplicableError(f"a group has fewer than {GROUP_FOLDS} cells")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(GROUP_FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_score(
        model,
        latent,
        group,
        cv=folds,
        scoring="roc_auc_ovr",
        # scikit-learn documents this value, but its type says float.
        error_score="raise",  # pyright: ignore[reportArgumentType]
    )
    return float(scores.mean())


def mixing(
    latent: np.ndarray, group: np.ndarray, labels: np.ndarray, seed: int = 0
) -> tuple[dict[str, float], dict[str, str]]:
    """Compute `mixing_silhouette`, `mixing_entropy` and `group_auc`.

    Parameters
    ----------
    latent
        Coordinates of the cells, (n, L).
    group
        Condition or batch of each cell, (n,).
    labels
        Cell type of each cell, (n,).
    seed
        Seed of all that is random.

    Returns
    -------
    values
        Value of each metric that applies, by its name.
    absent
        Why a metric does not apply, by its name.
    """
    metrics = {
        "mixing_silhouette": lambda: mixing_silhouette(latent, group, labels, seed),
        "mixing_entropy": lambda: mixing_entropy(latent, group),
        "group_auc": lambda: group_auc(latent, group, seed),
    }
    values, absent = {}, {}
    for name, metric in metrics.items():
        try:
            values[name] = metric()
        except NotApplicableError as error:
            absent[name] = str(error)
    return values, absent
