"""Turns a data set as its source has it into checked counts with labels under fixed names.

What would silently spoil a result is refused, with the column, the first offenders and the cure.
What is mended (repeated names, dense matrices) is reported in a warning.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from typing import cast

import anndata as ad
import numpy as np
import pandas as pd
from anndata.utils import make_index_unique
from scipy import sparse

from sclatent.common.errors import CONTROL, UserError, nearest
from sclatent.common.vocabulary import LABELS, RESERVED
from sclatent.io import blocks
from sclatent.io.blocks import Matrix, is_lazy, map_blocks, row_blocks

logger = logging.getLogger(__name__)

MISSING = ["", "NA", "NaN", "nan", "None", "null"]  # how tables write an unknown label
ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}")
# R writes a dot for the dash; the name of a sample may precede the barcode.
BARCODE = re.compile(r"(.*[^A-Za-z0-9])?[ACGT]{10,}([-.]\d+)?$")
MITOCHONDRIAL = re.compile(r"mt-", re.IGNORECASE)  # MT- in human, mt- in mouse, Mt- in rat
LARGEST = np.iinfo(np.int32).max


def ingest(
    source: ad.AnnData,
    annotation: pd.DataFrame | None,
    columns: Mapping[str, str | None],
    control: str | None,
    keep: dict[str, list],
    drop: dict[str, list],
) -> ad.AnnData:
    """Check a data set and give its labels their fixed names.

    Parameters
    ----------
    source
        What `sclatent.data.readers.registry.read` returned. A format that names labels itself
        (uns["labelled"]) has them under their own names, and may have split and pct_counts_mt.
        Nothing else is taken unless `columns` names it.
    annotation
        A table with one row per cell, joined by its index; None if obs holds the labels.
    columns, control, keep, drop
        Settings of `sclatent.config.datasets.Dataset`.

    Returns
    -------
    ad.AnnData
        Of the kind "counts". Counts are in layers["counts"], CSR int32; values that are not counts
        (uns["real"]) are in X. obs holds cell_type, condition, batch and split if they are known,
        and pct_counts_mt in percent. A cell may lack a label until quality control.

    Raises
    ------
    UserError
        If something cannot be right.
    """
    _check_shape(source)
    obs = cast(pd.DataFrame, source.obs)  # of another type only if anndata reads it lazily
    table = obs if annotation is None else _joined(obs, annotation)
    table_name = "obs" if annotation is None else "obs, with the annotation,"
    own = source.uns.get("labelled", False)
    named = {name: name for name in (*LABELS, "split") if name in table} if own else columns
    labels = _labels(table, named, table_name)
    chosen = _chosen(table, keep, drop, table_name)
    if not chosen.any():
        raise UserError(f"keep and drop leave none of the {source.n_obs} cells; check their values")
    labels = labels.loc[chosen].astype("category")
    for label in labels:
        _check_label(str(label), labels[label], columns)
    control = control or source.uns.get("control")
    if control is not None:
        _check_control(control, labels["condition"].cat.categories)
    labels.index = _unique(source.obs_names[chosen], "cells")
    genes = _gene_names(cast(pd.DataFrame, source.var), columns.get("gene"))
    adata = ad.AnnData(obs=labels, var=pd.DataFrame(index=_unique(genes, "genes")))
    values = _sparse(source.X)
    values = values if chosen.all() else values[chosen]
    if source.uns.get("real"):
        adata.X = map_blocks(values, lambda block: block.astype(np.float32), np.float32)
    else:
        _check_counts(values, adata, source.uns.get("layers", []))
        adata.layers["counts"] = map_blocks(values, _as_counts, np.int32)
    if own and "pct_counts_mt" in obs:
        adata.obs["pct_counts_mt"] = obs["pct_counts_mt"].to_numpy(np.float64)[chosen]
    else:
        adata.obs["pct_counts_mt"] = percent_mito(values, adata.var_names)
    if control is not None:
        adata.uns["control"] = control
    return adata


def percent_mito(counts, genes: pd.Index) -> np.ndarray:
    """Return the share of counts in mitochondrial genes.

    Parameters
    ----------
    counts
        Counts (n_obs, n_vars), CSR or lazy.
    genes
        Names of the genes (n_vars,).

    Returns
    -------
    np.ndarray
        Percent (n_obs,); NaN if no gene is mitochondrial.
    """
    mitochondrial = np.array([bool(MITOCHONDRIAL.match(gene)) for gene in genes])
    if not mitochondrial.any():
        return np.full(counts.shape[0], np.nan)
    part, total = [], []
    for _, block in row_blocks(counts):
        part.append(np.asarray(block[:, mitochondrial].sum(axis=1), np.float64).ravel())
        total.append(np.asarray(block.sum(axis=1), np.float64).ravel())
    totals = np.concatenate(total)
    return 100 * np.concatenate(part) / np.where(totals == 0, 1, totals)


def _check_shape(source: ad.AnnData) -> None:
    """Refuse data without cells or genes, and genes in the place of cells."""
    if 0 in source.shape:
        raise UserError(
            f"the data hold {source.n_obs} cells and {source.n_vars} genes; give a file that holds "
            "both"
        )
    for names, pattern, what, other in [
        (source.obs_names, ENSEMBL, "cells", "genes"),
        (source.var_names, BARCODE, "genes", "cells"),
    ]:
        alike = [name for name in names[:1000] if pattern.match(name)]
        if len(alike) > min(1000, len(names)) / 2:
            raise UserError(
                f"the {len(names)} {what} have names of {other} (the first: "
                f"{', '.join(alike[:3])}), so the matrix is transposed; give it with cells in rows"
            )


def _check_label(label: str, values: pd.Series, columns: Mapping[str, str | None]) -> None:
    """Refuse a label that no cell has, and names of levels that would spoil results."""
    if values.isna().all():
        raise UserError(
            f"no cell has a value in column '{columns.get(label)}', the {label}; "
            "name another column"
        )
    levels = values.cat.categories
    taken = [name for name in RESERVED if name in levels]
    if label != "batch" and taken:
        raise UserError(
            f"a {label} is called '{taken[0]}', a name that tables of results need for "
            "themselves; rename it"
        )
    _check_one_line(levels, label)


def _check_control(control: str, conditions: pd.Index) -> None:
    if control not in conditions:
        raise UserError(
            f"control is '{control}', which no cell has as its condition"
            f"{nearest(control, conditions)}"
        )


def _joined(obs: pd.DataFrame, annotation: pd.DataFrame) -> pd.DataFrame:
    """Return obs with the columns of an annotation table, joined by the names of the cells."""
    annotation = annotation.set_index(annotation.index.astype(str))
    if not annotation.index.is_unique:
        repeated = annotation.index[annotation.index.duplicated()][0]
        raise UserError(
            f"the annotation names the cell '{repeated}' more than once; keep one row per cell"
        )
    if annotation.empty:
        raise UserError(
            "the annotation has no rows or no columns; give a table with the cells' names and "
            "their labels"
        )
    if not obs.index.isin(annotation.index).any():
        raise UserError(
            f"the annotation names none of the cells: its first is '{annotation.index[0]}', that "
            f"of the counts '{obs.index[0]}'; its first column must hold the cells' names as the "
            "counts have them"
        )
    replaced = [column for column in annotation if column in obs]
    if replaced:
        logger.warning(
            "column '%s' of the annotation takes the place of the one in obs", replaced[0]
        )
    # As objects, whole numbers stay whole if some cells have none.
    return obs.drop(columns=replaced).join(annotation.astype("object"))


def _column(table: pd.DataFrame, column: str, table_name: str) -> pd.Series:
    if column not in table:
        raise UserError(
            f"{table_name} has no column '{column}'{nearest(column, map(str, table.columns))}"
        )
    return cast(pd.Series, table[column])  # pandas' types allow several columns of one name


def _gene_names(var: pd.DataFrame, column: str | None) -> pd.Index:
    """Return the names of genes, from a column of var if one is named.

    A gene without a value in that column keeps its own name.
    """
    if column is None:
        return var.index
    symbols = _column(var, column, "var").astype("object")
    unnamed = symbols.isna() | symbols.isin(MISSING)
    if unnamed.any():
        logger.warning(
            "%d genes have no %s (the first: %s) and keep their names",
            unnamed.sum(),
            column,
            var.index[unnamed][0],
        )
    return pd.Index(symbols.mask(unnamed, var.index.to_series()))


def _labels(
    table: pd.DataFrame, columns: Mapping[str, str | None], table_name: str
) -> pd.DataFrame:
    """Return the labels of all cells under their fixed names, as text; missing ones are NaN."""
    labels = {
        label: _texts(_column(table, column, table_name))
        for label, column in columns.items()
        if column is not None and label != "gene"
    }
    return pd.DataFrame(labels, index=table.index)


def _texts(column: pd.Series) -> pd.Series:
    """Return values as text, whole numbers without a point; missing ones are NaN."""
    texts = column.astype("object").map(_text, na_action="ignore")
    return texts.mask(texts.isin(MISSING))


def _text(value) -> str:
    """Return a value as text: 1 for the 1.0 of a column of whole numbers with gaps."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _chosen(
    table: pd.DataFrame, keep: dict[str, list], drop: dict[str, list], table_name: str
) -> np.ndarray:
    """Return which cells have the values to keep and none of those to drop, compared as text."""
    chosen = np.ones(len(table), dtype=bool)
    for key, choices in (("keep", keep), ("drop", drop)):
        for column, values in choices.items():
            present = _texts(_column(table, column, table_name))
            known = set(present.dropna())
            wanted = [_text(value) for value in values]
            for value in wanted:
                if value not in known:
                    raise UserError(
                        f"{key}: no cell has '{value}' in column '{column}'{nearest(value, known)}"
                    )
            fits = present.isin(wanted).to_numpy()
            chosen &= fits if key == "keep" else ~fits
    return chosen


