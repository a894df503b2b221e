"""Clusters of latents: k-means, and Louvain on the graph of nearest neighbours."""

import igraph
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.neighbors import kneighbors_graph

from sclatent.determinism import make_deterministic
from sclatent.tables import concat_tables


def kmeans(points: np.ndarray, n_clusters: int, n_init: int, seed: int) -> np.ndarray:
    """Return the cluster (n,) of each point (n, d), from 0: the best of n_init starts of scikit-learn's k-means."""
    return KMeans(n_clusters, n_init=n_init, random_state=seed).fit(points).labels_.astype(np.int64)


def neighbor_graph(latent: np.ndarray, n_neighbors: int) -> sparse.coo_matrix:
    """Return the graph of n_neighbors nearest neighbours of a latent (n, L), each pair once (upper triangle).

    Two cells are joined where either is among the other's neighbours; the weight is the Jaccard index of their two sets of
    neighbours, each with the cell itself. Source: Levine et al. 2015 (PhenoGraph).
    """
    n_neighbors = min(n_neighbors, len(latent) - 1)
    neighbors = kneighbors_graph(latent, n_neighbors) + sparse.identity(len(latent), format="csr")
    joined = sparse.triu(neighbors + neighbors.T, k=1, format="coo")
    shared = (neighbors @ neighbors.T).tocsr()[joined.row, joined.col]
    shared = np.asarray(shared).ravel()
    weights = shared / (2 * (n_neighbors + 1) - shared)
    return sparse.coo_matrix((weights, (joined.row, joined.col)), shape=neighbors.shape)


def louvain(latent: np.ndarray, n_neighbors: int, resolution: float) -> np.ndarray:
    """Return the community (n,) of each cell of a latent (n, L), from 0: Louvain on the `neighbor_graph`.

    The order in which igraph visits the cells comes from Python's random generator, which `sclatent.determinism` seeds.
    Source: Blondel et al. 2008, in igraph's multilevel community detection.
    """
    graph = neighbor_graph(latent, n_neighbors)
    edges = np.column_stack([graph.row, graph.col]).tolist()
    partition = igraph.Graph(len(latent), edges).community_multilevel(weights=graph.data.tolist(), resolution=resolution)
    return np.asarray(partition.membership, dtype=np.int64)


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
