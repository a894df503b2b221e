"""Tidy tables as tab-separated text: a first line with the provenance, then a header, then one observation a row."""

import hashlib
import io
import json
from pathlib import Path

import pandas as pd

from sclatent.common.errors import UserError
from sclatent.io.atomic import replacing, whole
from sclatent.io.contracts import TABLES, Column
from sclatent.io.provenance import as_text

ROWS = (
    "rows"  # the name under which the first line of a table has the SHA-256 of all that is below it
)
_FITS = {
    "text": lambda s: s.map(type).eq(str).all(),
    "whole": pd.api.types.is_integer_dtype,
    "real": pd.api.types.is_float_dtype,
}
_DTYPES = {"text": "str", "whole": "int64", "real": "float64"}


def concat_tables(tables: list[pd.DataFrame], kind: str) -> pd.DataFrame:
    """Return tables of a kind one below the other; an empty table with the kind's columns where all are empty."""
    filled = [table for table in tables if len(table)]
    return (
        pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(TABLES[kind]))
    )


def as_kind(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return a table with the columns of a kind, in their order and types; what it lacks of them is missing in every row."""
    dtypes = {
        name: _dtype(column) for name, column in TABLES[kind].items() if column.type != "text"
    }
    return table.reindex(columns=list(TABLES[kind])).astype(dtypes)


def write_table(table: pd.DataFrame, path: str | Path, kind: str, provenance: dict) -> None:
    """Write a table of a kind named in `sclatent.io.contracts`.

    Raises ValueError, and writes nothing, where it breaks its contract.
    """
    columns = TABLES[kind]
    if list(table.columns) != list(columns):
        raise ValueError(
            f"{kind}: columns are {list(table.columns)}, the contract has {list(columns)}"
        )
    for name, column in columns.items():
        values = table[name].dropna() if column.optional else table[name]
        if values.isna().any() or (len(values) and not _FITS[column.type](values)):
            raise ValueError(
                f"{kind}: column {name} does not hold {column.type} values, or some are missing"
            )
    rows = table.to_csv(sep="\t", index=False).encode()
    first = as_text({**provenance, ROWS: hashlib.sha256(rows).hexdigest()})
    with replacing(path) as temporary:
        temporary.write_bytes(f"# {first}\n".encode() + rows)


def read_table(path: str | Path, kind: str) -> pd.DataFrame:
    """Read a table that `write_table` wrote. Raises UserError where it is not one, or is not as it was written."""
    columns = TABLES[kind]
    with whole(path, "table"):
        first, _, rows = Path(path).read_bytes().partition(b"\n")
        if hashlib.sha256(rows).hexdigest() != _said(first)[ROWS]:
            raise ValueError("its rows are not those that were written")
    dtypes = {name: _dtype(column) for name, column in columns.items()}
    table = pd.read_csv(
        io.BytesIO(rows),
        sep="\t",
        dtype=dtypes,
        na_values=[""],
        keep_default_na=False,
        float_precision="round_trip",
    )
    if list(table.columns) != list(columns):
        raise UserError(
            f"{path} is not a table of kind '{kind}'; delete it and run the same command again"
        )
    return table


def read_provenance(path: str | Path) -> dict:
    """Return the provenance in the first line of a table. Raises UserError where there is none."""
    with whole(path, "table"), open(path, "rb") as file:
        said = _said(file.readline())
    return {name: value for name, value in said.items() if name != ROWS}


def _said(first: bytes) -> dict:
    """Return what the first line of a table says."""
    return json.loads(first.removeprefix(b"# "))


def _dtype(column: Column) -> str:
    if column.type == "whole" and column.optional:
        return "Int64"
    return _DTYPES[column.type]
