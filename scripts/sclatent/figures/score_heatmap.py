"""Every score of every model, with its spread, beside the floors."""

import itertools
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sclatent.common.vocabulary import ALL
from sclatent.figures.style import SMALL, STYLE, WIDTH, say
from sclatent.io.tables import read_table

# Titles of the clusterings and metrics that are drawn.
METHOD_TITLES = {
    "kmeans_latent": "k-means on the latent",
    "louvain_latent": "Louvain on the latent",
    "components": "components of mixtures",
    "kmeans_tsne": "k-means on the t-SNE map",
}
METRIC_TITLES = {
    "nmi_geometric": "NMI (geo.)",
    "nmi_arithmetic": "NMI (arith.)",
    "ari": "ARI",
    "homogeneity": "homogeneity",
    "completeness": "completeness",
    "majority_accuracy": "majority acc.",
    "hungarian_accuracy": "Hungarian acc.",
    "balanced_accuracy": "balanced acc.",
}
LOWEST, HIGHEST, COLOR_MAP = 0, 1, "viridis"
ROW_HEIGHT, HEADING_HEIGHT = 0.26, 0.3  # inches


class Row(NamedTuple):
    """A row of a heat map."""

    model: str
    latent: str  # mean or sample


class HeatMap(NamedTuple):
    """What the heat map of a clustering shows."""

    rows: list[Row]  # in the order of the models
    scores: pd.DataFrame  # mean, sd, n and failed_share by model, latent and metric


def draw(
    title: str, dataset: str, summary: str, models: dict[str, str], floors: list[str]
) -> Figure:
    """Draw the figure from files.

    Parameters
    ----------
    title, dataset
        Title and name of the data set.
    summary
        Table of this kind.
    models
        Titles by model, with those of floors, in the order of the rows.
    floors
        The models that are floors.
    """
    scores = read_table(summary, "summary")
    return score_heatmap(scores.loc[scores["dataset"] == dataset], title, models, floors)


def score_heatmap(
    summary: pd.DataFrame, title: str, models: dict[str, str], floors: list[str]
) -> Figure:
    """Draw mean and standard deviation over seeds: a heat map per clustering, a row per model.

    Parameters
    ----------
    summary
        Table of this kind, of one data set.
    title
        Title of the data set.
    models
        Titles by model, with those of floors, in the order of the rows.
    floors
        The models that are floors.
    """
    titles = {
        name: f"{shown} (floor)" if name in floors else shown for name, shown in models.items()
    }
    maps = _heat_maps(summary, models)
    with plt.rc_context(STYLE):
        heights = [len(rows) * ROW_HEIGHT for rows, _ in maps.values()]
        figure, axes = plt.subplots(
            max(len(maps), 1),
            1,
            figsize=(WIDTH, sum(heights) + HEADING_HEIGHT * (len(maps) + 3)),
            layout="constrained",
            squeeze=False,
            height_ratios=heights or None,
        )
        if not maps:
            say(axes[0, 0], "every model failed")
            return figure
        for axis, (method, heat_map) in zip(axes[:, 0], maps.items(), strict=True):
            _draw_heat_map(axis, heat_map, titles)
            axis.set_title(f"{title}: {METHOD_TITLES[method]}")
            is_last = axis is axes[-1, 0]
            axis.set_xticks(
                range(len(METRIC_TITLES)), list(METRIC_TITLES.values()) if is_last else []
            )
        colors = ScalarMappable(Normalize(LOWEST, HIGHEST), COLOR_MAP)
        label = "mean over seeds (± standard deviation)"
        figure.colorbar(colors, ax=axes, location="bottom", shrink=0.5, aspect=40, label=label)
    return figure


def _heat_maps(summary: pd.DataFrame, models: dict[str, str]) -> dict[str, HeatMap]:
    """Return the heat maps by clustering, without those that no model has."""
    of_cells = summary.loc[(summary["split"] == ALL) & (summary["subset"] == ALL)]
    shown = of_cells.loc[of_cells["metric"].isin(list(METRIC_TITLES))]
    maps = {}
    for method in METHOD_TITLES:
        scores = shown.loc[shown["method"] == method].set_index(["model", "latent", "metric"])
        scores = scores.loc[:, ["mean", "sd", "n", "failed_share"]].sort_index()
        measured = set(scores.index.droplevel("metric"))
        rows = [Row(*names) for names in itertools.product(models, ("mean", "sample"))]
        rows = [row for row in rows if row in measured]
        if rows:
            maps[method] = HeatMap(rows, scores)
    return maps


def _draw_heat_map(axis: Axes, heat_map: HeatMap, titles: dict[str, str]) -> None:
    rows, scores = heat_map
    means = scores["mean"].to_dict()
    values = np.array(
        [[means.get((*row, metric), np.nan) for metric in METRIC_TITLES] for row in rows]
    )
    axis.imshow(values, vmin=LOWEST, vmax=HIGHEST, cmap=COLOR_MAP, aspect="auto")
    axis.set_facecolor("0.9")
    for (y, row), (x, metric) in itertools.product(enumerate(rows), enumerate(METRIC_TITLES)):
        score = scores.loc[(*row, metric)]
        spread = f" ±{score['sd']:.3f}" if score["n"] > 1 else ""
        text = f"{score['mean']:.3f}{spread}" if score["n"] else "failed"
        color = "white" if values[y, x] <= 0.6 else "black"
        axis.text(x, y, text, ha="center", va="center", fontsize=SMALL, color=color)
    failed = [scores.loc[tuple(row), "failed_share"].iloc[0] for row in rows]
    labels = [
        _row_label(titles[row.model], row.latent, n) for row, n in zip(rows, failed, strict=True)
    ]
    axis.set_yticks(range(len(rows)), labels)


def _row_label(title: str, latent: str, failed_share: float) -> str:
    label = f"{title} (sample)" if latent == "sample" else title
    return f"{label}\n{failed_share:.0%} failed" if failed_share else label
