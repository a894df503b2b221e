"""The paper: results as values by name, and the typesetter that makes a PDF of them and a template.

The template can show a number only by naming its table and row. A number that is missing there ends
the build.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import pandas as pd
import typst
import yaml

from sclatent.common.errors import UserError
from sclatent.common.vocabulary import ALL, OVER_GROUPS, OVER_TYPES
from sclatent.io.contracts import TABLES
from sclatent.io.provenance import versions_of
from sclatent.io.records import read_record
from sclatent.io.tables import read_provenance, read_table

SUMMARIES = ("summary", "perturbation_summary", "generation_summary")
FIRST_VALUE = "mean"  # the columns of a summary before this one name a row
# The keys of a row that its name may leave out, and what they are then.
DEFAULT_KEYS = {
    "summary": {"split": ALL, "latent": "mean", "method": "kmeans_latent", "subset": ALL},
    "perturbation_summary": {"cell_type": OVER_TYPES, "subset": ALL},
    "generation_summary": {"condition": ALL, "cell_type": OVER_GROUPS},
}
# The metrics that the paper shows. Of recalls it shows those of mixture components only.
SHOWN = {
    *("nmi_geometric", "ari", "homogeneity", "completeness", "majority_accuracy", "n_missed"),
    *("pearson_squared_mean", "r2_mean", "e_distance", "marker_overlap"),
    *("two_sample_auc", "mmd", "right_label", "types_drawn"),
}
# Decimals of real numbers as the paper prints them, if they are not three.
DECIMALS = {"train_seconds": 1, "train_memory": 0}
VALUES_FILE = "values.json"  # the file with the values, as the template sees it


def read_summary(path: str | Path, kind: str) -> dict[str, Any]:
    """Read the rows of a table of means by their keys.

    Parameters
    ----------
    path
        The table.
    kind
        One of SUMMARIES.

    Returns
    -------
    "keys": the columns that name a row. "rows": by the texts of these columns, separated by tabs,
    the other columns. A real number is {"value": number, "text": as it is printed}; a missing one
    is None.
    """
    columns = TABLES[kind]
    first = list(columns).index(FIRST_VALUE)
    keys, values = list(columns)[:first], list(columns)[first:]
    rows = {}
    for row in read_table(path, kind).to_dict("records"):
        name = "\t".join("" if pd.isna(row[key]) else row[key] for key in keys)
        rows[name] = {
            column: _printed(row[column], columns[column].type, DECIMALS.get(column, 3))
            for column in values
        }
    return {"keys": keys, "rows": rows}


def shown_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table that the paper or its references show.

    Rows of twenty genes are left out, because those of ten and of a hundred are shown. A table
    without metrics is returned whole.
    """
    if "metric" not in table:
        return table
    is_shown = table["metric"].isin(list(SHOWN))
    if "subset" in table:
        is_shown &= table["subset"] != "top_20"
    if "method" in table:
        is_shown |= (table["metric"] == "recall") & (table["method"] == "components")
    return table.loc[is_shown]


def _printed(value: Any, kind: str, decimals: int) -> int | dict[str, Any] | None:
    """Return a number ready for JSON, with its text if it is real."""
    if pd.isna(value):
        return None
    if kind == "whole":
        return int(value)
    return {"value": float(value), "text": f"{value:z.{decimals}f}"}


def read_records(path: str | Path, kind: str) -> list[dict[str, Any]]:
    """Read the rows of a table as dictionaries; a missing value is None."""
    table = read_table(path, kind).astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    return cast(list[dict[str, Any]], rows)  # the columns of a table are texts


def read_study(tables: Mapping[str, str | Path]) -> dict[str, Any]:
    """Read the tables of a study.

    Parameters
    ----------
    tables
        Paths by kind: those of SUMMARIES, "runs" and "absent".

    Returns
    -------
    "tables": the summaries by kind, as `read_summary` reads them. "runs" and "absent": their rows.
    """
    return {
        "tables": {kind: read_summary(tables[kind], kind) for kind in SUMMARIES},
        "runs": read_records(tables["runs"], "runs"),
        "absent": read_records(tables["absent"], "absent"),
    }


def read_references(path: str | Path, studies: Iterable[str]) -> list[dict[str, Any]]:
    """Read the reference works that one of the studies repeats, with the rows of these studies."""
    names = set(studies)
    repeated = []
    for entry in yaml.safe_load(Path(path).read_text()):
        ours = [row for row in entry.get("ours", []) if row["study"] in names]
        if ours:
            repeated.append({**entry, "ours": ours})
    return repeated


def software(tables: Iterable[str], runs: Iterable[str]) -> dict[str, Any]:
    """Return what results were made with.

    Parameters
    ----------
    tables
        Paths of tables, which begin with their provenance.
    runs
        Paths of records of trainings (run.json).

    Returns
    -------
    "versions" of each program by name; "devices" and "threads" of the trainings.
    """
    trainings = [read_record(path)["provenance"] for path in runs]
    versions = versions_of([*map(read_provenance, tables), *trainings])
    return {
        "versions": dict(sorted(versions.items(), key=lambda item: item[0].lower())),
        "devices": sorted({origin["device"] for origin in trainings}),
        "threads": sorted({origin["threads"] for origin in trainings}),
    }


def typeset(
    template: Iterable[str | Path], values: Mapping[str, Any], figures: Iterable[str | Path]
) -> bytes:
    """Typeset the template.

    The template sees no other file, no font of this machine and no clock, so that equal inputs
    give equal bytes.

    Parameters
    ----------
    template
        Its files; main.typ includes the others.
    values
        What the template reads from VALUES_FILE.
    figures
        SVG files, which the template names by these paths.

    Returns
    -------
    The PDF.

    Raises
    ------
    UserError
        If the template asks for a value that is missing, or is wrong.
    """
    files = {Path(path).name: Path(path).read_bytes() for path in template}
    files |= {str(path): Path(path).read_bytes() for path in figures}
    files[VALUES_FILE] = json.dumps(values, ensure_ascii=False).encode()
    try:
        pdf = typst.compile(
            files,  # pyright: ignore[reportArgumentType] - also takes a dictionary of files
            format="pdf",
            ignore_system_fonts=True,
            timestamp=0,
        )
    except typst.TypstError as error:
        place = re.search(r"┌─ (\S+)", error.diagnostic)
        where = f" ({place[1]})" if place else ""
        own = error.message.removeprefix("panicked with: ")
        raise UserError(
            own if own != error.message else f"the template of the paper: {own}{where}"
        ) from error
    return cast(bytes, pdf)  # one PDF holds all pages
