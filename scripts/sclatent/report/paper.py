"""The paper: results as values by name, captions and provenance, and the typesetter that makes a PDF of a template and of these.

A template can show no number but those that it asks for by table and row. What the results do not have ends the build.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import typst
import yaml

from sclatent.common.errors import UserError
from sclatent.io.contracts import TABLES
from sclatent.io.provenance import versions_of
from sclatent.io.records import read_record
from sclatent.io.tables import read_provenance, read_table

SUMMARIES = ("summary", "perturbation_summary", "generation_summary")
MEASURED = "mean"  # the first column of a summary that is no key
# The keys of a row that are left out where they are these.
USUAL = {
    "summary": {"split": "all", "latent": "mean", "method": "kmeans_latent", "subset": "all"},
    "perturbation_summary": {"cell_type": "mean of types", "subset": "all"},
    "generation_summary": {"condition": "all", "cell_type": "mean of groups"},
}
SHOWN = {  # metrics
    *("nmi_geometric", "ari", "homogeneity", "completeness", "majority_accuracy", "n_missed"),
    *("pearson_squared_mean", "r2_mean", "e_distance", "marker_overlap"),
    *("two_sample_auc", "mmd", "right_label", "types_drawn"),
}
DECIMALS = {
    "train_seconds": 1,
    "train_memory": 0,
}  # of real numbers as they are printed; of others three
VALUES = "values.json"  # how the template calls what it is given


def read_summary(path: str | Path, kind: str) -> dict[str, Any]:
    """Return the rows of a table of means by their keys.

    keys: the columns that name a row. rows: by the texts of those, in that order and separated by tabs, the other columns: a real
    number as {"value": number, "text": as it is printed}, None where it is missing.
    """
    columns = TABLES[kind]
    first = list(columns).index(MEASURED)
    keys, numbers = list(columns)[:first], list(columns)[first:]
    rows = {}
    for row in read_table(path, kind).to_dict("records"):
        name = "\t".join("" if pd.isna(row[key]) else row[key] for key in keys)
        rows[name] = {
            column: _shown(row[column], columns[column].type, DECIMALS.get(column, 3))
            for column in numbers
        }
    return {"keys": keys, "rows": rows}


def shown_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table whose metric the paper or its references show, of recalls those of components alone.

    Not those of twenty genes, beside which ten and a hundred are shown. All rows of a table without metrics.
    """
    if "metric" not in table:
        return table
    shown = table["metric"].isin(SHOWN)
    if "subset" in table:
        shown &= table["subset"] != "top_20"
    if "method" in table:
        shown |= (table["metric"] == "recall") & (table["method"] == "components")
    return table[shown]


def _shown(value: Any, kind: str, decimals: int) -> Any:
    """Return a number ready for JSON, with its text where it is real."""
    if pd.isna(value):
        return None
    return (
        int(value) if kind == "whole" else {"value": float(value), "text": f"{value:z.{decimals}f}"}
    )


def read_records(path: str | Path, kind: str) -> list[dict]:
    """Return the rows of a table as mappings, None where a value is missing."""
    table = read_table(path, kind).astype(object)
    return table.where(table.notna(), None).to_dict("records")


def read_study(paths: Iterable[str | Path]) -> dict[str, Any]:
    """Return what the tables of a study hold: the summaries by row, what ran and failed, what is absent and why.

    paths: of tables of the kinds SUMMARIES, runs and absent, each named <kind>.tsv.
    """
    by_kind = {Path(path).stem: path for path in paths}
    tables = {kind: read_summary(by_kind[kind], kind) for kind in SUMMARIES}
    return {
        "tables": tables,
        **{kind: read_records(by_kind[kind], kind) for kind in ("runs", "absent")},
    }


def read_references(path: str | Path, studies: Iterable[str]) -> list[dict]:
    """Return the entries of the reference works that are repeated in one of the studies, with the rows of those studies only."""
    entries = yaml.safe_load(Path(path).read_text())
    ours = [[row for row in entry.get("ours", []) if row["study"] in studies] for entry in entries]
    return [{**entry, "ours": rows} for entry, rows in zip(entries, ours, strict=True) if rows]


def software(tables: Iterable[str], runs: Iterable[str]) -> dict[str, Any]:
    """Return what results were made with: the versions of each program, devices and threads of the trainings.

    tables: files that begin with their provenance. runs: records of trainings.
    """
    trainings = [read_record(path)["provenance"] for path in runs]
    versions = versions_of([*map(read_provenance, tables), *trainings])
    return {
        "versions": dict(sorted(versions.items(), key=lambda item: item[0].lower())),
        "devices": sorted({origin["device"] for origin in trainings}),
        "threads": sorted({origin["threads"] for origin in trainings}),
    }


def render_caption(path: str | Path, wildcards: Mapping[str, str]) -> str:
    """Return the caption that the report has for the figure with these wildcards, on one line, from its template.

    Raises UserError where the template asks for anything but wildcards, or has no words for the figure.
    """
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    try:
        text = environment.from_string(Path(path).read_text()).render(
            snakemake={"wildcards": wildcards}
        )
    except jinja2.TemplateError as error:
        raise UserError(f"{path}: {error}; a caption knows snakemake.wildcards only") from error
    if not text.strip():
        raise UserError(f"{path} has no caption for figure '{wildcards['figure']}'; add one")
    return " ".join(text.split())


def typeset(
    template: Iterable[str | Path], values: Mapping[str, Any], figures: Iterable[str | Path]
) -> bytes:
    """Return the PDF of the template's files, of which main.typ includes the others, with the values as VALUES.

    Figures go by their paths. The template sees no other file, no font of this machine and no clock: equal inputs give equal
    bytes. Raises UserError, with one line that names it, where a value that it asks for is missing or the template is wrong.
    """
    files = {Path(path).name: Path(path).read_bytes() for path in template}
    files |= {str(path): Path(path).read_bytes() for path in figures}
    files[VALUES] = json.dumps(values, ensure_ascii=False).encode()
    try:
        return typst.compile(files, format="pdf", ignore_system_fonts=True, timestamp=0)
    except typst.TypstError as error:
        place = re.search(r"┌─ (\S+)", error.diagnostic)
        where = f" ({place[1]})" if place else ""
        own = error.message.removeprefix("panicked with: ")
        raise UserError(
            own if own != error.message else f"the template of the paper: {own}{where}"
        ) from error
