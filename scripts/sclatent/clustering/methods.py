"""Clusters of latents: k-means, Louvain, Leiden, and the components of mixtures."""

import igraph
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from sclatent.clustering.communities import community_graph, leiden, louvain
from sclatent.common.determinism import make_deterministic
from sclatent.common.vocabulary import divided_into
from sclatent.config.studies import Clustering
from sclatent.io.by_seed import MAPPED
from sclatent.io.tables import concat_tables

COMMUNITIES = {"louvain": louvain, "leiden": leiden}
RESOLUTIONS = [tenths / 10 for tenths in range(1, 21)]  # among which the oracle chooses


def kmeans(points: np.ndarray, n_clusters: int, n_init: int, seed: int) -> np.ndarray:
    """Return the k-means cluster of each cell, by scikit-learn.

    Parameters
    ----------
    points
        Coordinates of the cells, (n, d).
    n_clusters
        Number of clusters.
    n_init
        Number of starts; the best is kept.
    seed
        Seed of the starts.

    Returns
    -------
    Number of the cluster of each cell, (n,), from 0.
    """
    model = KMeans(
        n_clusters,
        n_init=n_init,  # pyright: ignore[reportArgumentType]  # scikit-learn: str, by its default
        random_state=seed,
    )
    return np.asarray(model.fit(points).labels_, dtype=np.int64)


def communities(
    algorithm: str, graph: igraph.Graph, resolution: float, seed: int, threads: int
) -> np.ndarray:
    """Return the community of each cell by an algorithm that starts from a seed.

    Parameters
    ----------
    algorithm
        A name in `COMMUNITIES`.
    graph
        A `community_graph` of n cells.
    resolution
        A higher resolution gives more communities.
    seed, threads
        Given to `make_deterministic` before the algorithm runs.

    Returns
    -------
    Number of the community of each cell, (n,), from 0.
    """
    make_deterministic(seed, threads)
    return COMMUNITIES[algorithm](graph, resolution)


def oracle(
    algorithm: str, graph: igraph.Graph, labels: np.ndarray, seed: int, threads: int
) -> np.ndarray:
    """Return the `communities` of the resolution in `RESOLUTIONS` that agrees best with labels.

    Its score is an upper bound, because labels take part in the choice. Agreement is the
    arithmetic NMI; if several resolutions agree equally well, the lowest is taken.

    Source: Luecken et al. 2022 (scIB).
    """
    partitions = [
        communities(algorithm, graph, resolution, seed, threads) for resolution in RESOLUTIONS
    ]
    return max(partitions, key=lambda clusters: normalized_mutual_info_score(labels, clusters))


def cluster_seeds(
    labels: pd.Series,
    arrays: dict[tuple[str, int], np.ndarray],
    settings: Clustering,
    n_components: list[int],
    threads: int,
) -> pd.DataFrame:
    """Cluster the latents of every seed by every method.

    Parameters
    ----------
    labels
        Label of each of the n cells, by its name. k-means finds as many clusters as there are
        labels; beyond that, only the oracles use them.
    arrays
        Arrays of the cells by name and seed, as `sclatent.io.by_seed.arrays_of` reads them. Other
        names than those below are ignored.
    settings
        How latents are clustered.
    n_components
        Numbers of components of the mixtures whose floor this model is. k-means divides the mean
        latent also into so many clusters.
    threads
        Number of threads.

    Returns
    -------
    A table of the kind "clusters".

    Notes
    -----
    These arrays are clustered:

    - mean and sample, latents (n, L): kmeans_latent, louvain_latent, leiden_latent.
    - mean: louvain_oracle and leiden_oracle, too, and kmeans_<number> for each of n_components.
    - responsibilities (n, K), the posterior of a mixture's components: components, the most
      probable one.
    - tsne_2d and tsne_2d_sample, t-SNE maps (n, 2) of mean and sample: kmeans_tsne, the protocol of
      the PBMC3k report, kept for comparison.

    Each method starts from the seed, so that none depends on which others run.
    """
    names, codes = np.unique(labels.to_numpy(), return_inverse=True)
    clusters = {}
    for (name, seed), points in arrays.items():
        if name not in MAPPED:
            continue
        make_deterministic(seed, threads)
        clusters[seed, name, "kmeans_latent"] = kmeans(points, len(names), settings.n_init, seed)
        if name == "mean":
            for n in n_components:
                clusters[seed, name, divided_into(n)] = kmeans(points, n, settings.n_init, seed)
        graph = community_graph(points, settings.n_neighbors)
        for algorithm in COMMUNITIES:
            clusters[seed, name, f"{algorithm}_latent"] = communities(
                algorithm, graph, settings.resolution, seed, threads
            )
            if name == "mean":
                clusters[seed, name, f"{algorithm}_oracle"] = oracle(
                    algorithm, graph, codes, seed, threads
                )
    for (name, seed), responsibilities in arrays.items():
        if name == "responsibilities":
            clusters[seed, "mean", "components"] = responsibilities.argmax(axis=1)
    latent_of_map = {map_name: latent for latent, map_name in MAPPED.items()}
    for (name, seed), points in arrays.items():
        if name in latent_of_map:
            make_deterministic(seed, threads)
            clusters[seed, latent_of_map[name], "kmeans_tsne"] = kmeans(
                points, len(names), settings.n_init, seed
            )
    tables = [
        pd.DataFrame(
            {
                "cell": labels.index,
                "seed": seed,
                "latent": latent,
                "method": method,
                "cluster": of_cells,
            }
        )
        for (seed, latent, method), of_cells in clusters.items()
    ]
    return concat_tables(tables, "clusters")
