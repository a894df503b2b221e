"""From measurements of single runs to means over seeds: with spread, floor, ceiling, paired difference to the floor, and rank."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from sclatent.common.vocabulary import ALL, OVER_GROUPS, OVER_TYPES, REAL_CELLS
from sclatent.io.by_seed import failures_of
from sclatent.io.contracts import TABLES
from sclatent.io.matrices import read_matrix
from sclatent.io.records import read_record
from sclatent.io.tables import as_kind

CONFIDENCE = 0.95
# The value of a perfect prediction or clustering, by metric; of the others more is better.
IDEAL = {
    "n_missed": 0,
    "mse_mean": 0,
    "e_distance": 0,
    "mmd": 0,
    "intercept_mean": 0,
    "slope_mean": 1,
    "variance_ratio": 1,
    "two_sample_auc": 0.5,
}
INNER = {
    "slope_mean",
    "intercept_mean",
    "variance_ratio",
    "two_sample_auc",
}  # ideals on both sides of which values are worse
# Neither more nor less is better: what is wanted depends on the question.
NOT_RANKED = {
    "n_clusters",
    *(
        f"{g}_{m}"
        for g in ("condition", "batch")
        for m in ("mixing_silhouette", "mixing_entropy", "group_auc")
    ),
}


def keys_of(kind: str) -> list[str]:
    """Return the columns that, beside data set and model, say what is measured in a table of means of a kind."""
    columns = list(TABLES[kind])
    return columns[columns.index("model") + 1 : columns.index("mean")]


def summarize(
    scores: pd.DataFrame, runs: pd.DataFrame, resources: pd.DataFrame, kind: str
) -> pd.DataFrame:
    """Return a table of means over seeds, of one of the kinds summary, perturbation_summary and generation_summary.

    scores: measurements, with the column trained_on, the data set of the run, where that is not the column dataset. runs,
    resources: tables of those kinds. A model of which every seed failed has a row without a mean for what other models of its
    data set have from their mean latents, or for every prediction or draw.
    """
    if scores.empty:  # the study does not make this evaluation
        return as_kind(scores, kind)
    keys = ["dataset", "model", *keys_of(kind)]
    scores = scores.assign(
        difference=(scores["value"] - scores["floor"]).where(~scores["metric"].isin(INNER))
    )
    scores["trained_on"] = scores.get("trained_on", scores["dataset"])
    groups = scores.groupby(keys, sort=False, dropna=False)
    table = groups["value"].agg(mean="mean", sd="std", n="count")
    for bound in ("floor", "difference", "ceiling"):
        table[bound] = groups[bound].mean()
    half = (
        stats.t.ppf((1 + CONFIDENCE) / 2, groups["difference"].count() - 1)
        * groups["difference"].sem()
    )
    table["ci_low"], table["ci_high"] = table["difference"] - half, table["difference"] + half
    table["trained_on"] = groups["trained_on"].first()
    table = _with_runs(table.reset_index(), keys, runs, resources)
    return as_kind(_ranked(table, keys), kind)


def _with_runs(
    table: pd.DataFrame, keys: list[str], runs: pd.DataFrame, resources: pd.DataFrame
) -> pd.DataFrame:
    """Return the means with rows for models that failed, the share of seeds that did, and what a training took.

    A predictor without a model has none of those.
    """
    by_run = runs.assign(failed=runs["status"] == "failed").groupby(
        ["dataset", "model"], sort=False
    )
    training = resources[resources["rule"] == "train"].groupby(["dataset", "model"])
    of_run = by_run["failed"].agg(failed_share="mean", n_seeds="size")
    of_run["train_seconds"], of_run["train_memory"] = (
        training["seconds"].mean(),
        training["peak_memory"].max(),
    )
    of_run = of_run.rename_axis(["trained_on", "model"]).reset_index()
    measured = table[table["latent"] == "mean"] if "latent" in table else table
    measured = measured[["trained_on", *keys]].drop(columns="model").drop_duplicates()
    lost = of_run.loc[of_run["failed_share"] == 1, ["trained_on", "model"]].merge(
        measured, on="trained_on"
    )
    if "condition" in keys and "method" in keys:
        lost = (
            pd.concat([lost, _lost_means(table, lost, measured)])
            .assign(method="every seed failed")
            .drop_duplicates(keys)
        )
    table = pd.concat([table, lost.assign(n=0)], ignore_index=True) if len(lost) else table
    table = table.merge(of_run, on=["trained_on", "model"], how="left")
    if (
        "cell_type" in table
    ):  # a mean of types needs a seed's runs with each type held out, one of groups a draw
        means = table["cell_type"].isin([OVER_TYPES, OVER_GROUPS]) & table["n_seeds"].notna()
        table.loc[means, "failed_share"] = 1 - table["n"] / table["n_seeds"]
    return table.fillna({"failed_share": 0.0, "n_seeds": table["n"]})


def _lost_means(table: pd.DataFrame, lost: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Return rows of means over types for models of which no seed has predictions of every type, as runs failed."""
    task = ["dataset", "split", "condition", "model"]
    over_types = table["cell_type"] == OVER_TYPES
    asked = (
        pd.concat([table[~over_types], lost])
        .dropna(subset="model")
        .drop_duplicates(task)[["trained_on", *task]]
    )
    without = asked[~asked.set_index(task).index.isin(table[over_types].set_index(task).index)]
    return without.merge(
        measured[measured["cell_type"] == OVER_TYPES].drop(columns="trained_on"), on=task[:-1]
    )


