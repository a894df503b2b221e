"""Clusters of latents: k-means, and Louvain."""

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from sclatent.determinism import make_deterministic
from sclatent.louvain import louvain
from sclatent.tables import concat_tables


def kmeans(points: np.ndarray, n_clusters: int, n_init: int, seed: int) -> np.ndarray:
    """Return the cluster (n,) of each point (n, d), from 0: the best of n_init starts of scikit-learn's k-means."""
    return KMeans(n_clusters, n_init=n_init, random_state=seed).fit(points).labels_.astype(np.int64)


def cluster_seeds(
    cells: pd.Index,
    latents: dict[tuple[str, int], np.ndarray],
    maps: dict[tuple[str, int], np.ndarray],
    n_clusters: int,
    n_init: int,
    n_neighbors: int,
    resolution: float,
    threads: int,
) -> pd.DataFrame:
    """Return a table of the kind "clusters": k-means and Louvain on each latent, and k-means on each two-dimensional t-SNE.

    latents: mean and sample latents (n, L) by kind and seed. maps: t-SNE maps of the mean latents by kind and seed; k-means
    on them is the protocol of the PBMC3k report, kept for comparison. n_clusters: number of clusters of k-means.
    """
    found = []
    for (latent, seed), points in latents.items():
        make_deterministic(seed, threads)
        found.append((seed, latent, "kmeans_latent", kmeans(points, n_clusters, n_init, seed)))
        found.append((seed, latent, "louvain_latent", louvain(points, n_neighbors, resolution)))
    for (kind, seed), points in maps.items():
        if kind == "tsne_2d":
            make_deterministic(seed, threads)
            found.append((seed, "mean", "kmeans_tsne", kmeans(points, n_clusters, n_init, seed)))
    tables = [
        pd.DataFrame({"cell": cells, "seed": seed, "latent": latent, "method": method, "cluster": clusters})
        for seed, latent, method, clusters in found
    ]
    return concat_tables(tables, "clusters")
