"""Agreement of clusters with labels, and how far labels stand apart in a latent space.

A measure of agreement takes a contingency table `counts` of shape (n_labels, n_clusters): how many
cells have each label in each cluster. No row and no column of it is empty.

Mutual information, NMI, homogeneity, completeness and ARI are written here although scikit-learn
has them: from a table they take 0.1 ms instead of 13 ms for 20,000 cells, and their largest
relative error is 3e-15 instead of 2e-14.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import entr, rel_entr
from sklearn.metrics import silhouette_score

SILHOUETTE_CELLS = 5_000  # at most; the time of a silhouette grows with the square of the cells


class Information(NamedTuple):
    """Mutual information of labels and clusters, and the entropy of either, in nats."""

    mutual: float
    labels: float  # entropy of the labels
    clusters: float  # entropy of the clusters


def information(counts: np.ndarray) -> Information:
    """Return the mutual information of labels and clusters, and both entropies, in nats."""
    n = counts.sum()
    labels, clusters = counts.sum(axis=1) / n, counts.sum(axis=0) / n
    mutual = rel_entr(counts / n, np.outer(labels, clusters)).sum()
    # Rounding may leave a mutual information below 0.
    return Information(max(mutual, 0.0), entr(labels).sum(), entr(clusters).sum())


def homogeneity(counts: np.ndarray) -> float:
    """Return 1 - H(label | cluster) / H(label), which is 1 if each cluster has one label only.

    Source: Rosenberg and Hirschberg 2007.
    """
    entropies = information(counts)
    return entropies.mutual / entropies.labels if entropies.labels else 1.0


def completeness(counts: np.ndarray) -> float:
    """Return 1 - H(cluster | label) / H(cluster), which is 1 if each label is in one cluster only.

    Source: Rosenberg and Hirschberg 2007.
    """
    return homogeneity(counts.T)


def nmi_geometric(counts: np.ndarray) -> float:
    """Return the mutual information over the geometric mean of both entropies.

    This is sqrt(homogeneity x completeness).
    """
    return math.sqrt(homogeneity(counts) * completeness(counts))


def nmi_arithmetic(counts: np.ndarray) -> float:
    """Return the mutual information over the arithmetic mean of both entropies."""
    mutual, of_labels, of_clusters = information(counts)
    return 2 * mutual / (of_labels + of_clusters) if of_labels + of_clusters else 1.0


def ari(counts: np.ndarray) -> float:
    """Return the adjusted Rand index: agreement on which pairs of cells belong together.

    It is 1 for perfect agreement, and 0 on average for labels in random order.
    Source: Hubert and Arabie 1985.
    """
    both, by_label, by_cluster, pairs = (
        int((sizes * (sizes - 1)).sum())
        for sizes in (counts, counts.sum(axis=1), counts.sum(axis=0), counts.sum())
    )
    if both == by_label == by_cluster:
        return 1.0
    expected = by_label * by_cluster / pairs
    return (both - expected) / ((by_label + by_cluster) / 2 - expected)


def majority_accuracy(counts: np.ndarray) -> float:
    """Return the share of cells that have the most frequent label of their cluster.

    Several clusters may share a label, so the value rises with the number of clusters.
    """
    return counts.max(axis=0).sum() / counts.sum()


def hungarian_accuracy(counts: np.ndarray) -> float:
    """Return the largest share of correct cells if each cluster gets a label of its own.

    It is the maximum over all one-to-one assignments of clusters to labels. Source: Kuhn 1955.
    """
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return counts[rows, columns].sum() / counts.sum()


def recalls(counts: np.ndarray) -> np.ndarray:
    """Return for each label (n_labels,) the share of its cells in clusters that it dominates.

    A label dominates a cluster if it is the most frequent one there; of equally frequent labels
    the first does.
    """
    dominates = counts.argmax(axis=0) == np.arange(len(counts))[:, None]
    return (counts * dominates).sum(axis=1) / counts.sum(axis=1)


def balanced_accuracy(counts: np.ndarray) -> float:
    """Return the mean of `recalls`: the majority accuracy if every label has the same weight."""
    return recalls(counts).mean()


def n_missed(counts: np.ndarray) -> int:
    """Return the number of labels that are the most frequent one of no cluster."""
    return len(counts) - len(np.unique(counts.argmax(axis=0)))


# Each is 1 for perfect agreement.
AGREEMENT_METRICS = {
    "nmi_geometric": nmi_geometric,
    "nmi_arithmetic": nmi_arithmetic,
    "ari": ari,
    "homogeneity": homogeneity,
    "completeness": completeness,
    "majority_accuracy": majority_accuracy,
    "hungarian_accuracy": hungarian_accuracy,
    "balanced_accuracy": balanced_accuracy,
}
# Numbers of clusters and labels, which have no best value.
COUNT_METRICS = {"n_clusters": lambda counts: counts.shape[1], "n_missed": n_missed}


def draw_cells(n_cells: int, seed: int) -> np.ndarray:
    """Return rising positions of at most SILHOUETTE_CELLS of n_cells cells.

    More cells than that are drawn without replacement.
    """
    if n_cells <= SILHOUETTE_CELLS:
        return np.arange(n_cells)
    return np.sort(np.random.default_rng(seed).choice(n_cells, SILHOUETTE_CELLS, replace=False))


def silhouette(latent: np.ndarray, labels: np.ndarray, seed: int = 0) -> float:
    """Return the mean silhouette of labels in a latent space, from -1 to 1; 1 if they are apart.

    Parameters
    ----------
    latent
        Coordinates of the cells, (n, L).
    labels
        Label of each cell, (n,). A label that fewer than two of the drawn cells have is left out.
    seed
        Seed of `draw_cells`, which chooses the cells.

    Raises
    ------
    ValueError
        If fewer than two labels are left.

    Source
    ------
    Rousseeuw 1987, computed by scikit-learn.
    """
    drawn = draw_cells(len(latent), seed)
    _, codes, sizes = np.unique(labels[drawn], return_inverse=True, return_counts=True)
    kept = sizes[codes] >= 2
    if (sizes >= 2).sum() < 2:
        raise ValueError("fewer than two labels have two cells")
    return float(silhouette_score(latent[drawn][kept], codes[kept]))
