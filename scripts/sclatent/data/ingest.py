"""From a data set as its source has it to checked counts with labels under fixed names.

What would spoil a result in silence is refused with the column, the first offenders and the cure. What is mended (repeated
names, dense matrices) is said in a warning.
"""

import logging
import re
from collections.abc import Iterable

import anndata as ad
import numpy as np
import pandas as pd
from anndata.utils import make_index_unique
from scipy import sparse

from sclatent.common.errors import CONTROL, UserError, nearest
from sclatent.common.vocabulary import LABELS, RESERVED
from sclatent.io.blocks import LARGE, is_lazy, map_blocks, row_blocks

logger = logging.getLogger(__name__)

MISSING = ["", "NA", "NaN", "nan", "None", "null"]  # how tables say that a label is not known
ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}")
BARCODE = re.compile(
    r"(.*[^A-Za-z0-9])?[ACGT]{10,}([-.]\d+)?$"
)  # R writes a dot for the dash; samples may stand in front
MITOCHONDRIAL = re.compile(r"mt-", re.IGNORECASE)  # MT- in human, mt- in mouse, Mt- in rat
LARGEST = np.iinfo(np.int32).max


def ingest(
    source: ad.AnnData,
    annotation: pd.DataFrame | None,
    columns: dict[str, str | None],
    control: str | None,
    keep: dict[str, list],
    drop: dict[str, list],
) -> ad.AnnData:
    """Return the checked counts of a data set, of the kind "counts".

    source: what `sclatent.data.readers.registry.read` returned. annotation: a table with one row a cell, joined by its index. The other
    arguments are those of `sclatent.config.datasets.Dataset`. A format that names labels itself (uns["labelled"]) has them under their
    own names, as it has split and pct_counts_mt; nothing else is taken that no column names. A cell may have no label until
    quality control is done. Counts go to layers["counts"], CSR int32; data that say that they are no counts (uns["real"]) keep
    their values in X. obs gets cell_type, condition, batch and split as far as they are known, and pct_counts_mt in percent.
    Raises UserError for everything that cannot be right.
    """
    _check_shape(source)
    table = source.obs if annotation is None else _joined(source.obs, annotation)
    own = source.uns.get("labelled", False)
    named = {name: name for name in (*LABELS, "split") if name in table} if own else columns
    where = "obs" if annotation is None else "obs, with the annotation,"
    labels = _labels(table, named, where)
    chosen = _chosen(table, keep, drop, where)
    if not chosen.any():
        raise UserError(f"keep and drop leave none of the {source.n_obs} cells; check their values")
    labels = labels[chosen].astype("category")
    for label in labels:
        if labels[label].isna().all():
            raise UserError(
                f"no cell has a value in column '{columns.get(label)}', the {label}; name another column"
            )
        if label != "batch" and (
            taken := [name for name in RESERVED if name in labels[label].cat.categories]
        ):
            raise UserError(
                f"a {label} is called '{taken[0]}', a name that tables of results need for themselves; rename it"
            )
        _check_one_line(labels[label].cat.categories, label)
    control = control or source.uns.get("control")
    if control is not None and control not in labels["condition"].cat.categories:
        raise UserError(
            f"control is '{control}', which no cell has as its condition{nearest(control, labels['condition'].cat.categories)}"
        )
    labels.index = _unique(source.obs_names[chosen], "cells")
    var = pd.DataFrame(index=_unique(_gene_names(source.var, columns.get("gene")), "genes"))
    values = _sparse(source.X)
    values = values if chosen.all() else values[chosen]
    adata = ad.AnnData(obs=labels, var=var)
    if source.uns.get("real"):
        adata.X = map_blocks(values, lambda block: block.astype(np.float32), np.float32)
    else:
        _check_counts(values, adata, source.uns.get("layers", []))
        adata.layers["counts"] = map_blocks(values, _as_counts, np.int32)
    known = own and "pct_counts_mt" in source.obs
    percent = (
        source.obs["pct_counts_mt"].to_numpy(np.float64)[chosen]
        if known
        else percent_mito(values, var.index)
    )
    adata.obs["pct_counts_mt"] = percent
    if control is not None:
        adata.uns["control"] = control
    return adata


