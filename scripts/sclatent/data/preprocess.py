"""Quality control, hold-out, normalisation, selection of highly variable genes, scaling.

Cells held out take no part in the choice of genes nor in the statistics of scaling; every run checks it.
"""

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
from scipy import sparse

from sclatent.common.errors import LeakError, UserError, nearest
from sclatent.common.vocabulary import LABELS
from sclatent.io.blocks import (
    detected_per_column,
    detected_per_row,
    in_blocks,
    is_lazy,
    map_blocks,
    mean_and_std,
    row_blocks,
)


def quality_control(
    adata: ad.AnnData,
    min_genes: int | None = None,
    max_genes: int | None = None,
    min_cells: int | None = None,
    max_percent_mito: float | None = None,
    drop_unlabelled: bool = False,
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Choose cells and genes in Seurat's order: cells by min_genes, genes by min_cells, cells by the rest.

    A cell stays with at least min_genes detected genes, fewer than max_genes of the genes that stay, and pct_counts_mt <
    max_percent_mito; a gene stays when detected in at least min_cells of the training cells that passed min_genes. None filters
    nothing. Of the cells that pass, those that lack a label are refused, or dropped with drop_unlabelled. adata needs obs split
    and pct_counts_mt, and layers["counts"] or X.

    Returns which cells (n_obs,) and genes (n_vars,) stay, a table of the kind "qc" with what each step left, and one of the
    kind "qc_cells" with the measures of each cell and why it was removed. Raises UserError where nothing is left.
    """
    counts = adata.layers.get("counts", adata.X)
    n_genes, percent_mito = detected_per_row(counts), adata.obs["pct_counts_mt"].to_numpy()
    if max_percent_mito is not None and np.isnan(percent_mito).all():
        raise UserError(
            "qc.max_percent_mito is set, but no gene is named MT-... or mt-...; leave it out, or name the column "
            "with the gene symbols in columns.gene"
        )
    cells, genes = np.ones(adata.n_obs, dtype=bool), np.ones(adata.n_vars, dtype=bool)
    reason = np.full(adata.n_obs, "", dtype=object)
    steps = [("nothing", len(cells), len(genes))]

    def remove_cells(bad: np.ndarray, why: str) -> None:
        reason[cells & bad] = why
        cells[bad] = False
        steps.append((why, cells.sum(), genes.sum()))

    if min_genes is not None:
        remove_cells(n_genes < min_genes, f"fewer than {min_genes} genes")
    if min_cells is not None:
        genes &= detected_per_column(counts, cells & in_training(adata)) >= min_cells
        steps.append((f"genes in fewer than {min_cells} cells", cells.sum(), genes.sum()))
    if max_genes is not None:
        left = n_genes if genes.all() else detected_per_row(counts[:, genes])
        remove_cells(left >= max_genes, f"{max_genes} genes or more")
    if max_percent_mito is not None:
        remove_cells(
            ~(percent_mito < max_percent_mito), f"{max_percent_mito:g} % mitochondrial or more"
        )
    for label in [label for label in LABELS if label in adata.obs]:
        missing = adata.obs[label].isna().to_numpy() & cells
        if missing.any() and not drop_unlabelled:
            first = ", ".join(adata.obs_names[missing][:3])
            raise UserError(
                f"{missing.sum()} of the {cells.sum()} cells that pass quality control have no {label} (the first: {first}); "
                "label them, or leave them out with drop_unlabelled: true"
            )
        if missing.any():
            remove_cells(missing, f"without {label}")
    if not cells.any() or not genes.any():
        left = f"{cells.sum()} of {adata.n_obs} cells and {genes.sum()} of {adata.n_vars} genes"
        raise UserError(f"quality control leaves {left}; loosen its thresholds")
    total = np.concatenate(
        [np.asarray(block.sum(axis=1), dtype=np.float64).ravel() for _, block in row_blocks(counts)]
    )
    measures = {
        "n_genes": n_genes.astype(np.int64),
        "total_counts": total,
        "pct_counts_mt": percent_mito,
    }
    table = pd.DataFrame(
        {
            "cell": adata.obs_names,
            **measures,
            "removed": pd.Series(reason).replace("", None).to_numpy(),
        }
    )
    return cells, genes, pd.DataFrame(steps, columns=["step", "n_cells", "n_genes"]), table


def hold_out(
    obs: pd.DataFrame,
    share: float | None = None,
    stratify: list[str] | None = None,
    seed: int = 0,
    cells: dict[str, list] | None = None,
    treated: list[str] | None = None,
    control: str | None = None,
) -> pd.Series:
    """Return the split of each cell (n_obs,), "train" or "held_out".

    Either a share of the cells, drawn at random from each combination of the labels in stratify and rounded in each, or the
    cells that have one of the given values in every label of cells, or those of the cell types in treated whose condition is
    not the control. Raises UserError for a label or a value that the data lack, and where either part would be empty.
    """
    if treated:
        conditions = obs["condition"].cat.categories if "condition" in obs else []
        cells = {
            "cell_type": treated,
            "condition": [condition for condition in conditions if condition != control],
        }
    for label in [*(stratify or []), *(cells or {})]:
        if label not in obs:
            raise UserError(
                f"holdout names the label {label}, which the data lack; name its column in columns"
            )
    if cells:
        held = np.ones(len(obs), dtype=bool)
        for label, values in cells.items():
            for value in map(str, values):
                if value not in obs[label].cat.categories:
                    raise UserError(
                        f"holdout: no cell has the {label} '{value}'{nearest(value, obs[label].cat.categories)}"
                    )
            held &= obs[label].isin(list(map(str, values))).to_numpy()
    else:
        groups = obs.groupby(stratify, observed=True) if stratify else obs
        held = obs.index.isin(groups.sample(frac=share, random_state=seed).index)
    if held.all() or not held.any():
        raise UserError(
            f"holdout takes {held.sum()} of {len(obs)} cells; it must take some and leave some"
        )
    return pd.Series(np.where(held, "held_out", "train"), index=obs.index)


def log_normalize(adata: ad.AnnData, target_sum: float = 1e4) -> None:
    """Set X to log(1 + counts * target_sum / total counts of the cell), CSR float32; Seurat's LogNormalize, in place.

    The operations are scanpy's, to the last bit. They are written out because on lazy matrices scanpy sums in other precision.
    """

    def normalize(block: sparse.csr_matrix) -> sparse.csr_matrix:
        total = np.asarray(block.sum(axis=1), dtype=np.float32).ravel()
        per_count = np.where(total == 0, 1, total / np.float32(target_sum))
        block = block.astype(np.float32)
        block.data = np.log1p(block.data / np.repeat(per_count, np.diff(block.indptr)))
        return block

    adata.X = map_blocks(adata.layers["counts"], normalize, np.float32)


def variable_genes(adata: ad.AnnData, n_top_genes: int, flavor: str) -> np.ndarray:
    """Return which genes (n_vars,) are the highly variable ones of a flavour of scanpy, over all cells of adata.

    Flavours seurat and cell_ranger read X, log-normalised; seurat_v3 reads layers["counts"]. No label takes part. Raises
    UserError where n_top_genes exceeds the number of genes.
    """
    if n_top_genes > adata.n_vars:
        raise UserError(
            f"n_top_genes is {n_top_genes}, but quality control left {adata.n_vars} genes; lower it"
        )
    if flavor == "seurat_v3" and is_lazy(adata.X):
        raise UserError(
            "flavor seurat_v3 takes all counts into memory, too many here; set flavor (that of clusters, if labels are derived) "
            "to seurat or cell_ranger"
        )
    layer = "counts" if flavor == "seurat_v3" else None
    found = sc.pp.highly_variable_genes(
        adata, n_top_genes=n_top_genes, flavor=flavor, layer=layer, inplace=False
    )
    return found["highly_variable"].to_numpy()


def preprocess(
    adata: ad.AnnData,
    qc: dict,
    normalization: str = "log",
    target_sum: float = 1e4,
    n_top_genes: int | None = None,
    flavor: str = "seurat",
    scale: dict | None = None,
    holdout: dict | None = None,
    drop_unlabelled: bool = False,
) -> tuple[ad.AnnData, pd.DataFrame, pd.DataFrame]:
    """Return a data set of the kind "preprocessed", and its tables of the kinds "qc" and "qc_cells".

    The arguments are those of `sclatent.config.datasets.Dataset`. X holds normalised values, not yet scaled: with scale, var holds
    the mean and the deviation of each gene over training cells and uns the limit, and `sclatent.io.expression` scales when it reads.
    Raises UserError where the settings do not fit the data, LeakError where a cell held out had a part in what was learnt.
    """
    if holdout is not None:
        adata.obs["split"] = hold_out(adata.obs, **holdout, control=adata.uns.get("control"))
    elif "split" not in adata.obs:
        adata.obs["split"] = "train"
    adata.obs["split"] = pd.Categorical(adata.obs["split"], categories=["train", "held_out"])
    settings = (
        {**qc, "drop_unlabelled": drop_unlabelled},
        normalization,
        target_sum,
        n_top_genes,
        flavor,
        scale,
    )
    training = in_training(adata)
    alone = None if training.all() else adata[training].copy()
    result, *tables = _preprocess(adata, *settings)
    _check_levels(result.obs)
    if alone is not None:
        if in_training(result).all():
            raise UserError(
                "quality control removes every cell that is held out; loosen its thresholds or hold out others"
            )
        check_no_leak(result, _preprocess(alone, *settings)[0])
    return result, *tables


def in_training(adata: ad.AnnData) -> np.ndarray:
    """Return which cells (n_obs,) are for training."""
    return (adata.obs["split"] == "train").to_numpy()


def check_no_leak(result: ad.AnnData, alone: ad.AnnData) -> None:
    """Raise LeakError unless genes and statistics are those that training cells alone give."""
    for genes, other, verb in [
        (result.var_names, alone.var_names, "let in"),
        (alone.var_names, result.var_names, "kept out"),
    ]:
        if len(extra := genes.difference(other)):
            raise LeakError(
                f"cells held out took part in the choice of genes: they {verb} {len(extra)}, the first {extra[0]}"
            )
    for statistic in ("mean", "std"):
        if statistic in result.var and not result.var[statistic].equals(alone.var[statistic]):
            raise LeakError(
                f"cells held out took part in scaling: the {statistic} of genes changes without them"
            )


def _preprocess(
    adata: ad.AnnData,
    qc: dict,
    normalization: str,
    target_sum: float,
    n_top_genes: int | None,
    flavor: str,
    scale: dict | None,
) -> tuple[ad.AnnData, pd.DataFrame, pd.DataFrame]:
    """Preprocess cells that have a split; see `preprocess`."""
    cells, genes, steps, measures = quality_control(adata, **qc)
    adata = adata if cells.all() and genes.all() else adata[cells, genes].copy()
    for label in LABELS:
        if label in adata.obs:
            adata.obs[label] = adata.obs[label].cat.remove_unused_categories()
    if normalization == "log":
        log_normalize(adata, target_sum)
    elif "counts" in adata.layers:
        factor = np.float32(1 / 255 if normalization == "unit" else 1)
        adata.X = map_blocks(
            adata.layers["counts"], lambda block: block.astype(np.float32) * factor, np.float32
        )
    if n_top_genes is not None:
        chosen = variable_genes(_training_cells(adata), n_top_genes, flavor)
        adata = adata[:, chosen].copy()
    if scale is not None:
        adata.var["mean"], adata.var["std"] = mean_and_std(_training_cells(adata).X)
        adata.uns["max_value"] = np.inf if scale["max_value"] is None else scale["max_value"]
    return adata, steps, measures


def _check_levels(obs: pd.DataFrame) -> None:
    """Refuse a condition with one level, and a cell type with one cell, among the cells that pass quality control."""
    if "condition" in obs and obs["condition"].nunique() == 1:
        only = obs["condition"].iloc[0]
        raise UserError(
            f"all cells that pass quality control have the condition '{only}'; leave columns.condition and control out"
        )
    sizes = obs["cell_type"].value_counts() if "cell_type" in obs else pd.Series(dtype=int)
    alone = list(sizes.index[sizes == 1])
    if alone:
        cell = obs.index[obs["cell_type"] == alone[0]][0]
        raise UserError(
            f"one cell alone of those that pass quality control has the cell_type '{alone[0]}' (cell {cell}), too few to score; "
            f"leave it out with drop and its column: [{', '.join(alone[:5])}]"
        )


def _training_cells(adata: ad.AnnData) -> ad.AnnData:
    training = in_training(adata)
    adata = adata if training.all() else adata[training].copy()
    adata.X = in_blocks(
        adata.X
    )  # so that sums over these cells do not depend on where they stood among others
    return adata
