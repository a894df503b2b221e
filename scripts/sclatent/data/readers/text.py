"""Readers of text tables."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sclatent.common.errors import UserError
from sclatent.data.readers.common import Files, named


def read_csv(files: Files) -> ad.AnnData:
    """Read counts from text: commas in a .csv, tabs elsewhere, gzipped or not.

    Parameters
    ----------
    files
        "counts": the file, with cells in rows. The first column names the cells, the first line the
        genes.

    Raises
    ------
    UserError
        If the table holds something other than numbers.
    """
    (path,) = files["counts"]
    table = text_table(path, {0: str})
    for position, dtype in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(dtype):
            column = table.iloc[:, position]
            row = np.isnan(np.asarray(pd.to_numeric(column, errors="coerce"))).argmax()
            raise UserError(
                f"{path}: column '{column.name}' holds '{column.iloc[row]}' in row "
                f"'{column.index[row]}', but a table of counts holds numbers only; labels go into "
                "a table of their own, files.annotation"
            )
    values = sparse.csr_matrix(table.to_numpy())
    return named(values, pd.DataFrame(index=table.index), pd.DataFrame(index=table.columns))


def text_table(path: Path, dtype) -> pd.DataFrame:
    """Read a text table: commas in a .csv, tabs elsewhere.

    Names stay as they are written, even if they are numbers, repeated or NA.

    Parameters
    ----------
    path
        The first column names the rows and the first line the columns. The first line may lack the
        name of the first column, as R writes it.
    dtype
        Type of the values, as pandas takes it.

    Raises
    ------
    UserError
        If the table has one column only, or if its first line does not fit the others.
    """
    form = {
        "sep": "," if ".csv" in path.name.lower() else "\t",
        "header": None,
        "keep_default_na": False,
    }
    header = pd.read_csv(path, nrows=1, dtype=str, **form).iloc[0].tolist()
    table = pd.read_csv(path, skiprows=1, dtype=dtype, **form)
    names = table.pop(0)
    if table.empty:
        raise UserError(
            f"{path} has one column only; a .csv has commas between its columns, any other table "
            "has tabs"
        )
    if len(header) - table.shape[1] not in (0, 1):
        raise UserError(
            f"{path} names {len(header)} columns in its first line, but has {table.shape[1] + 1}; "
            "write it again"
        )
    return table.set_axis(header[-table.shape[1] :], axis=1).set_axis(names, axis=0)
