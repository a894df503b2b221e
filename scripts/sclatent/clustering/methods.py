"""Clusters of latents: k-means, Louvain, Leiden, and the components of mixtures."""

import igraph
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from sclatent.clustering.communities import community_graph, leiden, louvain
from sclatent.common.determinism import make_deterministic
from sclatent.common.vocabulary import divided_into
from sclatent.io.by_seed import MAPPED
from sclatent.io.tables import concat_tables

COMMUNITIES = {"louvain": louvain, "leiden": leiden}
RESOLUTIONS = [tenths / 10 for tenths in range(1, 21)]  # of the oracle


def kmeans(points: np.ndarray, n_clusters: int, n_init: int, seed: int) -> np.ndarray:
    """Return the cluster (n,) of each point (n, d), from 0: the best of n_init starts of scikit-learn's k-means."""
    return KMeans(n_clusters, n_init=n_init, random_state=seed).fit(points).labels_.astype(np.int64)


def communities(
    algorithm: str, graph: igraph.Graph, resolution: float, seed: int, threads: int
) -> np.ndarray:
    """Return the clusters (n,) of a `community_graph` by an algorithm of COMMUNITIES that begins with a seed anew."""
    make_deterministic(seed, threads)
    return COMMUNITIES[algorithm](graph, resolution)


def oracle(
    algorithm: str, graph: igraph.Graph, labels: np.ndarray, seed: int, threads: int
) -> np.ndarray:
    """Return the `communities` (n,) that agree best with labels (n,) of those at RESOLUTIONS: a bound, as labels choose.

    Agreement is the arithmetic NMI; of equals, the lowest resolution. Source: Luecken et al. 2022 (scIB).
    """
    partitions = [
        communities(algorithm, graph, resolution, seed, threads) for resolution in RESOLUTIONS
    ]
    return max(partitions, key=lambda clusters: normalized_mutual_info_score(labels, clusters))


def cluster_seeds(
    cells: pd.Index,
    labels: np.ndarray,
    latents: dict[tuple[str, int], np.ndarray],
    responsibilities: dict[int, np.ndarray],
    maps: dict[tuple[str, int], np.ndarray],
    n_components: list[int],
    n_init: int,
    n_neighbors: int,
    resolution: float,
    threads: int,
) -> pd.DataFrame:
    """Return a table of the kind "clusters" of the latents of every seed.

    latents: mean and sample latents (n, L) by kind and seed; each is clustered by k-means, Louvain and Leiden (kmeans_latent,
    louvain_latent, leiden_latent), the mean also by the `oracle` of both (louvain_oracle, leiden_oracle). responsibilities:
    posterior (n, K) of a mixture's components by seed; the most probable is the cluster (components). maps: t-SNE maps by kind
    and seed; k-means on those in two dimensions (kmeans_tsne) is the protocol of the PBMC3k report, kept for comparison.
    n_components: of mixtures whose floor this is; into so many clusters k-means divides the mean, too (kmeans_<number>).

    labels: label (n,) of each cell. k-means finds as many clusters as there are labels; else only the oracles use them.
    Every method begins with the seed anew, so none depends on which others run.
    """
    names, codes = np.unique(labels, return_inverse=True)
    n_clusters = len(names)
    found = {}
    for (latent, seed), points in latents.items():
        make_deterministic(seed, threads)
        found[seed, latent, "kmeans_latent"] = kmeans(points, n_clusters, n_init, seed)
        for n in n_components if latent == "mean" else []:
            found[seed, latent, divided_into(n)] = kmeans(points, n, n_init, seed)
        graph = community_graph(points, n_neighbors)
        for algorithm in COMMUNITIES:
            found[seed, latent, f"{algorithm}_latent"] = communities(
                algorithm, graph, resolution, seed, threads
            )
            if latent == "mean":
                found[seed, latent, f"{algorithm}_oracle"] = oracle(
                    algorithm, graph, codes, seed, threads
                )
    for seed, shares in responsibilities.items():
        found[seed, "mean", "components"] = shares.argmax(axis=1)
    latent_of = {name: latent for latent, name in MAPPED.items()}
    for (name, seed), points in maps.items():
        if name in latent_of:  # maps in three dimensions are for the eye alone
            make_deterministic(seed, threads)
            found[seed, latent_of[name], "kmeans_tsne"] = kmeans(points, n_clusters, n_init, seed)
    tables = [
        pd.DataFrame(
            {"cell": cells, "seed": seed, "latent": latent, "method": method, "cluster": clusters}
        )
        for (seed, latent, method), clusters in found.items()
    ]
    return concat_tables(tables, "clusters")
