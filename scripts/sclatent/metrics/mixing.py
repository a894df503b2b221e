"""How well the groups of cells, conditions or batches, are mixed in a latent."""

import numpy as np
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_samples
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sclatent.metrics.agreement import draw_cells

N_NEIGHBORS = 15
N_FOLDS = 5


class NotApplicableError(ValueError):
    """A metric has no meaning on these cells; its text is the reason."""


def mixing_silhouette(
    latent: np.ndarray, group: np.ndarray, labels: np.ndarray, seed: int
) -> float:
    """Return how well groups are mixed within labels, by the silhouette: 1 mixed, 0 apart.

    For each label, s is the silhouette of the groups among the cells of the label, by scikit-learn;
    it is 0 for the only cell of a group. The score is the mean over labels of the mean over cells
    of ``1 - |s|``. Labels with one group, or with no two cells of the same group, are left out.

    Source: batch ASW of Luecken et al. 2022 (scIB).

    Parameters
    ----------
    latent
        Latents, (n, L). The cells are those of `draw_cells`.
    group, labels
        Group and label of each cell, (n,).
    seed
        Seed of the draw of cells.

    Raises
    ------
    NotApplicableError
        If no label remains.
    """
    drawn = draw_cells(len(latent), seed)
    means = []
    for label in np.unique(labels[drawn]):
        cells = drawn[labels[drawn] == label]
        if 2 <= len(np.unique(group[cells])) < len(cells):
            means.append(1 - np.abs(silhouette_samples(latent[cells], group[cells])).mean())
    if not means:
        raise NotApplicableError("no label has cells of two groups, two cells of one")
    return float(np.mean(means))


def mixing_entropy(latent: np.ndarray, group: np.ndarray) -> float:
    """Return the mean over cells of the entropy of the groups (n,) among the N_NEIGHBORS cells nearest to each, 1 mixed, 0 apart.

    Distances are those in the latent (n, L); the entropy is divided by that of the groups over all cells. Raises
    NotApplicableError where there are too few cells or all are of one group.
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
    """Return the area under the ROC curve of a logistic regression that tells the group (n,) from the latent (n, L).

    0.5 mixed, 1 apart. The mean of N_FOLDS stratified folds; dimensions are standardised; of more than two groups, the mean over
    each against the rest. Raises NotApplicableError where there is one group or one has fewer than N_FOLDS cells.
    """
    sizes = np.unique(group, return_counts=True)[1]
    if len(sizes) < 2:
        raise NotApplicableError("all cells are of one group")
    if sizes.min() < N_FOLDS:
        raise NotApplicableError(f"a group has fewer than {N_FOLDS} cells")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    return float(
        cross_val_score(
            model, latent, group, cv=folds, scoring="roc_auc_ovr", error_score="raise"
        ).mean()
    )


def mixing(
    latent: np.ndarray, group: np.ndarray, labels: np.ndarray, seed: int = 0
) -> tuple[dict[str, float], dict[str, str]]:
    """Return by name what `mixing_silhouette`, `mixing_entropy` and `group_auc` are, and why those that do not apply are absent.

    latent: (n, L). group: condition or batch (n,) of each cell. labels: cell type (n,) of each cell.
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
