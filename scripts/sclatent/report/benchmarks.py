"""What jobs took: seconds and memory, from Snakemake's benchmark files."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from sclatent.io.contracts import TABLES
from sclatent.report.headline import DASH


class Job(NamedTuple):
    """A job of a rule."""

    rule: str
    dataset: str
    model: str | None  # None if the job takes all models
    seed: int | None  # None if the job takes all seeds


class Cost(NamedTuple):
    """What a job took."""

    seconds: float  # wall time
    memory: float  # largest resident memory, MB; not a number if the job was too short to measure


def read_cost(benchmark: str | Path) -> Cost:
    """Read what a job took from Snakemake's benchmark file."""
    measured = pd.read_csv(benchmark, sep="\t", na_values=["-", "NA"]).iloc[0]
    return Cost(float(measured["s"]), float(measured["max_rss"]))


def read_resources(jobs: Iterable[Sequence], benchmarks: Iterable[str | Path]) -> pd.DataFrame:
    """Read a table of the kind "resources".

    Parameters
    ----------
    jobs
        The fields of `Job` per file of benchmarks, in the same order.
    benchmarks
        Snakemake's benchmark files.
    """
    rows = [
        (*Job(*job), *read_cost(benchmark)) for job, benchmark in zip(jobs, benchmarks, strict=True)
    ]
    table = pd.DataFrame(rows, columns=pd.Index(TABLES["resources"]))
    return table.astype({"seed": "Int64"})


def costs_table(rules: Iterable[str], benchmarks: Iterable[str | Path]) -> pd.DataFrame:
    """Show what the jobs of each rule took, and all jobs together.

    Parameters
    ----------
    rules
        The rule of each file of benchmarks, in the same order.
    benchmarks
        Snakemake's benchmark files.

    Returns
    -------
    A row of text per rule: number of jobs, their wall time in sum and at most, largest memory.
    """
    costs = [
        {"rule": rule, **read_cost(benchmark)._asdict()}
        for rule, benchmark in zip(rules, benchmarks, strict=True)
    ]
    jobs = pd.DataFrame(costs, columns=pd.Index(["rule", *Cost._fields]))
    by_rule = pd.concat([jobs, jobs.assign(rule="all")]).groupby("rule", sort=False)
    columns = {
        "jobs": by_rule.size().astype(str),
        "seconds, sum": by_rule["seconds"].sum().map(_number),
        "seconds, longest job": by_rule["seconds"].max().map(_number),
        "MB, largest job": by_rule["memory"].max().map(_number),
    }
    return pd.DataFrame(columns).reset_index()


def _number(value: float) -> str:
    if pd.isna(value):
        return DASH
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
