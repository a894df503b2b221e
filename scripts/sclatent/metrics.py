"""Agreement of clusters with labels; every metric is 1 for perfect agreement and knows no order of the clusters."""

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn import metrics
from sklearn.metrics.cluster import contingency_matrix


def majority_accuracy(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Share of cells with the most frequent label of their cluster; many-to-one, so it rises with the number of clusters."""
    return contingency_matrix(labels, clusters).max(axis=0).sum() / len(labels)


def hungarian_accuracy(labels: np.ndarray, clusters: np.ndarray) -> float:
    """Largest share of cells with the right label over all one-to-one assignments of clusters to labels (Kuhn 1955)."""
    counts = contingency_matrix(labels, clusters)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return counts[rows, columns].sum() / len(labels)


METRICS = {
    "nmi_geometric": lambda labels, clusters: metrics.normalized_mutual_info_score(labels, clusters, average_method="geometric"),
    "nmi_arithmetic": metrics.normalized_mutual_info_score,
    "ari": metrics.adjusted_rand_score,
    "homogeneity": metrics.homogeneity_score,
    "completeness": metrics.completeness_score,
    "majority_accuracy": majority_accuracy,
    "hungarian_accuracy": hungarian_accuracy,
}


def score_clusters(labels: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """Return every metric of clusters (n,) against labels (n,), by name."""
    return {name: float(metric(labels, clusters)) for name, metric in METRICS.items()}


def score_table(clusters: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
    """Return every metric of every clustering in a table of the kind "clusters" against the label of each cell.

    The columns are those of the kind "scores" without data set and model.
    """
    rows = []
    for (seed, latent, method), cells in clusters.groupby(["seed", "latent", "method"], sort=False):
        truth, found = labels.loc[cells["cell"]].to_numpy(), cells["cluster"].to_numpy()
        for metric, value in score_clusters(truth, found).items():
            rows.append((seed, latent, method, metric, value, len(np.unique(found)), len(np.unique(truth))))
    return pd.DataFrame(rows, columns=["seed", "latent", "method", "metric", "value", "n_clusters", "n_cell_types"])
