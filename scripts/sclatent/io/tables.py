"""Tidy tables as tab-separated text: provenance in the first line, a header, one row each."""

import hashlib
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from sclatent.common.errors import UserError
from sclatent.io.atomic import replacing, whole
from sclatent.io.contracts import TABLES, Column
from sclatent.io.provenance import as_text

# Key in the first line of a table: the SHA-256 of all lines below it.
ROWS = "rows"
_FITS: dict[str, Callable[[pd.Series], bool]] = {
    "text": lambda values: bool(values.map(type).eq(str).all()),
    "whole": pd.api.types.is_integer_dtype,
    "real": pd.api.types.is_float_dtype,
}
_DTYPES = {"text": "str", "whole": "int64", "real": "float64"}


def concat_tables(tables: list[pd.DataFrame], kind: str) -> pd.DataFrame:
    """Put tables of a kind below each other; without any row, return the kind's columns only."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else _empty(kind)


def as_kind(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Give a table the columns of a kind, in their order and with their types.

    Columns that the table lacks are added, with a missing value in every row; columns that the
    kind lacks are removed.
    """
    dtypes = {
        name: _dtype(column) for name, column in TABLES[kind].items() if column.type != "text"
    }
    return table.reindex(columns=list(TABLES[kind])).astype(dtypes)


def absent_table(
    evaluation: str,
    dataset: str,
    missing: Iterable[tuple[str, str]],
    model: str | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """Return a table of the kind "absent": what was not measured, and why.

    Parameters
    ----------
    evaluation
        "clustering", "generation" or "perturbation".
    dataset
        Name of the data set.
    missing
        Pairs of a measurement that does not apply and the reason.
    model, seed
        What the rows are about; None if they hold for all models or seeds.
    """
    rows = [
        {
            "evaluation": evaluation,
            "dataset": dataset,
            "model": model,
            "seed": seed,
            "what": what,
            "reason": reason,
        }
        for what, reason in missing
    ]
    return as_kind(pd.DataFrame(rows) if rows else _empty("absent"), "absent")


def write_table(table: pd.DataFrame, path: str | Path, kind: str, provenance: dict) -> None:
    """Write a table, whole or not at all.

    Parameters
    ----------
    table
        Its columns are those of the kind, in the same order.
    path
        The file.
    kind
        Key of `sclatent.io.contracts.TABLES`.
    provenance
        What `sclatent.io.provenance.describe` returned.

    Raises
    ------
    ValueError
        If the table breaks its contract. Nothing is written then.
    UserError
        If the disk is full or cannot be written to.
    """
    columns = TABLES[kind]
    if list(table.columns) != list(columns):
        raise ValueError(
            f"{kind}: columns are {list(table.columns)}, the contract has {list(columns)}"
        )
    for name, column in columns.items():
        present = pd.Series(table[name].dropna())
        some_missing = len(present) < len(table) and not column.optional
        if some_missing or (len(present) and not _FITS[column.type](present)):
            raise ValueError(
                f"{kind}: column {name} does not hold {column.type} values, or some are missing"
            )
    rows = table.to_csv(sep="\t", index=False).encode()
    first = as_text({**provenance, ROWS: hashlib.sha256(rows).hexdigest()})
    with replacing(path) as temporary:
        temporary.write_bytes(f"# {first}\n".encode() + rows)


def read_table(path: str | Path, kind: str) -> pd.DataFrame:
    """Read a table that `write_table` wrote.

    Parameters
    ----------
    path
        The file.
    kind
        Key of `sclatent.io.contracts.TABLES`.

    Returns
    -------
    pd.DataFrame
        Text as str, real values as float64, whole ones as int64, or as Int64 if some may be
        missing.

    Raises
    ------
    UserError
        If the file is missing, is not a table of this kind, or was changed after it was written.
    """
    columns = TABLES[kind]
    with whole(path, "table"):
        first, _, rows = Path(path).read_bytes().partition(b"\n")
        if hashlib.sha256(rows).hexdigest() != _parsed(first)[ROWS]:
            raise ValueError("its rows are not those that were written")
    # pandas' own annotations know neither this dictionary of types nor "round_trip", which reads
    # every number back to the same bits.
    table = pd.read_csv(  # pyright: ignore[reportCallIssue]
        io.BytesIO(rows),
        sep="\t",
        dtype={  # pyright: ignore[reportArgumentType]
            name: _dtype(column) for name, column in columns.items()
        },
        na_values=[""],
        keep_default_na=False,
        float_precision="round_trip",  # pyright: ignore[reportArgumentType]
    )
    if list(table.columns) != list(columns):
        raise UserError(
            f"{path} is not a table of kind '{kind}'; delete it and run the same command again"
        )
    return table


def read_provenance(path: str | Path) -> dict:
    """Return the provenance of a table, from its first line.

    Raises
    ------
    UserError
        If the file is missing or is not a table.
    """
    with whole(path, "table"), open(path, "rb") as file:
        entries = _parsed(file.readline())
    return {name: value for name, value in entries.items() if name != ROWS}


def _empty(kind: str) -> pd.DataFrame:
    """Return a table of a kind without rows, its columns without types."""
    return pd.DataFrame(columns=pd.Index(TABLES[kind]))


def _parsed(first: bytes) -> dict:
    """Return the entries in the first line of a table."""
    return json.loads(first.removeprefix(b"# "))


def _dtype(column: Column) -> str:
    if column.type == "whole" and column.optional:
        return "Int64"
    return _DTYPES[column.type]