def _unique(names: pd.Index, what: str) -> pd.Index:
    """Return names as unique text; a warning tells which were not."""
    names = names.astype(str)
    _check_one_line(names, what.removesuffix("s"))
    if not names.is_unique:
        repeated = names[names.duplicated()]
        logger.warning(
            "%d %s have the name of another (the first: %s); -1, -2, ... is appended to theirs",
            len(repeated),
            what,
            ", ".join(repeated.unique()[:3]),
        )
        names = make_index_unique(names)
    return names.rename(None)


def _check_one_line(names: Iterable[str], what: str) -> None:
    """Refuse names with line breaks or other control characters, which tables cannot hold."""
    odd = next((name for name in names if CONTROL.search(name)), None)
    if odd is not None:
        raise UserError(
            f"a {what} is called {odd!r}, which holds a line break or another control character; "
            "rename it"
        )


def _sparse(values) -> Matrix:
    """Return a matrix as CSR, or unchanged if it is lazy."""
    if not sparse.issparse(values._meta if is_lazy(values) else values):
        logger.warning("the matrix is dense; it is stored as a sparse one")
    if not is_lazy(values) and values.size > blocks.LARGE:
        logger.warning(
            "%d values are held in memory; "
            "counts by rows (CSR) in an .h5ad are read block by block",
            values.size,
        )
    return values if is_lazy(values) else sparse.csr_matrix(values)