def percent_mito(counts, genes: pd.Index) -> np.ndarray:
    """Return the share of counts (n_obs, n_vars) in mitochondrial genes, percent (n_obs,); NaN without such genes."""
    mitochondrial = np.array([bool(MITOCHONDRIAL.match(gene)) for gene in genes])
    if not mitochondrial.any():
        return np.full(counts.shape[0], np.nan)
    sums = [
        (block[:, mitochondrial].sum(axis=1), block.sum(axis=1)) for _, block in row_blocks(counts)
    ]
    part, total = (
        np.concatenate([np.asarray(pair[i], np.float64).ravel() for pair in sums]) for i in (0, 1)
    )
    return 100 * part / np.where(total == 0, 1, total)


def _check_shape(source: ad.AnnData) -> None:
    """Refuse data without cells or genes, and genes in the place of cells."""
    if 0 in source.shape:
        raise UserError(
            f"the data hold {source.n_obs} cells and {source.n_vars} genes; give a file that holds both"
        )
    for names, pattern, what in [
        (source.obs_names, ENSEMBL, "cells"),
        (source.var_names, BARCODE, "genes"),
    ]:
        alike = [name for name in names[:1000] if pattern.match(name)]
        if len(alike) > min(1000, len(names)) / 2:
            other = "genes" if what == "cells" else "cells"
            raise UserError(
                f"the {len(names)} {what} have names of {other} (the first: {', '.join(alike[:3])}), so the matrix is "
                "transposed; give it with cells in rows"
            )


def _joined(obs: pd.DataFrame, annotation: pd.DataFrame) -> pd.DataFrame:
    """Return obs with the columns of an annotation table, joined by the names of the cells."""
    annotation = annotation.set_index(annotation.index.astype(str))
    if not annotation.index.is_unique:
        repeated = annotation.index[annotation.index.duplicated()][0]
        raise UserError(
            f"the annotation names the cell '{repeated}' more than once; keep one row a cell"
        )
    if annotation.empty:
        raise UserError(
            "the annotation has no rows or no columns; give a table with the cells' names and their labels"
        )
    if not obs.index.isin(annotation.index).any():
        raise UserError(
            f"the annotation names none of the cells: its first is '{annotation.index[0]}', that of the counts "
            f"'{obs.index[0]}'; its first column must hold the cells' names as the counts have them"
        )
    replaced = [column for column in annotation if column in obs]
    if replaced:
        logger.warning(
            "column '%s' of the annotation takes the place of the one in obs", replaced[0]
        )
    return obs.drop(columns=replaced).join(
        annotation.astype("object")
    )  # whole numbers stay such where cells have none


def _column(table: pd.DataFrame, column: str, where: str) -> pd.Series:
    if column not in table:
        raise UserError(
            f"{where} has no column '{column}'{nearest(column, map(str, table.columns))}"
        )
    return table[column]


def _gene_names(var: pd.DataFrame, column: str | None) -> pd.Index:
    """Return the names of genes, from a column of var where one is named; a gene without a symbol keeps its own name."""
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


def _labels(table: pd.DataFrame, columns: dict[str, str | None], where: str) -> pd.DataFrame:
    """Return the labels of all cells under their fixed names, as text; missing ones are NaN."""
    named = {
        label: column for label, column in columns.items() if column is not None and label != "gene"
    }
    return pd.DataFrame(
        {label: _texts(_column(table, column, where)) for label, column in named.items()},
        index=table.index,
    )


def _texts(column: pd.Series) -> pd.Series:
    """Return the values of a column as text, whole numbers without a point; missing ones are NaN."""
    texts = column.astype("object").map(_text, na_action="ignore")
    return texts.mask(texts.isin(MISSING))


