"""Quality control, hold-out, normalisation, selection of highly variable genes, scaling.

Held-out cells take no part in gene selection and in the statistics of scaling. Every run checks
this, by preprocessing the training cells alone.
"""

from typing import cast

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc

from sclatent.common.errors import LeakError, UserError, nearest
from sclatent.common.vocabulary import HELD_OUT, LABELS, TRAIN
from sclatent.config.datasets import Flavor, Holdout, QualityControl, Scale
from sclatent.io.blocks import (
    detected_per_column,
    detected_per_row,
    in_blocks,
    is_lazy,
    map_blocks,
    mean_and_std,
    row_blocks,
)
from sclatent.io.matrices import in_training


def quality_control(
    adata: ad.AnnData, qc: QualityControl, drop_unlabelled: bool = False
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Choose cells and genes in Seurat's order: cells by min_genes, genes, cells by the rest.

    A cell stays if it has at least min_genes detected genes, fewer than max_genes of the genes that
    stay, and pct_counts_mt < max_percent_mito. A gene stays if at least min_cells of the training
    cells that passed min_genes detect it.

    Parameters
    ----------
    adata
        Cells with obs split and pct_counts_mt, and layers["counts"] or X.
    qc
        The thresholds; None filters nothing.
    drop_unlabelled
        Whether cells that pass but lack a label are dropped instead of refused.

    Returns
    -------
    tuple
        Which cells (n_obs,) stay; which genes (n_vars,) stay; a table of the kind "qc" with what
        each step left; a table of the kind "qc_cells" with the measures of each cell and why it was
        removed.

    Raises
    ------
    UserError
        If nothing is left, if a cell that passes lacks a label, or if no gene is mitochondrial but
        max_percent_mito is set.
    """
    counts = adata.layers.get("counts", adata.X)
    n_genes, percent_mito = detected_per_row(counts), adata.obs["pct_counts_mt"].to_numpy()
    if qc.max_percent_mito is not None and np.isnan(percent_mito).all():
        raise UserError(
            "qc.max_percent_mito is set, but no gene is named MT-... or mt-...; leave it out, or "
            "name the column with the gene symbols in columns.gene"
        )
    cells, genes = np.ones(adata.n_obs, dtype=bool), np.ones(adata.n_vars, dtype=bool)
    reason = np.full(adata.n_obs, "", dtype=object)
    steps = []

    def record(step: str) -> None:
        steps.append({"step": step, "n_cells": cells.sum(), "n_genes": genes.sum()})

    def remove_cells(bad: np.ndarray, why: str) -> None:
        reason[cells & bad] = why
        cells[bad] = False
        record(why)

    record("nothing")
    if qc.min_genes is not None:
        remove_cells(n_genes < qc.min_genes, f"fewer than {qc.min_genes} genes")
    if qc.min_cells is not None:
        genes &= detected_per_column(counts, cells & in_training(adata.obs)) >= qc.min_cells
        record(f"genes in fewer than {qc.min_cells} cells")
    if qc.max_genes is not None:
        left = n_genes if genes.all() else detected_per_row(counts[:, genes])
        remove_cells(left >= qc.max_genes, f"{qc.max_genes} genes or more")
    if qc.max_percent_mito is not None:
        # NaN must not pass.
        bad = ~(percent_mito < qc.max_percent_mito)
        remove_cells(bad, f"{qc.max_percent_mito:g} % mitochondrial or more")
    for label in LABELS:
        if label not in adata.obs:
            continue
        missing = adata.obs[label].isna().to_numpy() & cells
        if missing.any() and not drop_unlabelled:
            first = ", ".join(adata.obs_names[missing][:3])
            raise UserError(
                f"{missing.sum()} of the {cells.sum()} cells that pass quality control have no "
                f"{label} (the first: {first}); label them, or leave them out with "
                "drop_unlabelled: true"
            )
        if missing.any():
            remove_cells(missing, f"without {label}")
    if not cells.any() or not genes.any():
        left = f"{cells.sum()} of {adata.n_obs} cells and {genes.sum()} of {adata.n_vars} genes"
        raise UserError(f"quality control leaves {left}; loosen its thresholds")
    total = np.concatenate(
        [np.asarray(block.sum(axis=1), dtype=np.float64).ravel() for _, block in row_blocks(counts)]
    )
    table = pd.DataFrame(
        {
            "cell": adata.obs_names,
            "n_genes": n_genes.astype(np.int64),
            "total_counts": total,
            "pct_counts_mt": percent_mito,
            "removed": pd.Series(reason).replace("", None).to_numpy(),
        }
    )
    return cells, genes, pd.DataFrame(steps), table


def hold_out(obs: pd.DataFrame, holdout: Holdout, control: str | None = None) -> pd.Series:
    """Split cells into those for training and those held out.

    Parameters
    ----------
    obs
        Table of the cells, its labels categorical.
    holdout
        Either a share of the cells, drawn at random from each combination of the labels in
        stratify and rounded in each; or the cells that have one of the given values in every label
        of cells; or the cells of the types in treated whose condition is not the control.
    control
        The condition that is the control, if there are conditions.

    Returns
    -------
    pd.Series
        "train" or "held_out" for each cell (n_obs,).

    Raises
    ------
    UserError
        If the data lack a label or a value, or if one of the two parts would be empty.
    """
    cells = _cells_of(obs, holdout, control)
    for label in [*holdout.stratify, *cells]:
        if label not in obs:
            raise UserError(
                f"holdout names the label {label}, which the data lack; name its column in columns"
            )
    if cells:
        held = np.ones(len(obs), dtype=bool)
        for label, values in cells.items():
            for value in values:
                if value not in obs[label].cat.categories:
                    raise UserError(
                        f"holdout: no cell has the {label} '{value}'"
                        f"{nearest(value, obs[label].cat.categories)}"
                    )
            held &= obs[label].isin(values).to_numpy()
    else:
        groups = obs.groupby(holdout.stratify, observed=True) if holdout.stratify else obs
        drawn = groups.sample(frac=holdout.share, random_state=holdout.seed)
        held = obs.index.isin(drawn.index)
    if held.all() or not held.any():
        raise UserError(
            f"holdout takes {held.sum()} of {len(obs)} cells; it must take some and leave some"
        )
    return pd.Series(np.where(held, HELD_OUT, TRAIN), index=obs.index)


def log_normalize(adata: ad.AnnData, target_sum: float = 1e4) -> None:
    """Set X to log(1 + counts * target_sum / total counts of the cell), CSR float32, in place.

    This is Seurat's LogNormalize. The operations are scanpy's, to the last bit. They are written
    out because on lazy matrices scanpy sums in another precision.
    """

    def normalize(block):
        total = np.asarray(block.sum(axis=1), dtype=np.float32).ravel()
        per_count = np.where(total == 0, 1, total / np.float32(target_sum))
        values = block.astype(np.float32)
        values.data = np.log1p(values.data / np.repeat(per_count, np.diff(values.indptr)))
        return values

    adata.X = map_blocks(adata.layers["counts"], normalize, np.float32)


def variable_genes(adata: ad.AnnData, n_top_genes: int, flavor: Flavor) -> np.ndarray:
    """Choose highly variable genes with scanpy, over all cells of `adata`; no label takes part.

    Parameters
    ----------
    adata
        Flavours seurat and cell_ranger read X, log-normalised; seurat_v3 reads layers["counts"].
    n_top_genes
        How many genes to choose.
    flavor
        Scanpy's flavour.

    Returns
    -------
    np.ndarray
        Which genes (n_vars,) are chosen.

    Raises
    ------
    UserError
        If n_top_genes exceeds the number of genes, or if seurat_v3 would need too much memory.
    """
    if n_top_genes > adata.n_vars:
        raise UserError(
            f"n_top_genes is {n_top_genes}, but quality control left {adata.n_vars} genes; lower it"
        )
    if flavor == "seurat_v3" and is_lazy(adata.X):
        raise UserError(
            "flavor seurat_v3 takes all counts into memory, too many here; set flavor (that of "
            "clusters, if labels are derived) to seurat or cell_ranger"
        )
    layer = "counts" if flavor == "seurat_v3" else None
    table = sc.pp.highly_variable_genes(
        adata, n_top_genes=n_top_genes, flavor=flavor, layer=layer, inplace=False
    )
    # Scanpy declares None for the case inplace=True.
    return table["highly_variable"].to_numpy()  # pyright: ignore[reportOptionalSubscript]


def preprocess(
    adata: ad.AnnData,
    qc: QualityControl,
    normalization: str = "log",
    target_sum: float = 1e4,
    n_top_genes: int | None = None,
    flavor: Flavor = "seurat",
    scale: Scale | None = None,
    holdout: Holdout | None = None,
    drop_unlabelled: bool = False,
) -> tuple[ad.AnnData, pd.DataFrame, pd.DataFrame]:
    """Turn counts into a preprocessed data set.

    Parameters
    ----------
    adata
        A data set of the kind "counts"; it is changed.
    qc, normalization, target_sum, n_top_genes, flavor, scale, holdout, drop_unlabelled
        Settings of `sclatent.config.datasets.Dataset`.

    Returns
    -------
    tuple
        A data set of the kind "preprocessed" and its tables of the kinds "qc" and "qc_cells". X
        holds normalised values that are not yet scaled. With `scale`, var holds the mean and the
        standard deviation of each gene over training cells and uns the limit, and
        `sclatent.io.expression` scales when it reads.

    Raises
    ------
    UserError
        If the settings do not fit the data.
    LeakError
        If a held-out cell had a part in what was learnt.
    """
    if holdout is not None:
        obs = cast(pd.DataFrame, adata.obs)  # of another type only if anndata reads it lazily
        adata.obs["split"] = hold_out(obs, holdout, adata.uns.get("control"))
    elif "split" not in adata.obs:
        adata.obs["split"] = TRAIN
    adata.obs["split"] = pd.Categorical(adata.obs["split"], categories=[TRAIN, HELD_OUT])

    def steps(cells: ad.AnnData) -> tuple[ad.AnnData, pd.DataFrame, pd.DataFrame]:
        passed, removed, measures = _filtered(cells, qc, drop_unlabelled)
        _normalize(passed, normalization, target_sum)
        return _selected(passed, n_top_genes, flavor, scale), removed, measures

    training = in_training(adata.obs)
    alone = None if training.all() else adata[training].copy()
    result, qc_steps, qc_cells = steps(adata)
    _check_levels(result.obs)
    if alone is not None:
        if in_training(result.obs).all():
            raise UserError(
                "quality control removes every cell that is held out; loosen its thresholds or "
                "hold out others"
            )
        check_no_leak(result, steps(alone)[0])
    return result, qc_steps, qc_cells


def check_no_leak(result: ad.AnnData, alone: ad.AnnData) -> None:
    """Check that genes and statistics are those that the training cells alone give.

    Parameters
    ----------
    result
        The preprocessed data set.
    alone
        The training cells of the data set, preprocessed without the others.

    Raises
    ------
    LeakError
        If genes, means or standard deviations differ.
    """
    for genes, other, verb in [
        (result.var_names, alone.var_names, "let in"),
        (alone.var_names, result.var_names, "kept out"),
    ]:
        if len(extra := genes.difference(other)):
            raise LeakError(
                f"cells held out took part in the choice of genes: they {verb} {len(extra)}, "
                f"the first {extra[0]}"
            )
    for statistic in ("mean", "std"):
        if statistic in result.var and not result.var[statistic].equals(alone.var[statistic]):
            raise LeakError(
                f"cells held out took part in scaling: the {statistic} of genes changes without "
                "them"
            )


def _cells_of(obs: pd.DataFrame, holdout: Holdout, control: str | None) -> dict[str, list[str]]:
    """Return the values to hold out by label, as text; none for a random share."""
    if holdout.treated:
        conditions = obs["condition"].cat.categories if "condition" in obs else []
        return {
            "cell_type": list(map(str, holdout.treated)),
            "condition": [condition for condition in conditions if condition != control],
        }
    cells = holdout.cells or {}
    return {label: list(map(str, values)) for label, values in cells.items()}


def _filtered(
    adata: ad.AnnData, qc: QualityControl, drop_unlabelled: bool
) -> tuple[ad.AnnData, pd.DataFrame, pd.DataFrame]:
    """Apply `quality_control`, and return the tables that it makes."""
    cells, genes, steps, measures = quality_control(adata, qc, drop_unlabelled)
    adata = adata if cells.all() and genes.all() else adata[cells, genes].copy()
    for label in LABELS:
        if label in adata.obs:
            adata.obs[label] = adata.obs[label].cat.remove_unused_categories()
    return adata, steps, measures


def _normalize(adata: ad.AnnData, normalization: str, target_sum: float) -> None:
    """Set X to the normalised values, in place; values that are not counts are kept."""
    if normalization == "log":
        log_normalize(adata, target_sum)
    elif "counts" in adata.layers:
        factor = np.float32(1 / 255 if normalization == "unit" else 1)
        adata.X = map_blocks(
            adata.layers["counts"], lambda block: block.astype(np.float32) * factor, np.float32
        )


def _selected(
    adata: ad.AnnData, n_top_genes: int | None, flavor: Flavor, scale: Scale | None
) -> ad.AnnData:
    """Choose genes and add the statistics of scaling, both by the training cells."""
    if n_top_genes is not None:
        chosen = variable_genes(_training_cells(adata), n_top_genes, flavor)
        adata = adata[:, chosen].copy()
    if scale is not None:
        adata.var["mean"], adata.var["std"] = mean_and_std(_training_cells(adata).X)
        adata.uns["max_value"] = np.inf if scale.max_value is None else scale.max_value
    return adata


def _check_levels(obs) -> None:
    """Refuse a condition with one level, and a cell type with one cell, after quality control."""
    if "condition" in obs and obs["condition"].nunique() == 1:
        only = obs["condition"].iloc[0]
        raise UserError(
            f"all cells that pass quality control have the condition '{only}'; leave "
            "columns.condition and control out"
        )
    if "cell_type" not in obs:
        return
    sizes = obs["cell_type"].value_counts()
    single = [str(name) for name, size in sizes.items() if size == 1]
    if single:
        cell = obs.index[obs["cell_type"] == single[0]][0]
        raise UserError(
            "one cell alone of those that pass quality control has the cell_type "
            f"'{single[0]}' (cell {cell}), too few to score; leave it out with drop and its "
            f"column: [{', '.join(single[:5])}]"
        )


def _training_cells(adata: ad.AnnData) -> ad.AnnData:
    training = in_training(adata.obs)
    adata = adata if training.all() else adata[training].copy()
    # Sums over these cells must not depend on their positions among the others.
    adata.X = in_blocks(adata.X)
    return adata
