"""Louvain communities of points on the graph of their nearest neighbours."""

import igraph
import numpy as np
from scipy import sparse
from sklearn.neighbors import kneighbors_graph


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
