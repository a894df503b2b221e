"""The headline tables of a study: what was compared, mean and spread over seeds, floor, ceiling
and failures."""

import html
import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import pandas as pd

from sclatent.common.vocabulary import ALL, NO_CHANGE, OVER_GROUPS, OVER_TYPES, REAL_CELLS

DASH = "–"  # stands for a value that was not measured or does not apply
# The metrics of each table by the header of their column.
CLUSTERING_METRICS = {"NMI": "nmi_geometric", "ARI": "ari"}
PERTURBATION_METRICS = {
    "R² of means": ("pearson_squared_mean", ALL),
    "R², top 100": ("pearson_squared_mean", "top_100"),
    "r2_score": ("r2_mean", ALL),
    "E-distance": ("e_distance", ALL),
}
GENERATION_METRICS = {
    "two-sample AUC": "two_sample_auc",
    "MMD": "mmd",
    "right label": "right_label",
    "types drawn": "types_drawn",
}
# Predictors are ordered by this metric, and its floor and ceiling are shown.
R2_OF_MEANS = PERTURBATION_METRICS["R² of means"]
STYLE = """
body { font: 13px/1.4 system-ui, sans-serif; margin: 1.5em }
h2 { font-size: 1em; margin: .4em 0 }
table { border-collapse: collapse; margin-bottom: 1.5em }
th, td { padding: .3em .55em; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap }
"""


Row = Mapping[str, Any]  # of a table of means: a text or a number by column


class Headline(NamedTuple):
    """A headline table and where it comes from."""

    kind: str  # of the table of means that it is made from
    caption: str
    # Makes the table from the table of means and from the titles of data sets and of models.
    make: Callable[[pd.DataFrame, Mapping[str, str], Mapping[str, str]], pd.DataFrame]


def clustering_headline(
    summary: pd.DataFrame, datasets: Mapping[str, str], models: Mapping[str, str]
) -> pd.DataFrame:
    """Show how well k-means on the mean latents of all cells agrees with the labels.

    Parameters
    ----------
    summary
        Table of the kind "summary".
    datasets, models
        Titles by name.

    Returns
    -------
    A row of text per data set and model. The floor is PCA of the same width on the same input. The
    difference to it is paired by seed and has its 95 % confidence interval.
    """
    shown = (
        (summary["split"] == ALL)
        & (summary["subset"] == ALL)
        & (summary["latent"] == "mean")
        & (summary["method"] == "kmeans_latent")
    )
    measured = {
        keys: _rows_by(["metric"], means)
        for keys, means in summary.loc[shown].groupby(["dataset", "model"], sort=False)
    }
    rows = []
    for dataset, model in itertools.product(datasets, models):
        row = {"data set": datasets[dataset], "model": models[model]}
        means = measured.get((dataset, model))
        rows.append(row | (_without_clusters() if means is None else _clustering_row(means)))
    return pd.DataFrame(rows)


def _clustering_row(means: Mapping[Any, Row]) -> dict[str, str]:
    """Return the values of a model on a data set by column; means: by metric."""
    row = {}
    for title, metric in CLUSTERING_METRICS.items():
        row[title] = _mean(means[metric])
        row[f"{title} floor"] = _number(means[metric]["floor"])
        row[f"{title} difference"] = _difference(means[metric])
    first = means[next(iter(CLUSTERING_METRICS.values()))]
    return {**row, "ceiling": _number(first["ceiling"]), **_counts(first)}


def _without_clusters() -> dict[str, str]:
    """Return a dash per column, for labels with which no clustering can disagree."""
    columns = []
    for title in CLUSTERING_METRICS:
        columns += [title, f"{title} floor", f"{title} difference"]
    return dict.fromkeys([*columns, "ceiling", "n", "failed"], DASH)


def perturbation_headline(
    summary: pd.DataFrame, datasets: Mapping[str, str], models: Mapping[str, str]
) -> pd.DataFrame:
    """Show the predictors of treated cells, the best first: means over cell types.

    Parameters
    ----------
    summary
        Table of the kind "perturbation_summary".
    datasets, models
        Titles by name.

    Returns
    -------
    A row of text per predictor of each data set, of a split and a condition.
    """
    rows = []
    over_types = summary.loc[summary["cell_type"] == OVER_TYPES].fillna({"model": ""})
    for keys, task in over_types.groupby(["dataset", "split", "condition"], sort=False):
        dataset, split, condition = cast(tuple[str, str, str], keys)  # pandas: any hashable
        predictors = {
            keys: _rows_by(["metric", "subset"], means)
            for keys, means in task.groupby(["model", "method"], sort=False)
        }
        metric, subset = R2_OF_MEANS
        ranked = task.loc[(task["metric"] == metric) & (task["subset"] == subset)]
        ranked = ranked.sort_values("mean", ascending=False, kind="stable")
        for model, method in zip(ranked["model"], ranked["method"], strict=True):
            row = {
                "data set": datasets[dataset],
                "split": f"{split}, {condition}",
                "predictor": _predictor(models[model] if model else "", method),
            }
            rows.append(row | _perturbation_row(predictors[model, method]))
    return pd.DataFrame(rows)


