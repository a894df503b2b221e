"""From scores of single runs to a table over seeds, and to the headline that a run ends with."""

import html
from pathlib import Path

import pandas as pd

from sclatent.contracts import TABLES
from sclatent.matrices import read_matrix
from sclatent.seeds import failures_of

GROUP = ["dataset", "model", "latent", "method", "metric"]
HEADLINE = {
    ("mean", "kmeans_latent", "nmi_geometric"): "k-means NMI",
    ("mean", "kmeans_latent", "ari"): "k-means ARI",
    ("mean", "louvain_latent", "nmi_geometric"): "Louvain NMI",
    ("mean", "louvain_latent", "ari"): "Louvain ARI",
    ("mean", "kmeans_tsne", "nmi_geometric"): "t-SNE NMI",
    ("mean", "kmeans_tsne", "ari"): "t-SNE ARI",
}


def summarize(scores: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard deviation (n - 1) over seeds of each score, the seeds behind it, and the share that failed.

    scores and runs: tables of those kinds. A model of which every seed failed has one row, without a mean, for each score that
    other models of its data set have from their mean latents. Rows are in the order of the runs.
    """
    table = scores.groupby(GROUP, sort=False)["value"].agg(mean="mean", sd="std", n="count").reset_index()
    failed = runs.assign(failed_share=runs["status"].eq("failed").astype(float))
    failed = failed.groupby(["dataset", "model"], sort=False)["failed_share"].mean().reset_index()
    missing = failed[failed["failed_share"] == 1].merge(
        table.loc[table["latent"] == "mean", ["dataset", "latent", "method", "metric"]].drop_duplicates(), on="dataset"
    )
    table = pd.concat([table, missing[GROUP]]) if len(missing) else table
    table["n"] = table["n"].fillna(0).astype("int64")
    table = failed.merge(table, on=["dataset", "model"])
    return table[[*GROUP, "mean", "sd", "n", "failed_share"]]


def headline(summary: pd.DataFrame, runs: pd.DataFrame, datasets: dict[str, str], models: dict[str, str]) -> pd.DataFrame:
    """Return the table that answers a study first: a row a data set and model, a column a headline score, as text "mean ± sd".

    datasets, models: what to call them, by name. The last column counts the failed seeds.
    """
    rows = []
    for (dataset, model), seeds in runs.groupby(["dataset", "model"], sort=False):
        values = summary[(summary["dataset"] == dataset) & (summary["model"] == model)].set_index(["latent", "method", "metric"])
        row = {"data set": datasets[dataset], "model": models[model]}
        for key, column in HEADLINE.items():
            row[column] = _mean_and_sd(values.loc[key]) if key in values.index else "–"
        row["failed"] = f"{(seeds['status'] == 'failed').sum()} of {len(seeds)}"
        rows.append(row)
    return pd.DataFrame(rows)


def _mean_and_sd(value: pd.Series) -> str:
    if value["n"] == 0:
        return "–"
    return f"{value['mean']:.3f} ± {value['sd']:.3f}" if value["n"] > 1 else f"{value['mean']:.3f}"


def as_text_table(table: pd.DataFrame) -> str:
    """Return a table of texts with aligned columns and a rule under its header."""
    widths = [max(len(name), *table[name].map(len)) for name in table.columns]
    rows = [list(table.columns), ["─" * width for width in widths], *table.to_numpy().tolist()]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def as_html_page(table: pd.DataFrame, title: str, provenance: str) -> str:
    """Return a page with a table of texts, its title, and its provenance in a comment."""
    style = (
        "body{font:13px/1.4 system-ui,sans-serif;margin:1.5em}table{border-collapse:collapse}caption{text-align:left;"
        "font-weight:600;padding:.4em 0}th,td{padding:.3em .55em;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap}"
    )
    body = table.to_html(index=False, border=0).replace("<thead>", f"<caption>{html.escape(title)}</caption><thead>", 1)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>{style}</style>'
        f"<!-- {provenance} -->{body}</html>"
    )


def read_runs(jobs: list[dict], latents: list[str]) -> pd.DataFrame:
    """Return a table of the kind "runs".

    jobs: data set, model and seeds of each file of the kind "latents" named in latents, in the same order.
    """
    rows = []
    for job, path in zip(jobs, latents, strict=True):
        failed = failures_of(read_matrix(path))
        for seed in job["seeds"]:
            status = "failed" if seed in failed else "trained"
            rows.append((job["dataset"], job["model"], seed, status, failed.get(seed)))
    return pd.DataFrame(rows, columns=list(TABLES["runs"]))


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
        measured = pd.read_csv(path, sep="\t", na_values=["-", "NA"]).iloc[0]
        rows.append((rule, dataset, model, seed, float(measured["s"]), float(measured["max_rss"])))
    return pd.DataFrame(rows, columns=list(TABLES["resources"])).astype({"seed": "Int64"})
