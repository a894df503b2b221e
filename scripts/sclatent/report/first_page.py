"""The first page of the report: what came out, what failed, of which data and models, with which
software and at what cost."""

import html
import json
import os
import platform
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import h5py
import pandas as pd

from sclatent.io.atomic import whole
from sclatent.io.matrices import read_obs
from sclatent.io.provenance import versions_of
from sclatent.io.records import read_record
from sclatent.io.tables import read_provenance
from sclatent.report.headline import DASH

# What values of a data set are called, by normalisation. "log" is not here: it has a target sum.
VALUES_BY_NORMALIZATION = {"unit": "8-bit intensities by 255", "none": "as they are"}


class Study(NamedTuple):
    """A study on the page."""

    name: str
    title: str
    n_seeds: int
    headlines: Mapping[str, pd.DataFrame]  # tables of text by caption
    absent: pd.DataFrame  # table of the kind "absent"


class Contents(NamedTuple):
    """The tables that the page shows."""

    studies: Sequence[Study]
    runs: pd.DataFrame  # of the kind "runs", a row per training of any study
    failures: pd.DataFrame  # of `failures_table`
    data: pd.DataFrame  # of `data_table`
    files: pd.DataFrame  # of `files_table`
    models: pd.DataFrame  # of `models_table`
    costs: pd.DataFrame  # of `sclatent.report.benchmarks.costs_table`
    origins: Sequence[Mapping[str, Any]]  # provenance of every result


Section = Sequence[str | pd.DataFrame]  # HTML, and tables of text


def page(contents: Contents, introduction: str, provenance: str) -> str:
    """Return the first page as reStructuredText for Snakemake's report.

    Parameters
    ----------
    contents
        The tables to show.
    introduction
        reStructuredText that opens the page.
    provenance
        JSON text.
    """
    absences = absences_table(contents.studies)
    sections: dict[str, Section] = {
        "Headline": _headlines(contents.studies),
        "What failed": _failures(contents.runs, contents.failures),
        "Data": [contents.data, contents.files],
        "Models": [contents.models],
        "What does not apply": [absences if len(absences) else "<p>Every measurement applies.</p>"],
        "Time and memory": [
            f"<p>This page was written on {html.escape(machine_text(contents.origins))}.</p>",
            contents.costs,
        ],
        "Software": [versions_table(contents.origins)],
        "Run it again": [
            "<p>With the file under Configuration, in a folder of the project of the same version:"
            "</p>",
            "<pre>snakemake --configfile configuration.yaml</pre>",
        ],
    }
    return as_rst(sections, introduction, provenance)


def _headlines(studies: Iterable[Study]) -> list[str | pd.DataFrame]:
    parts = []
    for study in studies:
        parts.append(f"<h3>{html.escape(study.title)}</h3>")
        parts.append(f"<p>Seeds: {study.n_seeds}</p>")
        for caption, table in study.headlines.items():
            parts += [f"<h4>{html.escape(caption)}</h4>", table]
    return parts


def _failures(runs: pd.DataFrame, failures: pd.DataFrame) -> list[str | pd.DataFrame]:
    count = f"<p>{len(failures)} of {len(runs)} trainings failed.</p>"
    return [count, failures] if len(failures) else [count]


def data_table(paths: Mapping[str, str], settings: Mapping[str, Mapping]) -> pd.DataFrame:
    """Show the data sets: cells, genes, cell types, conditions, cells held out, and values.

    Parameters
    ----------
    paths
        Files of the kind "preprocessed" by data set.
    settings
        By data set: its title, its labels and how it is normalised.

    Returns
    -------
    A row of text per data set.
    """
    rows = []
    for name, path in paths.items():
        obs = read_obs(path)
        conditions = list(obs["condition"].cat.categories) if "condition" in obs else []
        derived = " (derived)" if settings[name]["labels"] == "derived" else ""
        rows.append(
            {
                "data set": settings[name]["title"],
                "cells": f"{len(obs):,}",
                "genes": f"{_n_genes(path):,}",
                "cell types": f"{obs['cell_type'].nunique()}{derived}",
                "conditions": ", ".join(conditions) or DASH,
                "cells held out": f"{(obs['split'] == 'held_out').sum():,}",
                "values": values_text(settings[name]),
            }
        )
    return pd.DataFrame(rows)


def _n_genes(path: str) -> int:
    """Return the number of genes of an .h5ad file without reading its values."""
    with h5py.File(path) as file:
        var = cast(h5py.Group, file["var"])
        names = cast(h5py.Dataset, var[cast(str, var.attrs["_index"])])
        return len(names)


def values_text(settings: Mapping[str, Any]) -> str:
    """Say in words what the values of a data set are, from its settings."""
    log = f"log(1 + counts per {settings['target_sum']:,.0f})"
    words = [VALUES_BY_NORMALIZATION.get(settings["normalization"], log)]
    if settings["n_top_genes"]:
        words.append(f"{settings['n_top_genes']:,} most variable genes")
    if settings["scale"]:
        words.append("scaled")
    if settings["balance"]:
        words.append(f"trained on groups balanced by {settings['balance']['by']}")
    return ", ".join(words)


def files_table(paths: Mapping[str, str], titles: Mapping[str, str]) -> pd.DataFrame:
    """Show the source files with the SHA-256 of what was read.

    Parameters
    ----------
    paths
        Files of the kind "counts" by data set.
    titles
        Titles of the data sets by name.

    Returns
    -------
    A row of text per source file.
    """
    rows = []
    for name, path in paths.items():
        digests = provenance_of(path)["inputs"] or {"none: drawn from its settings": DASH}
        for file, digest in digests.items():
            rows.append({"data set": titles[name], "file": file, "SHA-256": digest})
    return pd.DataFrame(rows)


