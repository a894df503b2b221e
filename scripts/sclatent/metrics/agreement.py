"""Agreement of clusters with labels, and how far labels stand apart in a latent.

Agreement is computed from counts (n_labels, n_clusters), the cells by label and cluster, in which no row and no column is empty.
"""

import math

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.special import entr, rel_entr
from scipy.stats import random_table
from sklearn.metrics import silhouette_score
from sklearn.metrics.cluster import contingency_matrix

N_SHUFFLES = 5  # of the labels, for the scores that chance gives
MAX_CELLS = 5_000  # of a silhouette, whose time grows with the square of the cells


def informations(counts: np.ndarray) -> tuple[float, float, float]:
    """Return, in nats, the mutual information of labels and clusters, the entropy of the labels, and that of the clusters."""
    n = counts.sum()
    labels, clusters = counts.sum(axis=1) / n, counts.sum(axis=0) / n
    mutual = rel_entr(counts / n, np.outer(labels, clusters)).sum()
    return (
        max(mutual, 0.0),
        entr(labels).sum(),
        entr(clusters).sum(),
    )  # rounding may leave a mutual information below 0


def homogeneity(counts: np.ndarray) -> float:
    """1 - H(label | cluster) / H(label): 1 where each cluster has one label (Rosenberg and Hirschberg 2007)."""
    mutual, of_labels, _ = informations(counts)
    return mutual / of_labels if of_labels else 1.0


def completeness(counts: np.ndarray) -> float:
    """1 - H(cluster | label) / H(cluster): 1 where each label is in one cluster (Rosenberg and Hirschberg 2007)."""
    return homogeneity(counts.T)


def nmi_geometric(counts: np.ndarray) -> float:
    """Mutual information over the geometric mean of both entropies: sqrt(homogeneity completeness)."""
    return math.sqrt(homogeneity(counts) * completeness(counts))


def nmi_arithmetic(counts: np.ndarray) -> float:
    """Mutual information over the arithmetic mean of both entropies."""
    mutual, of_labels, of_clusters = informations(counts)
    return 2 * mutual / (of_labels + of_clusters) if of_labels + of_clusters else 1.0


def ari(counts: np.ndarray) -> float:
    """Agreement on which pairs of cells belong together: 0 where it is that of chance, 1 perfect (Hubert and Arabie 1985)."""
    both, by_label, by_cluster, pairs = (
        int((sizes * (sizes - 1)).sum())
        for sizes in (counts, counts.sum(axis=1), counts.sum(axis=0), counts.sum())
    )
    if both == by_label == by_cluster:
        return 1.0
    expected = by_label * by_cluster / pairs
    return (both - expected) / ((by_label + by_cluster) / 2 - expected)


def majority_accuracy(counts: np.ndarray) -> float:
    """Share of cells with the most frequent label of their cluster; many-to-one, so it rises with the number of clusters."""
    return counts.max(axis=0).sum() / counts.sum()


def hungarian_accuracy(counts: np.ndarray) -> float:
    """Largest share of cells with the right label over all one-to-one assignments of clusters to labels (Kuhn 1955)."""
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return counts[rows, columns].sum() / counts.sum()


def recalls(counts: np.ndarray) -> np.ndarray:
    """Share (n_labels,) of each label's cells whose cluster has that label as its most frequent one, of equals the first."""
    tagged = counts.argmax(axis=0) == np.arange(len(counts))[:, None]
    return (counts * tagged).sum(axis=1) / counts.sum(axis=1)


def balanced_accuracy(counts: np.ndarray) -> float:
    """Mean over labels of their recall: majority accuracy with every label weighing the same."""
    return recalls(counts).mean()


def n_missed(counts: np.ndarray) -> int:
    """Return the number of labels that are the most frequent one of no cluster."""
    return len(counts) - len(np.unique(counts.argmax(axis=0)))


# Agreement: each is 1 where it is perfect.
METRICS = {
    "nmi_geometric": nmi_geometric,
    "nmi_arithmetic": nmi_arithmetic,
    "ari": ari,
    "homogeneity": homogeneity,
    "completeness": completeness,
    "majority_accuracy": majority_accuracy,
    "hungarian_accuracy": hungarian_accuracy,
    "balanced_accuracy": balanced_accuracy,
}
NUMBERS = {"n_clusters": lambda counts: counts.shape[1], "n_missed": n_missed}


