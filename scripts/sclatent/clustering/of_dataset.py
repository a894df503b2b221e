"""Louvain clusters of a data set, used instead of labels or as labels that training may see."""

import anndata as ad
import numpy as np
import scanpy as sc

from sclatent.clustering.communities import community_graph, louvain
from sclatent.config.datasets import Flavor
from sclatent.data.preprocess import variable_genes
from sclatent.io.blocks import is_lazy
from sclatent.metrics.principal_components import leading_components


def data_clusters(
    adata: ad.AnnData,
    n_top_genes: int | None,
    flavor: Flavor,
    scale: bool,
    n_pcs: int,
    n_neighbors: int,
    resolution: float,
) -> np.ndarray:
    """Return the Louvain cluster of each cell of a data set; no label takes part.

    The steps are those of the PBMC3k report in Seurat: highly variable genes, scaling, principal
    components, and Louvain on the graph of nearest neighbours.

    Parameters
    ----------
    adata
        Cells of a file of the kind "preprocessed".
    n_top_genes
        Number of highly variable genes; all genes if None or if there are no more.
    flavor
        How highly variable genes are chosen.
    scale
        Whether genes are scaled to unit variance and clipped at 10.
    n_pcs
        Number of principal components, at most.
    n_neighbors
        Number of neighbours of each cell in the graph.
    resolution
        Resolution of Louvain.

    Returns
    -------
    Number of the cluster of each cell, (n_obs,), from 0.

    Notes
    -----
    igraph visits the cells in an order drawn by Python's random generator, which
    `sclatent.common.determinism` seeds.
    """
    if n_top_genes is not None and n_top_genes < adata.n_vars:
        adata = adata[:, variable_genes(adata, n_top_genes, flavor)]
    points = _dense(adata.X)
    if scale:
        points = np.asarray(sc.pp.scale(points, max_value=10))
    components = leading_components(points.shape, n_pcs, seed=0).fit_transform(points)
    return louvain(community_graph(components, n_neighbors), resolution)


def _dense(matrix) -> np.ndarray:
    """Return a sparse matrix, in memory or lazy, as an array."""
    return (matrix.compute(scheduler="synchronous") if is_lazy(matrix) else matrix).toarray()
