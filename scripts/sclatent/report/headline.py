"""The tables that a run ends with: what was compared, mean and spread over seeds, floor, ceiling, and what failed."""

import html
import itertools
from collections.abc import Mapping

import pandas as pd

from sclatent.common.vocabulary import NO_CHANGE, OVER_GROUPS, OVER_TYPES, REAL_CELLS

NOTHING = "–"
CLUSTERING = {"nmi_geometric": "NMI", "ari": "ARI"}
PERTURBATION = {
    ("pearson_squared_mean", "all"): "R² of means",
    ("pearson_squared_mean", "top_100"): "R², top 100",
    ("r2_mean", "all"): "r2_score",
    ("e_distance", "all"): "E-distance",
}
GENERATION = {
    "two_sample_auc": "two-sample AUC",
    "mmd": "MMD",
    "right_label": "right label",
    "types_drawn": "types drawn",
}


def clustering_headline(
    summary: pd.DataFrame, datasets: Mapping[str, str], models: Mapping[str, str]
) -> pd.DataFrame:
    """Return k-means on mean latents of all cells: a row a data set and model, as text; datasets, models: titles by name.

    The difference to the floor, PCA of the same width on the same input, is paired by seed, with its 95 % confidence interval.
    """
    chosen = (
        (summary["split"] == "all")
        & (summary["latent"] == "mean")
        & (summary["method"] == "kmeans_latent")
    )
    found = dict(
        list(
            summary[chosen & (summary["subset"] == "all")].groupby(["dataset", "model"], sort=False)
        )
    )
    rows = []
    for dataset, model in itertools.product(datasets, models):
        row = {"data set": datasets[dataset], "model": models[model]}
        if (dataset, model) not in found:  # labels with which nothing can disagree
            columns = [
                column
                for metric in CLUSTERING.values()
                for column in (metric, f"{metric} floor", f"{metric} difference")
            ]
            rows.append(row | dict.fromkeys([*columns, "ceiling", "n", "failed"], NOTHING))
            continue
        means = found[dataset, model].set_index("metric")
        for metric, title in CLUSTERING.items():
            mean = means.loc[metric]
            row |= {
                title: _mean(mean),
                f"{title} floor": _number(mean["floor"]),
                f"{title} difference": _difference(mean),
            }
        first = means.loc[next(iter(CLUSTERING))]
        rows.append({**row, "ceiling": _number(first["ceiling"]), **_counts(first)})
    return pd.DataFrame(rows)


def perturbation_headline(
    summary: pd.DataFrame, datasets: Mapping[str, str], models: Mapping[str, str]
) -> pd.DataFrame:
    """Return the predictors of treated cells, means over cell types, the best first: a row a data set, split and predictor."""
    rows = []
    summary = summary[summary["cell_type"] == OVER_TYPES]
    for (dataset, split, condition), of_task in summary.groupby(
        ["dataset", "split", "condition"], sort=False
    ):
        of_task = of_task.fillna({"model": ""})
        by_predictor = dict(list(of_task.groupby(["model", "method"], sort=False)))
        order = of_task[
            (of_task["metric"] == "pearson_squared_mean") & (of_task["subset"] == "all")
        ]
        order = order.sort_values("mean", ascending=False, kind="stable")
        for model, method in order[["model", "method"]].itertuples(index=False):
            means = by_predictor[model, method].set_index(["metric", "subset"])
            predictor = f"{models[model]}: {method}" if model else method
            notes = {NO_CHANGE: " (floor)", REAL_CELLS: " (ceiling)"}.get(method, "")
            row = {
                "data set": datasets[dataset],
                "split": f"{split}, {condition}",
                "predictor": f"{predictor}{notes}",
            }
            for key, title in PERTURBATION.items():
                row[title] = _mean(means.loc[key]) if key in means.index else NOTHING
            first = means.iloc[0]
            key = ("pearson_squared_mean", "all")
            row |= {
                "R² floor": _number(means.loc[key, "floor"]),
                "R² ceiling": _number(means.loc[key, "ceiling"]),
            }
            rows.append({**row, **_counts(first)})
    return pd.DataFrame(rows)


def generation_headline(
    summary: pd.DataFrame, datasets: Mapping[str, str], models: Mapping[str, str]
) -> pd.DataFrame:
    """Return how like real cells drawn ones are, means over their types and conditions: a row a data set and model.

    A column without any value is left out.
    """
    rows = []
    summary = summary[summary["cell_type"] == OVER_GROUPS]
    for (dataset, model), of_model in summary.groupby(["dataset", "model"], sort=False):
        row, means = (
            {"data set": datasets[dataset], "model": models[model]},
            of_model.set_index("metric"),
        )
        for metric, title in GENERATION.items():
            known = metric in means.index
            row[title] = _mean(means.loc[metric]) if known else NOTHING
            row |= {
                f"{title} {bound}": _number(means.loc[metric, bound]) if known else NOTHING
                for bound in ("floor", "ceiling")
            }
        rows.append({**row, **_counts(of_model.iloc[0])})
    table = pd.DataFrame(rows)
    return table.loc[:, (table != NOTHING).any()]


def _number(value: float) -> str:
    return NOTHING if pd.isna(value) else f"{value:z.3f}"


def _mean(means: pd.Series) -> str:
    """Return mean ± standard deviation; the mean alone of a single value."""
    return _number(means["mean"]) if means["n"] < 2 else f"{means['mean']:z.3f} ± {means['sd']:.3f}"


def _difference(means: pd.Series) -> str:
    """Return the difference to the floor and its confidence interval, where seeds give one."""
    if pd.isna(means["difference"]):
        return NOTHING
    interval = (
        "" if pd.isna(means["ci_low"]) else f" [{means['ci_low']:+.3f}, {means['ci_high']:+.3f}]"
    )
    return f"{means['difference']:+.3f}{interval}"


def _counts(means: pd.Series) -> dict[str, str]:
    """Return the number of seeds behind a mean, and how many failed."""
    return {
        "n": str(means["n"]),
        "failed": f"{round(means['failed_share'] * means['n_seeds'])} of {means['n_seeds']}",
    }


def as_text_table(table: pd.DataFrame) -> str:
    """Return a table of texts with aligned columns and a rule under its header."""
    widths = [max(len(name), *table[name].map(len)) for name in table.columns]
    rows = [list(table.columns), ["─" * width for width in widths], *table.to_numpy().tolist()]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def as_html_page(tables: Mapping[str, pd.DataFrame], title: str, provenance: str) -> str:
    """Return a page with tables of texts under their captions, and its provenance in a comment."""
    style = (
        "body{font:13px/1.4 system-ui,sans-serif;margin:1.5em}table{border-collapse:collapse;margin-bottom:1.5em}"
        "caption{text-align:left;font-weight:600;padding:.4em 0;white-space:nowrap}"
        "th,td{padding:.3em .55em;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap}"
    )
    body = "".join(
        table.to_html(index=False, border=0).replace(
            "<thead>", f"<caption>{html.escape(caption)}</caption><thead>", 1
        )
        for caption, table in tables.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>{style}</style>'
        f"<!-- {provenance} -->{body}</html>"
    )
