"""Louvain and Leiden communities of points on the graph of their nearest neighbours."""

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


def community_graph(latent: np.ndarray, n_neighbors: int) -> igraph.Graph:
    """Return the `neighbor_graph` of a latent (n, L) for `louvain` and `leiden`: a vertex a cell, edges with their weight."""
    graph = neighbor_graph(latent, n_neighbors)
    edges = np.column_stack([graph.row, graph.col]).tolist()
    return igraph.Graph(len(latent), edges, edge_attrs={"weight": graph.data.tolist()})


def louvain(graph: igraph.Graph, resolution: float) -> np.ndarray:
    """Return the community (n,) of each cell of a `community_graph`, from 0, by the Louvain algorithm on weighted modularity.

    The order in which igraph visits the cells comes from Python's random generator, which `sclatent.common.determinism` seeds.
    Source: Blondel et al. 2008, in igraph's multilevel community detection.
    """
    partition = graph.community_multilevel(weights="weight", resolution=resolution)
    return np.asarray(partition.membership, dtype=np.int64)


def leiden(graph: igraph.Graph, resolution: float) -> np.ndarray:
    """Return the community (n,) of each cell of a `community_graph`, from 0, by the Leiden algorithm on weighted modularity.

    Two iterations, igraph's default: until nothing changes it takes up to ten times as long on 20,000 cells, for at most 1 % more
    modularity. Its random choices come from Python's random generator, which `sclatent.common.determinism` seeds. Source: Traag,
    Waltman and van Eck 2019, in igraph.
    """
    partition = graph.community_leiden(
        "modularity", weights="weight", resolution=resolution, n_iterations=2
    )
    return np.asarray(partition.membership, dtype=np.int64)
