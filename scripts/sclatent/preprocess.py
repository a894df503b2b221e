"""Quality control, normalisation and selection of highly variable genes."""

import anndata as ad
import numpy as np
import scanpy as sc

from sclatent.errors import UserError


def quality_control(
    adata: ad.AnnData,
    min_genes: int | None = None,
    max_genes: int | None = None,
    min_cells: int | None = None,
    max_percent_mito: float | None = None,
) -> ad.AnnData:
    """Return the cells and genes that pass, in Seurat's order: cells by min_genes, genes by min_cells, cells by the rest.

    A cell stays with at least min_genes detected genes, fewer than max_genes of the genes that stay, and pct_counts_mt <
    max_percent_mito; a gene stays when detected in at least min_cells of the cells that passed min_genes. None filters nothing.
    adata needs layers["counts"] and obs pct_counts_mt. Raises UserError where nothing is left.
    """
    counts = adata.layers["counts"]
    cells = counts.getnnz(axis=1) >= (min_genes or 0)
    genes = counts[cells].getnnz(axis=0) >= (min_cells or 0)
    if max_genes is not None:
        cells &= counts[:, genes].getnnz(axis=1) < max_genes
    if max_percent_mito is not None:
        cells &= adata.obs["pct_counts_mt"].to_numpy() < max_percent_mito
    if not cells.any() or not genes.any():
        left = f"{cells.sum()} of {adata.n_obs} cells and {genes.sum()} of {adata.n_vars} genes"
        raise UserError(f"quality control leaves {left}; loosen its thresholds")
    return adata[cells, genes].copy()


def log_normalize(adata: ad.AnnData, target_sum: float = 1e4) -> None:
    """Set X to log(1 + counts * target_sum / total counts of the cell), CSR float32; Seurat's LogNormalize, in place."""
    adata.X = adata.layers["counts"].astype(np.float32)
    sc.pp.normalize_total(adata, target_sum=target_sum)
    sc.pp.log1p(adata)
    del adata.uns["log1p"]  # it says nothing that the configuration does not, and h5ad cannot hold its None


def preprocess(
    adata: ad.AnnData, qc: dict, normalization: str = "log", target_sum: float = 1e4, n_top_genes: int | None = None
) -> ad.AnnData:
    """Return the cells and genes that pass quality control, with normalised values in X (CSR float32) and their counts.

    normalization: "log" (`log_normalize`) or "none" (the counts as they are). n_top_genes: keep as many highly variable
    genes by scanpy's "seurat" flavour, which takes log-normalised values; no label takes part. Raises UserError where
    n_top_genes exceeds the number of genes left.
    """
    adata = quality_control(adata, **qc)
    if normalization == "log":
        log_normalize(adata, target_sum)
    else:
        adata.X = adata.layers["counts"].astype(np.float32)
    if n_top_genes is not None:
        if n_top_genes > adata.n_vars:
            raise UserError(f"n_top_genes is {n_top_genes}, but quality control left {adata.n_vars} genes; lower it")
        variable = sc.pp.highly_variable_genes(adata, n_top_genes=n_top_genes, flavor="seurat", inplace=False)
        adata = adata[:, variable["highly_variable"].to_numpy()].copy()
    return adata