def labels_text(condition: str | None, supervision: Mapping[str, Any] | None) -> str:
    """Say in words which labels of cells a model sees.

    Parameters
    ----------
    condition
        The label that conditions the model, if any.
    supervision
        Settings of the labels that guide its training, if any: "labels", "share" (between 0 and 1)
        and "dataset" (None for the data set that is trained on).
    """
    words = [] if condition is None else [condition]
    if supervision is not None:
        labels = "Louvain clusters" if supervision["labels"] == "louvain" else supervision["labels"]
        source = "" if supervision["dataset"] is None else f" in {supervision['dataset']}"
        words.append(f"{labels} of {100 * supervision['share']:.3g} % of the cells{source}")
    return ", ".join(words) or "nothing"


def models_table(
    models: Mapping[str, Mapping[str, Any]], records: Mapping[str, str], runs: pd.DataFrame
) -> pd.DataFrame:
    """Show the models: family, latent width, labels seen, whether it is a floor, trainings.

    Parameters
    ----------
    models
        By name: "title", "family", "floor" (whether it is one), and the settings "condition" and
        "supervision" of the labels that it sees.
    records
        The record of a run (run.json) of each model.
    runs
        Table of the kind "runs".

    Returns
    -------
    A row of text per model.
    """
    trained = (runs["status"] == "trained").groupby(runs["model"]).agg(["sum", "size"])
    rows = []
    for name, model in models.items():
        rows.append(
            {
                "model": model["title"],
                "family": model["family"],
                "latent width": str(read_record(records[name])["hyperparameters"]["latent_dim"]),
                "labels that it sees": labels_text(model["condition"], model["supervision"]),
                "is a floor": "yes" if model["floor"] else "no",
                "trained": f"{trained.loc[name, 'sum']} of {trained.loc[name, 'size']}",
            }
        )
    return pd.DataFrame(rows)


def failures_table(
    runs: pd.DataFrame, datasets: Mapping[str, str], models: Mapping[str, str]
) -> pd.DataFrame:
    """Show the failed trainings with their reasons.

    Parameters
    ----------
    runs
        Table of the kind "runs".
    datasets, models
        Titles by name.

    Returns
    -------
    A row of text per failed training.
    """
    rows = [
        {
            "data set": datasets[run["dataset"]],
            "model": models[run["model"]],
            "seed": str(run["seed"]),
            "reason": run["reason"],
        }
        for run in runs.to_dict("records")
        if run["status"] == "failed"
    ]
    return pd.DataFrame(rows)


def absences_table(studies: Iterable[Study]) -> pd.DataFrame:
    """Count the measurements that do not apply, by study and evaluation.

    Returns
    -------
    A row of text per study and evaluation, which names the table with the reasons.
    """
    rows = []
    for study in studies:
        counts = study.absent["evaluation"].value_counts(sort=False)
        for evaluation, n in counts.items():
            rows.append(
                {
                    "study": study.title,
                    "evaluation": evaluation,
                    "measurements": str(n),
                    "reasons in": f"results/studies/{study.name}/absent.tsv",
                }
            )
    return pd.DataFrame(rows)


def provenance_of(path: str) -> dict[str, Any]:
    """Read the provenance of a matrix (.h5ad), of the record of a run (.json) or of a table."""
    if path.endswith(".h5ad"):
        with whole(path, ".h5ad file"), h5py.File(path) as file:
            text = cast(h5py.Dataset, file["uns/provenance"]).asstr()[()]
            return json.loads(str(text))
    return read_record(path)["provenance"] if path.endswith(".json") else read_provenance(path)


def versions_table(origins: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Show the versions of the project, of Python and of each package.

    Parameters
    ----------
    origins
        Provenance of results.

    Returns
    -------
    A row of text per program. If results were made with several versions, all are listed.
    """
    versions = versions_of(origins)
    return pd.DataFrame({"software": versions.keys(), "version": versions.values()})


def machine_text(origins: Iterable[Mapping[str, Any]]) -> str:
    """Describe this machine without its name, and the devices on which results were made."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    devices = ", ".join(sorted({origin["device"] for origin in origins}))
    return f"{machine}; models ran on: {devices}"


def as_rst(sections: Mapping[str, Section], introduction: str, provenance: str) -> str:
    """Return a page as reStructuredText for Snakemake's report.

    Parameters
    ----------
    sections
        HTML and tables by heading. A table scrolls by itself if it is wider than the page.
    introduction
        reStructuredText that opens the page.
    provenance
        JSON text, which becomes a comment at the top.
    """
    # docutils refuses long lines, so the provenance is spread over many.
    lines = json.dumps(json.loads(provenance), indent=1, ensure_ascii=False)
    comment = textwrap.indent(lines, "   ").lstrip()
    parts = []
    for title, section in sections.items():
        parts.append(f"<h2>{html.escape(title)}</h2>")
        parts += [part if isinstance(part, str) else _wide(part) for part in section]
    # Snakemake takes the page for a template and would run code in the name of a cell type: braces
    # are therefore written as entities of HTML.
    body = textwrap.indent("\n".join(parts), "   ").replace("{", "&#123;")
    return f".. {comment}\n\n{introduction.strip()}\n\n.. raw:: html\n\n{body}\n"


def _wide(table: pd.DataFrame) -> str:
    return f'<div class="wide">{table.to_html(index=False, border=0)}</div>'