def _text(value) -> str:
    """Return a value as text; a column of whole numbers with gaps holds them as 1.0, and a person writes 1."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _chosen(
    table: pd.DataFrame, keep: dict[str, list], drop: dict[str, list], where: str
) -> np.ndarray:
    """Return which cells have the values to keep and none of those to drop; all values are compared as text."""
    chosen = np.ones(len(table), dtype=bool)
    for what, choices in (("keep", keep), ("drop", drop)):
        for column, values in choices.items():
            held = _texts(_column(table, column, where))
            known = set(held.dropna())
            absent = [_text(value) for value in values if _text(value) not in known]
            if absent:
                raise UserError(
                    f"{what}: no cell has '{absent[0]}' in column '{column}'{nearest(absent[0], known)}"
                )
            fits = held.isin([_text(value) for value in values]).to_numpy()
            chosen &= fits if what == "keep" else ~fits
    return chosen


def _unique(names: pd.Index, what: str) -> pd.Index:
    """Return names as unique text, and say which were not."""
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
    """Refuse names with breaks of lines or other control characters, of which tables, pages and terminals make something else."""
    odd = next((name for name in names if CONTROL.search(name)), None)
    if odd is not None:
        raise UserError(
            f"a {what} is called {odd!r}, which holds a line break or another control character; rename it"
        )


def _sparse(values):
    """Return a matrix as CSR, or as it is where it is lazy."""
    if not sparse.issparse(values._meta if is_lazy(values) else values):
        logger.warning("the matrix is dense; it is stored as a sparse one")
    if not is_lazy(values) and values.size > LARGE:
        logger.warning(
            "%d values are held in memory; counts by rows (CSR) in an .h5ad are read block by block",
            values.size,
        )
    return values if is_lazy(values) else sparse.csr_matrix(values)


def _summed(block) -> sparse.csr_matrix:
    """Return values as CSR float64, which holds every sum of counts, with one value for each place."""
    values = sparse.csr_matrix(block, dtype=np.float64, copy=True)
    values.sum_duplicates()
    return values


def _as_counts(block) -> sparse.csr_matrix:
    """Return whole values as sorted CSR int32 without stored zeros."""
    counts = _summed(block)
    counts.eliminate_zeros()
    return counts.astype(np.int32)


def _check_counts(values, adata: ad.AnnData, layers: list[str]) -> None:
    """Refuse values (n_obs, n_vars) that are not whole, non-negative, finite, and somewhere above zero."""
    found_any = False
    for rows, block in row_blocks(values):
        block = _summed(block)
        data = block.data
        found_any |= bool(data.any())
        for fault, bad in {
            "is not finite": ~np.isfinite(data),
            "is negative": data < 0,
            "is not a whole number": data != np.rint(data),
            "is larger than a count can be": data > LARGEST,
        }.items():
            if bad.any():
                at = np.flatnonzero(bad)[0]
                row = np.searchsorted(block.indptr, at, side="right") - 1
                cell, gene = adata.obs_names[rows][row], adata.var_names[block.indices[at]]
                raise UserError(
                    f"the count of gene {gene} in cell {cell} {fault}: {data[at]:g}; {_cure(block, layers)}"
                )
    if not found_any:
        raise UserError(f"all counts are zero; {_cure(None, layers)}")


def _cure(block: sparse.csr_matrix | None, layers: list[str]) -> str:
    """Say what values that are no counts look like, and where the counts may be."""
    guess = ""
    if (
        block is not None
        and np.isfinite(block.data).all()
        and (block.data >= 0).all()
        and block.data.max() < 20
    ):
        totals = np.asarray(block.expm1().sum(axis=1)).ravel()
        totals = totals[totals > 0]
        even = np.median(np.abs(totals - np.median(totals))) < 0.01 * np.median(totals)
        guess = f"the values look log-normalised{f' to {np.median(totals):.0f} a cell' if even else ''}; "
    where = f" (this file has: {', '.join(layers)})" if layers else ""
    return f"{guess}give raw counts, for an .h5ad by naming their layer{where}"
