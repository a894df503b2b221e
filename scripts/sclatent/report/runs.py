"""Which models were trained, and which trainings failed, from latents and the records of runs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from sclatent.io.by_seed import failures_of
from sclatent.io.contracts import TABLES
from sclatent.io.matrices import read_matrix
from sclatent.io.records import read_record


class Run(NamedTuple):
    """A training."""

    dataset: str
    model: str
    seed: int


def read_runs(
    encoded: Iterable[Mapping],
    latents: Iterable[str],
    runs: Iterable[Sequence],
    records: Iterable[str],
) -> pd.DataFrame:
    """Read a table of the kind "runs", a row per training.

    Parameters
    ----------
    encoded
        "dataset", "model" and "seeds" per file of latents, in the same order.
    latents
        Files of the kind "latents".
    runs
        The fields of `Run` per file of records, in the same order. A run whose latents were read
        is not repeated.
    records
        Records of runs (run.json).
    """
    rows: dict[Run, tuple[str, str | None]] = {}  # status and reason
    for job, path in zip(encoded, latents, strict=True):
        failed = failures_of(read_matrix(path))
        for seed in job["seeds"]:
            status = "failed" if seed in failed else "trained"
            rows[Run(job["dataset"], job["model"], seed)] = (status, failed.get(seed))
    for ids, path in zip(runs, records, strict=True):
        if Run(*ids) not in rows:
            record = read_record(path)
            rows[Run(*ids)] = (record["status"], record["reason"] or None)
    table = [(*run, *outcome) for run, outcome in rows.items()]
    return pd.DataFrame(table, columns=pd.Index(TABLES["runs"]))


def runs_of_models(runs: pd.DataFrame, models: Iterable[Sequence]) -> pd.DataFrame:
    """Return the runs of some models.

    Parameters
    ----------
    runs
        Table of the kind "runs".
    models
        Data set that is trained on and model. An entry without a model (None) has no runs.
    """
    return runs.merge(pd.DataFrame(models, columns=pd.Index(["dataset", "model"])))


def all_runs(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Join tables of the kind "runs"; each run is listed once.

    A run that failed in any table has failed: in one study its training may have succeeded, and in
    another the encoding of cells failed.
    """
    runs = pd.concat(list(tables), ignore_index=True)
    by_status = runs.sort_values("status", kind="stable")  # "failed" is before "trained"
    return by_status.drop_duplicates(list(Run._fields)).sort_index()
