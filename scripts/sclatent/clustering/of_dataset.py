"""Louvain clusters of a data set itself, in place of labels or as labels that training may see."""

import anndata as ad
import numpy as np
import scanpy as sc

from sclatent.clustering.communities import community_graph, louvain
from sclatent.data.preprocess import variable_genes
from sclatent.io.blocks import is_lazy


def data_clusters(
    adata: ad.AnnData,
    n_top_genes: int | None,
    flavor: str,
    scale: bool,
    n_pcs: int,
    n_neighbors: int,
    resolution: float,
) -> np.ndarray:
    """Return the Louvain cluster (n_obs,) of each cell of a file of the kind "preprocessed", from 0; no label takes part.

    Highly variable genes (all, where None or where there are no more than n_top_genes), each scaled to unit variance and
    clipped at 10, principal components, and Louvain on the graph of neighbours: the recipe that the PBMC3k report followed in
    Seurat. The order in which igraph visits the cells comes from Python's random generator, which `sclatent.common.determinism`
    seeds.
    """
    if n_top_genes is not None and n_top_genes < adata.n_vars:
        adata = adata[:, variable_genes(adata, n_top_genes, flavor)]
    x = adata.X.compute(scheduler="synchronous") if is_lazy(adata.X) else adata.X
    points = ad.AnnData(x.toarray())
    if scale:
        sc.pp.scale(points, max_value=10)
    n_pcs = min(n_pcs, min(points.shape) - 1)
    components = sc.pp.pca(points.X, n_comps=n_pcs, svd_solver="arpack")
    return louvain(community_graph(components, n_neighbors), resolution)