def _predictor(model: str, method: str) -> str:
    """Return what to call a predictor: its model, if it has one, its method, and its role."""
    name = f"{model}: {method}" if model else method
    return name + {NO_CHANGE: " (floor)", REAL_CELLS: " (ceiling)"}.get(method, "")


def _perturbation_row(means: Mapping[Any, Row]) -> dict[str, str]:
    """Return the values of a predictor by column; means: by metric and subset of genes."""
    row = {}
    for title, key in PERTURBATION_METRICS.items():
        row[title] = _mean(means[key]) if key in means else DASH
    row["R² floor"] = _number(means[R2_OF_MEANS]["floor"])
    row["R² ceiling"] = _number(means[R2_OF_MEANS]["ceiling"])
    return {**row, **_counts(next(iter(means.values())))}


def generation_headline(
    summary: pd.DataFrame, datasets: Mapping[str, str], models: Mapping[str, str]
) -> pd.DataFrame:
    """Show how much generated cells are like real ones: means over cell types and conditions.

    Parameters
    ----------
    summary
        Table of the kind "generation_summary".
    datasets, models
        Titles by name.

    Returns
    -------
    A row of text per data set and model. A column without any value is left out.
    """
    rows = []
    over_groups = summary.loc[summary["cell_type"] == OVER_GROUPS]
    for keys, measured in over_groups.groupby(["dataset", "model"], sort=False):
        dataset, model = cast(tuple[str, str], keys)  # pandas: any hashable
        means = _rows_by(["metric"], measured)
        row = {"data set": datasets[dataset], "model": models[model]}
        for title, metric in GENERATION_METRICS.items():
            known = metric in means
            row[title] = _mean(means[metric]) if known else DASH
            for bound in ("floor", "ceiling"):
                row[f"{title} {bound}"] = _number(means[metric][bound]) if known else DASH
        rows.append({**row, **_counts(next(iter(means.values())))})
    table = pd.DataFrame(rows)
    return table.loc[:, (table != DASH).any()]


HEADLINES = (
    Headline(
        "summary", "Clusters by k-means on the latent, against the labels", clustering_headline
    ),
    Headline(
        "perturbation_summary",
        "Treated cells as predicted, mean over cell types",
        perturbation_headline,
    ),
    Headline(
        "generation_summary",
        "Cells drawn from the model beside real ones, mean over groups",
        generation_headline,
    ),
)


def headlines_of(
    summaries: Mapping[str, pd.DataFrame], datasets: Mapping[str, str], models: Mapping[str, str]
) -> dict[str, pd.DataFrame]:
    """Return the headline tables of a study by caption.

    Parameters
    ----------
    summaries
        The study's tables of means by kind. An empty one, of an evaluation that the study does not
        make, has no headline.
    datasets, models
        Titles by name.
    """
    return {
        headline.caption: headline.make(summaries[headline.kind], datasets, models)
        for headline in HEADLINES
        if len(summaries[headline.kind])
    }


def _rows_by(keys: list[str], table: pd.DataFrame) -> dict[Any, Row]:
    """Return the rows of a table by one column, or by a tuple of several."""
    return cast(dict[Any, Row], table.set_index(keys).to_dict("index"))


def _number(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:z.3f}"


def _mean(means: Row) -> str:
    """Return mean ± standard deviation, or the mean alone if there is one value."""
    if means["n"] < 2:
        return _number(means["mean"])
    return f"{means['mean']:z.3f} ± {means['sd']:.3f}"


def _difference(means: Row) -> str:
    """Return the difference to the floor, with its confidence interval if seeds give one."""
    if pd.isna(means["difference"]):
        return DASH
    difference = f"{means['difference']:+.3f}"
    if pd.isna(means["ci_low"]):
        return difference
    return f"{difference} [{means['ci_low']:+.3f}, {means['ci_high']:+.3f}]"


def _counts(means: Row) -> dict[str, str]:
    """Return the number of seeds behind a mean, and how many failed."""
    n_failed = round(means["failed_share"] * means["n_seeds"])
    return {"n": str(means["n"]), "failed": f"{n_failed} of {means['n_seeds']}"}


def as_text_table(table: pd.DataFrame) -> str:
    """Return a table of text with aligned columns and a line under its header.

    `DataFrame.to_string` aligns text to the right and draws no line.
    """
    widths = [max(len(name), *table[name].map(len)) for name in table.columns]
    rows = [list(table.columns), ["─" * width for width in widths], *table.to_numpy().tolist()]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_html_page(tables: Mapping[str, pd.DataFrame], title: str, provenance: str) -> str:
    """Return a page with tables of text, each under its caption.

    Parameters
    ----------
    tables
        By caption.
    title
        Title of the page.
    provenance
        JSON text, which becomes a comment.
    """
    body = "\n".join(
        f"<h2>{html.escape(caption)}</h2>\n{table.to_html(index=False, border=0)}"
        for caption, table in tables.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>\n"
        f"<!-- {provenance} -->\n{body}\n</html>\n"
    )