def score_clusters(labels: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """Return every metric of agreement of clusters (n,) with labels (n,), by name."""
    counts = contingency_matrix(labels, clusters)
    return {name: float(metric(counts)) for name, metric in METRICS.items()}


def _scores(counts: np.ndarray) -> np.ndarray:
    """Return every metric, the numbers, and the recall of each label."""
    return np.array(
        [*(metric(counts) for metric in (METRICS | NUMBERS).values()), *recalls(counts)],
        dtype=float,
    )


def score_counts(counts: np.ndarray, labels: pd.Index) -> pd.DataFrame:
    """Return the columns metric, subset, value, chance and ceiling of counts whose rows are labels (n_labels,).

    Metrics are METRICS and NUMBERS, on the subset "all", and recall, on each label. chance: mean over N_SHUFFLES tables that
    shuffled labels could give with the same clusters. ceiling: the metric of the labels themselves as clusters.
    """
    sizes = counts.sum(axis=1)
    # The method is named, as Patefield's, which scipy 1.17 takes where there are many cells, is wrong for a single cluster.
    tables = random_table(sizes, counts.sum(axis=0))
    shuffled = tables.rvs(
        N_SHUFFLES, method="boyett", random_state=np.random.default_rng(0)
    ).astype(int)
    names = [(metric, "all") for metric in METRICS | NUMBERS] + [
        ("recall", label) for label in labels
    ]
    return pd.DataFrame(names, columns=["metric", "subset"]).assign(
        value=_scores(counts),
        chance=np.mean([_scores(table) for table in shuffled], axis=0),
        ceiling=_scores(np.diag(sizes)),
    )


def score_table(clusters: pd.DataFrame, labels: pd.Series, split: pd.Series) -> pd.DataFrame:
    """Return every score of every clustering in a table of the kind "clusters" against the label of each cell.

    labels and split, train or held_out, by cell. The columns are those of the kind "scores" without data set and model; the
    column split is all, and where cells are held out also train and held_out: scores on those cells alone, whose clusters are
    those of all cells. A split whose cells share one label has no rows, as nothing could disagree. The other columns are those of
    `score_counts`.
    """
    codes, names = pd.factorize(labels.astype(str), sort=True)
    cells = pd.DataFrame(
        {"label": codes, "split": split.loc[labels.index].to_numpy()}, index=labels.index
    )
    tables = []
    for (seed, latent, method), found in clusters.groupby(["seed", "latent", "method"], sort=False):
        known = cells.loc[found["cell"]].assign(cluster=found["cluster"].to_numpy())
        parts = {"all": known}
        if (known["split"] == "held_out").any():
            parts |= {name: known[known["split"] == name] for name in ("train", "held_out")}
        for name, part in parts.items():
            present = np.unique(part["label"])
            if len(present) < 2:
                continue
            table = score_counts(contingency_matrix(part["label"], part["cluster"]), names[present])
            if method.endswith("_oracle"):  # shuffled labels would have chosen another resolution
                table["chance"] = np.nan
            for place, (column, value) in enumerate(
                {"seed": seed, "split": name, "latent": latent, "method": method}.items()
            ):
                table.insert(place, column, value)
            tables.append(table)
    columns = [
        "seed",
        "split",
        "latent",
        "method",
        "metric",
        "subset",
        "value",
        "chance",
        "ceiling",
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def draw_cells(n_cells: int, seed: int) -> np.ndarray:
    """Return the positions, rising, of MAX_CELLS of n_cells cells, drawn without replacement; of all where there are no more."""
    if n_cells <= MAX_CELLS:
        return np.arange(n_cells)
    return np.sort(np.random.default_rng(seed).choice(n_cells, MAX_CELLS, replace=False))


def silhouette(latent: np.ndarray, labels: np.ndarray, seed: int = 0) -> float:
    """Return the mean silhouette of the labels (n,) in a latent (n, L), by scikit-learn: from -1 to 1, 1 where they are apart.

    It is that of `draw_cells`. A label with fewer than two cells among them is left out. Raises ValueError where fewer than two
    labels are left. Source: Rousseeuw 1987.
    """
    drawn = draw_cells(len(latent), seed)
    _, codes, sizes = np.unique(labels[drawn], return_inverse=True, return_counts=True)
    kept = sizes[codes] >= 2
    if (sizes >= 2).sum() < 2:
        raise ValueError("fewer than two labels have two cells")
    return float(silhouette_score(latent[drawn][kept], codes[kept]))
