"""Scores of clusters and of latents themselves, beside chance, ceiling and floor."""

from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy.stats import random_table
from sklearn.metrics.cluster import contingency_matrix

from sclatent.common.not_measured import NotMeasured
from sclatent.common.vocabulary import HELD_OUT, TRAIN, divided_into
from sclatent.io.by_seed import arrays_of
from sclatent.io.contracts import TABLES
from sclatent.metrics.agreement import AGREEMENT_METRICS, COUNT_METRICS, recalls, silhouette
from sclatent.metrics.mixing import mixing

N_SHUFFLES = 5  # of the labels, for the scores that chance gives
GROUPS = ("condition", "batch")  # whose mixing is scored
SCORED_LATENTS = ("mean", "w_mean")
NO_CLUSTERS = "latent"  # the method in tables for scores of a latent itself
FLOOR_KEYS = ["seed", "split", "method", "metric", "subset"]  # equal in a score and its floor

CLUSTER_METRICS = AGREEMENT_METRICS | COUNT_METRICS
CLUSTER_SCORE_COLUMNS = pd.Index(
    ["seed", "split", "latent", "method", "metric", "subset", "value", "chance", "ceiling"]
)


def score_counts(counts: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Compute every metric of agreement of a table of counts.

    Parameters
    ----------
    counts
        Number of cells with each label in each cluster, (n_labels, n_clusters).
    labels
        Names of the labels, (n_labels,).

    Returns
    -------
    The columns metric, subset, value, chance and ceiling. On the subset "all" there are the metrics
    of `AGREEMENT_METRICS` and `COUNT_METRICS`; on the subset of each label there is its recall.
    chance is the mean over `N_SHUFFLES` tables that shuffled labels could give with the same
    clusters; ceiling is the metric if the labels themselves were the clusters.
    """
    sizes = counts.sum(axis=1)
    # SciPy 1.17 would take Patefield's method for many cells, which is wrong for a single cluster.
    shuffled = random_table(sizes, counts.sum(axis=0)).rvs(
        N_SHUFFLES, method="boyett", random_state=np.random.default_rng(0)
    )
    return pd.DataFrame(
        {
            "metric": [*CLUSTER_METRICS, *["recall"] * len(labels)],
            "subset": [*["all"] * len(CLUSTER_METRICS), *labels],
            "value": _scores(counts),
            "chance": np.mean([_scores(table) for table in shuffled.astype(int)], axis=0),
            "ceiling": _scores(np.diag(sizes)),
        }
    )


def _scores(counts: np.ndarray) -> np.ndarray:
    """Return every metric, then the recall of each label."""
    metrics = [metric(counts) for metric in CLUSTER_METRICS.values()]
    return np.array([*metrics, *recalls(counts)], dtype=float)


def score_table(clusters: pd.DataFrame, labels: pd.Series, split: pd.Series) -> pd.DataFrame:
    """Score every clustering in a table against the label of each cell.

    Parameters
    ----------
    clusters
        Table of the kind "clusters".
    labels
        Label of each cell, by its name.
    split
        train or held_out for each cell, by its name.

    Returns
    -------
    The columns of the kind "scores" that clusters have; see `score_counts` for the values. The
    column split is "all"; if cells are held out, there are also "train" and "held_out": scores on
    these cells alone, with the clusters of all cells. A split whose cells share one label has no
    rows, because nothing could disagree.
    """
    names, codes = np.unique(labels.astype(str).to_numpy(dtype=object), return_inverse=True)
    cells = pd.DataFrame(
        {"label": codes, "split": split.loc[labels.index].to_numpy()}, index=labels.index
    )
    tables = []
    for key, rows in clusters.groupby(["seed", "latent", "method"], sort=False):
        seed, latent, method = key  # pyright: ignore[reportGeneralTypeIssues]  # pandas: Hashable
        clustered = cells.loc[rows["cell"]].assign(cluster=rows["cluster"].to_numpy())
        splits = {"all": clustered}
        if (clustered["split"] == HELD_OUT).any():
            splits |= {name: clustered[clustered["split"] == name] for name in (TRAIN, HELD_OUT)}
        for name, part in splits.items():
            present = np.unique(part["label"].to_numpy())
            if len(present) < 2:
                continue
            counts = np.asarray(contingency_matrix(part["label"], part["cluster"]))
            table = score_counts(counts, names[present])
            if method.endswith("_oracle"):  # shuffled labels would have chosen another resolution
                table["chance"] = np.nan
            table = table.assign(seed=seed, split=name, latent=latent, method=method)
            tables.append(table[CLUSTER_SCORE_COLUMNS])
    if not tables:
        return pd.DataFrame(columns=CLUSTER_SCORE_COLUMNS)
    return pd.concat(tables, ignore_index=True)


class LatentScore(NamedTuple):
    """A score of a latent itself: the columns of the kind "scores" that it has."""

    seed: int
    split: str
    latent: str
    method: str
    metric: str
    subset: str
    value: float


def score_latents(latents: ad.AnnData, obs: pd.DataFrame) -> tuple[pd.DataFrame, list[NotMeasured]]:
    """Score how far cell types are apart and how well conditions and batches are mixed.

    Parameters
    ----------
    latents
        File of the kind "latents". The mean latents of every seed are scored.
    obs
        cell_type of each cell and, if cells have them, condition and batch.

    Returns
    -------
    scores
        One row per score, with the columns of `LatentScore`.
    missing
        What does not apply, with the reason.
    """
    labels = obs["cell_type"].to_numpy()
    missing = [
        NotMeasured(f"{group} mixing", f"cells have no {group}")
        for group in GROUPS
        if group not in obs
    ]
    if len(set(labels)) == 1:
        reason = "all cells have one label, with which nothing can disagree"
        missing.append(NotMeasured("clusters", reason))
    rows = []
    for (latent, seed), points in arrays_of(latents).items():
        if latent not in SCORED_LATENTS or points.shape[1] == 0:
            continue
        values = {}
        try:
            values["silhouette"] = silhouette(points, labels)
        except ValueError as error:
            missing.append(NotMeasured(f"silhouette of {latent}, seed {seed}", str(error)))
        for group in GROUPS:
            if group not in obs:
                continue
            mixed, absent = mixing(points, obs[group].to_numpy(), labels)
            values |= {f"{group}_{metric}": value for metric, value in mixed.items()}
            missing += [
                NotMeasured(f"{group}_{metric} of {latent}, seed {seed}", reason)
                for metric, reason in absent.items()
            ]
        rows += [
            LatentScore(seed, "all", latent, NO_CLUSTERS, metric, "all", value)
            for metric, value in values.items()
        ]
    return pd.DataFrame(rows, columns=pd.Index(LatentScore._fields)), missing


def with_floor(
    scores: pd.DataFrame, floors: dict[str, str], n_components: dict[str, int]
) -> pd.DataFrame:
    """Return scores with the column floor: the score of the floor's mean latent, by seed.

    Parameters
    ----------
    scores
        Table of the kind "scores" of models and their floors.
    floors
        Name of the model that is the floor of each model. A floor itself has no floor.
    n_components
        Number of components of each mixture. The floor of its components is k-means into as many
        clusters.

    Notes
    -----
    Clusters of a t-SNE map have a floor only if the floor is a model of the study, because only
    then it has a map.
    """
    floor_of = {model: floor for model, floor in floors.items() if floor != model}
    kmeans_method = {model: divided_into(n) for model, n in n_components.items()}
    scores = scores.assign(
        floor_model=scores["model"].map(lambda model: floor_of.get(model, "")).astype(object),
        floor_method=scores["method"].mask(
            scores["method"] == "components",
            scores["model"].map(lambda model: kmeans_method.get(model, np.nan)),
        ),
    )
    floor_scores = scores.loc[scores["latent"] == "mean", ["model", *FLOOR_KEYS, "value"]]
    floor_scores = floor_scores.rename(
        columns={"model": "floor_model", "method": "floor_method", "value": "floor"}
    )
    keys = ["floor_method" if name == "method" else name for name in FLOOR_KEYS]
    scores = scores.drop(columns="floor", errors="ignore").merge(
        floor_scores, on=["floor_model", *keys], how="left"
    )
    return scores.reindex(columns=list(TABLES["scores"]))