def _summed(block) -> sparse.csr_matrix:
    """Return values as CSR float64, which represents every sum of counts, without duplicates."""
    values = sparse.csr_matrix(block, dtype=np.float64, copy=True)
    values.sum_duplicates()
    return values


def _as_counts(block):
    """Return whole values as sorted CSR int32 without stored zeros."""
    counts = _summed(block)
    counts.eliminate_zeros()
    return counts.astype(np.int32)


def _check_counts(values, adata: ad.AnnData, layers: list[str]) -> None:
    """Refuse values (n_obs, n_vars) that are not whole, non-negative and finite, or all zero."""
    any_positive = False
    for rows, block in row_blocks(values):
        summed = _summed(block)
        data = summed.data
        any_positive |= bool(data.any())
        for fault, bad in {
            "is not finite": ~np.isfinite(data),
            "is negative": data < 0,
            "is not a whole number": data != np.rint(data),
            "is larger than a count can be": data > LARGEST,
        }.items():
            if bad.any():
                first = np.flatnonzero(bad)[0]
                row = np.searchsorted(summed.indptr, first, side="right") - 1
                cell = adata.obs_names[rows][row]
                gene = adata.var_names[summed.indices[first]]
                raise UserError(
                    f"the count of gene {gene} in cell {cell} {fault}: {data[first]:g}; "
                    f"{_look(summed)}{_cure(layers)}"
                )
    if not any_positive:
        raise UserError(f"all counts are zero; {_cure(layers)}")


def _look(block: sparse.csr_matrix) -> str:
    """Return a hint, the begin of a sentence, if values look log-normalised; else nothing."""
    data = block.data
    if not np.isfinite(data).all() or (data < 0).any() or data.max() >= 20:
        return ""
    exponentiated = sparse.csr_matrix((np.expm1(data), block.indices, block.indptr), block.shape)
    totals = np.asarray(exponentiated.sum(axis=1)).ravel()
    totals = totals[totals > 0]
    median = np.median(totals)
    is_even = np.median(np.abs(totals - median)) < 0.01 * median
    return f"the values look log-normalised{f' to {median:.0f} per cell' if is_even else ''}; "


def _cure(layers: list[str]) -> str:
    """Return where the counts may be, as the end of a message."""
    names = f" (this file has: {', '.join(layers)})" if layers else ""
    return f"give raw counts, for an .h5ad by naming their layer{names}"
