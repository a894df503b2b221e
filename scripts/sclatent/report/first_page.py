"""The first page of the report: what came out, what failed, of which data and models, with which software and at what cost."""

import html
import json
import os
import platform
import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import pandas as pd

from sclatent.io.atomic import whole
from sclatent.io.matrices import read_obs
from sclatent.io.provenance import versions_of
from sclatent.io.records import read_record
from sclatent.io.tables import read_provenance
from sclatent.report.headline import NOTHING
from sclatent.report.summary import seconds_and_memory

VALUES = {"unit": "8-bit intensities by 255", "none": "as they are"}


def data_table(paths: Mapping[str, str], settings: Mapping[str, dict]) -> pd.DataFrame:
    """Return a row a data set: cells, genes, cell types, conditions, cells held out, and what its values are.

    paths: files of the kind "preprocessed" by the name of the data set; settings: of each, its title, its labels and how it is
    normalised.
    """
    rows = []
    for name, path in paths.items():
        obs = read_obs(path)
        with h5py.File(path) as file:
            n_vars = len(file["var"][file["var"].attrs["_index"]])
        conditions = list(obs["condition"].cat.categories) if "condition" in obs else []
        row = {
            "data set": settings[name]["title"],
            "cells": f"{len(obs):,}",
            "genes": f"{n_vars:,}",
        }
        derived = " (derived)" if settings[name]["labels"] == "derived" else ""
        row |= {
            "cell types": f"{obs['cell_type'].nunique()}{derived}",
            "conditions": ", ".join(conditions) or NOTHING,
        }
        row |= {
            "cells held out": f"{(obs['split'] == 'held_out').sum():,}",
            "values": values_text(settings[name]),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def values_text(settings: Mapping) -> str:
    """Return in words what the values of a data set are, from the settings by which they are made."""
    words = [
        VALUES.get(settings["normalization"], f"log(1 + counts per {settings['target_sum']:,.0f})")
    ]
    words += [f"{settings['n_top_genes']:,} most variable genes"] if settings["n_top_genes"] else []
    words += ["scaled"] if settings["scale"] else []
    words += (
        [f"trained on groups balanced by {settings['balance']['by']}"]
        if settings["balance"]
        else []
    )
    return ", ".join(words)


def files_table(paths: Mapping[str, str], titles: Mapping[str, str]) -> pd.DataFrame:
    """Return a row a source file with its SHA-256 as it was read.

    paths: files of the kind "counts" by the name of the data set; titles: of the data sets.
    """
    rows = []
    for name, path in paths.items():
        read = provenance_of(path)["inputs"] or {"none: drawn from its settings": NOTHING}
        rows += [
            {"data set": titles[name], "file": file, "SHA-256": digest}
            for file, digest in read.items()
        ]
    return pd.DataFrame(rows)


def labels_told(condition: str | None, supervision: Mapping | None) -> str:
    """Return in words what a model is told of cells: the label that conditions it, and those that guide its training."""
    words = [] if condition is None else [condition]
    if supervision is not None:
        labels = "Louvain clusters" if supervision["labels"] == "louvain" else supervision["labels"]
        source = "" if supervision["dataset"] is None else f" in {supervision['dataset']}"
        words.append(f"{labels} of {100 * supervision['share']:.3g} % of the cells{source}")
    return ", ".join(words) or "nothing"


def models_table(
    models: Mapping[str, dict], records: Iterable[str], runs: pd.DataFrame
) -> pd.DataFrame:
    """Return a row a model: its family, latent width, what it is told, whether it is a floor, and how many trainings succeeded.

    models: by name its title and family, whether it is a floor, and condition and supervision, the settings of what it is told.
    records: paths of run.json, at <data set>/<model>/<seed>/. runs: a table of that kind, a row a training.
    """
    widths = {
        Path(path).parts[-3]: read_record(path)["hyperparameters"]["latent_dim"] for path in records
    }
    trained = (runs["status"] == "trained").groupby(runs["model"]).agg(["sum", "size"])
    return pd.DataFrame(
        {
            "model": model["title"],
            "family": model["family"],
            "latent width": str(widths[name]),
            "is told of cells": labels_told(model["condition"], model["supervision"]),
            "is a floor": "yes" if model["floor"] else "no",
            "trained": f"{trained.loc[name, 'sum']} of {trained.loc[name, 'size']}",
        }
        for name, model in models.items()
    )


def all_runs(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return every run of tables of the kind "runs" once; one that failed in any of them, as in encoding, has failed."""
    runs = pd.concat(tables, ignore_index=True)
    return (
        runs.sort_values("status", kind="stable")
        .drop_duplicates(["dataset", "model", "seed"])
        .sort_index()
    )


def failures_table(
    runs: pd.DataFrame, datasets: Mapping[str, str], models: Mapping[str, str]
) -> pd.DataFrame:
    """Return a row a failed training with its reason; runs: a row a training; datasets, models: titles by name."""
    failed = runs[runs["status"] == "failed"]
    titles = {"data set": failed["dataset"].map(datasets), "model": failed["model"].map(models)}
    return pd.DataFrame({**titles, "seed": failed["seed"].astype(str), "reason": failed["reason"]})


def absences_table(absent: Mapping[str, pd.DataFrame], titles: Mapping[str, str]) -> pd.DataFrame:
    """Return how many measurements do not apply, by study and evaluation, and where the reasons stand.

    absent: tables of the kind "absent" by the name of the study; titles: of the studies.
    """
    rows = []
    for study, table in absent.items():
        for evaluation, n in table["evaluation"].value_counts(sort=False).items():
            place = f"results/studies/{study}/absent.tsv"
            rows.append(
                {
                    "study": titles[study],
                    "evaluation": evaluation,
                    "measurements": str(n),
                    "reasons in": place,
                }
            )
    return pd.DataFrame(rows)


def costs_table(benchmarks: Iterable[str]) -> pd.DataFrame:
    """Return a row a rule, and one for all: jobs, their wall time in sum and at most, and the largest memory.

    benchmarks: paths of Snakemake's benchmark files, which end in benchmarks/<rule>/<job>.tsv.
    """
    jobs = pd.DataFrame(
        [
            (Path(path.partition("benchmarks/")[2]).parts[0], *seconds_and_memory(path))
            for path in benchmarks
        ],
        columns=["rule", "seconds", "memory"],
    )
    jobs = pd.concat([jobs, jobs.assign(rule="all")]).groupby("rule", sort=False)
    costs = {
        "jobs": jobs.size().astype(str),
        "seconds, sum": jobs["seconds"].sum().map(_number),
        "seconds, longest job": jobs["seconds"].max().map(_number),
        "MB, largest job": jobs["memory"].max().map(_number),
    }
    return pd.DataFrame(costs).reset_index()


def _number(value: float) -> str:
    return NOTHING if pd.isna(value) else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def provenance_of(path: str) -> dict:
    """Return the provenance of a matrix (.h5ad), the record of a run (.json) or a table."""
    if path.endswith(".h5ad"):
        with whole(path, ".h5ad file"), h5py.File(path) as file:
            return json.loads(file["uns/provenance"].asstr()[()])
    return read_record(path)["provenance"] if path.endswith(".json") else read_provenance(path)


def versions_table(provenances: Iterable[dict]) -> pd.DataFrame:
    """Return a row for the project, Python and each package that results name: its version, or versions."""
    versions = versions_of(provenances)
    return pd.DataFrame({"software": versions.keys(), "version": versions.values()})


def machine_text(provenances: Iterable[dict]) -> str:
    """Return what kind of machine this is, without its name, and on which devices results were made."""
    devices = ", ".join(sorted({origin["device"] for origin in provenances}))
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}; models ran on: {devices}"


def tables_of_page(page: str) -> list[str]:
    """Return the tables of a page that `sclatent.report.headline.as_html_page` made, as HTML."""
    return re.findall(r"<table.*?</table>", page, re.DOTALL)


def as_rst(
    sections: Mapping[str, list[str | pd.DataFrame]], introduction: str, provenance: str
) -> str:
    """Return the page as reStructuredText for Snakemake's report: an introduction, then tables and HTML by heading.

    A table scrolls by itself where it is wider than the page. Snakemake fills in templates in the text, and so would run code in
    the label of a cell: braces are written as HTML's entities. Provenance is a comment at the top, JSON on many lines: docutils
    refuses long ones.
    """
    comment = textwrap.indent(
        json.dumps(json.loads(provenance), indent=1, ensure_ascii=False), "   "
    ).lstrip()
    parts = [
        part
        for title, content in sections.items()
        for part in (f"<h2>{html.escape(title)}</h2>", *map(_as_html, content))
    ]
    body = textwrap.indent("\n".join(parts), "   ").replace("{", "&#123;")
    return f".. {comment}\n\n{introduction.strip()}\n\n.. raw:: html\n\n{body}\n"


def _as_html(part: str | pd.DataFrame) -> str:
    table = part if isinstance(part, str) else part.to_html(index=False, border=0)
    return f'<div class="wide">{table}</div>' if table.startswith("<table") else table