def _ranked(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the means with the rank of each among the models, or the predictors, for which the same was measured."""
    compared = [
        key for key in keys if key not in ("model", *(["method"] if "condition" in keys else []))
    ]
    distance = (table["mean"] - table["metric"].map(IDEAL)).abs()
    distance = distance.where(table["metric"].isin(list(IDEAL)), -table["mean"])
    takes_part = ~table["metric"].isin(NOT_RANKED)
    if "cell_type" in table:  # models draw different groups of cells
        takes_part &= table["cell_type"] != OVER_GROUPS
    if "method" in table:
        takes_part &= table["method"] != REAL_CELLS
    columns = [table[key] for key in compared]
    table["rank"] = distance.where(takes_part).groupby(columns, dropna=False).rank(method="min")
    return table


def mean_of_types(scores: pd.DataFrame) -> pd.DataFrame:
    """Return measurements of predictions, and beside them their means over cell types, where every type has the measurement."""
    if scores.empty:
        return scores
    keys = [
        name
        for name in scores.columns
        if name not in ("cell_type", "value", "resampling_sd", "floor", "ceiling", "trained_on")
    ]
    of_types = scores[scores["cell_type"] != ALL]
    groups = of_types.groupby(keys, sort=False, dropna=False)
    means = groups[["value", "floor", "ceiling"]].mean()
    means["trained_on"], n = groups["trained_on"].first(), groups.size()
    types = of_types.groupby(["dataset", "split", "condition"])["cell_type"].nunique()
    means = means.reset_index().assign(cell_type=OVER_TYPES, n=n.to_numpy())
    wanted = means.set_index(["dataset", "split", "condition"]).index.map(types)
    return pd.concat(
        [scores, means[means["n"].to_numpy() == np.asarray(wanted)].drop(columns="n")],
        ignore_index=True,
    )


def mean_of_groups(scores: pd.DataFrame) -> pd.DataFrame:
    """Return measurements of drawn cells, and beside them their means over the types and conditions that a seed has drawn."""
    if scores.empty:
        return scores
    means = (
        scores.groupby(["dataset", "model", "seed", "metric"], sort=False)[
            ["value", "floor", "ceiling"]
        ]
        .mean()
        .reset_index()
    )
    return pd.concat(
        [scores, means.assign(condition="all", cell_type=OVER_GROUPS)], ignore_index=True
    )


def read_runs(jobs: list[dict], latents: list[str], records: list[str]) -> pd.DataFrame:
    """Return a table of the kind "runs".

    jobs: data set, model and seeds of each file of the kind "latents" named in latents, in the same order. records: of runs
    beside those, at <data set>/<model>/<seed>/run.json.
    """
    rows = []
    for job, path in zip(jobs, latents, strict=True):
        failed = failures_of(read_matrix(path))
        for seed in job["seeds"]:
            status = "failed" if seed in failed else "trained"
            rows.append((job["dataset"], job["model"], seed, status, failed.get(seed)))
    known = {row[:3] for row in rows}
    for path in records:
        dataset, model, seed = Path(path).parts[-4:-1]
        if (dataset, model, int(seed)) not in known:
            record = read_record(path)
            rows.append((dataset, model, int(seed), record["status"], record["reason"] or None))
    return pd.DataFrame(rows, columns=list(TABLES["runs"]))


def runs_behind(tables: list[str], runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the models that have a table, at <data set>/<model>/<name>.tsv; no other is asked for one."""
    return runs.merge(
        pd.DataFrame([Path(path).parts[-3:-1] for path in tables], columns=["dataset", "model"])
    )


def read_resources(benchmarks: list[str]) -> pd.DataFrame:
    """Return a table of the kind "resources" from Snakemake's benchmark files.

    The paths end in benchmarks/train/<data set>/<model>/<seed>.tsv, or benchmarks/<rule>/<study>/<data set>/<model>.tsv, or
    benchmarks/<rule>/<study>/<data set>.tsv.
    """
    rows = []
    for path in benchmarks:
        rule, *job = Path(path.partition("benchmarks/")[2]).with_suffix("").parts
        *names, seed = (*job[:2], int(job[2])) if rule == "train" else (*job[1:], None)
        dataset, model = (*names, None)[:2]
        rows.append((rule, dataset, model, seed, *seconds_and_memory(path)))
    return pd.DataFrame(rows, columns=list(TABLES["resources"])).astype({"seed": "Int64"})


def seconds_and_memory(benchmark: str | Path) -> tuple[float, float]:
    """Return wall time in seconds and largest resident memory in MB from Snakemake's benchmark file of a job.

    The memory of a job too short to be sampled is not a number.
    """
    measured = pd.read_csv(benchmark, sep="\t", na_values=["-", "NA"]).iloc[0]
    return float(measured["s"]), float(measured["max_rss"])
