"""Every score of every model, with its spread, beside the floors."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sclatent.figures.style import SMALL, STYLE, WIDTH, say

METHODS = {
    "kmeans_latent": "k-means on the latent",
    "louvain_latent": "Louvain on the latent",
    "components": "components of mixtures",
    "kmeans_tsne": "k-means on the t-SNE map",
}
METRICS = {
    "nmi_geometric": "NMI (geo.)",
    "nmi_arithmetic": "NMI (arith.)",
    "ari": "ARI",
    "homogeneity": "homogeneity",
    "completeness": "completeness",
    "majority_accuracy": "majority acc.",
    "hungarian_accuracy": "Hungarian acc.",
    "balanced_accuracy": "balanced acc.",
}
SCALE = {"vmin": 0, "vmax": 1, "cmap": "viridis"}
ROW, HEAD = 0.26, 0.3  # inches


def score_heatmap(
    summary: pd.DataFrame, title: str, models: dict[str, str], floors: list[str]
) -> Figure:
    """Draw mean and standard deviation over seeds of one data set: a heat map a method, a row a model, a column a metric.

    summary: table of the kind "summary". models: names to show, in the order to show them in. floors: those that are floors.
    """
    titles = {
        name: f"{shown} (floor)" if name in floors else shown for name, shown in models.items()
    }
    chosen = (
        (summary["split"] == "all")
        & (summary["subset"] == "all")
        & summary["metric"].isin(list(METRICS))
    )
    tables = {
        method: _table(summary[chosen & (summary["method"] == method)], models)
        for method in METHODS
    }
    tables = {method: table for method, table in tables.items() if len(table[0])}
    with plt.rc_context(STYLE):
        heights = [len(rows) * ROW for rows, _ in tables.values()]
        height = sum(heights) + HEAD * (len(tables) + 3)
        figure, axes = plt.subplots(
            max(len(tables), 1),
            1,
            figsize=(WIDTH, height),
            layout="constrained",
            squeeze=False,
            height_ratios=heights or None,
        )
        for axis, (method, (rows, table)) in zip(axes[:, 0], tables.items(), strict=False):
            _heatmap(axis, rows, table, titles)
            axis.set_title(f"{title}: {METHODS[method]}")
            axis.set_xticks(
                range(len(METRICS)), [] if axis is not axes[-1, 0] else list(METRICS.values())
            )
        if not tables:
            say(axes[0, 0], "every model failed")
            return figure
        scale = ScalarMappable(Normalize(SCALE["vmin"], SCALE["vmax"]), SCALE["cmap"])
        label = "mean over seeds (± standard deviation)"
        figure.colorbar(scale, ax=axes, location="bottom", shrink=0.5, aspect=40, label=label)
    return figure


def _table(
    scores: pd.DataFrame, models: dict[str, str]
) -> tuple[list[tuple[str, str]], pd.DataFrame]:
    """Return the models and latents that have scores, in the order of models, and the scores by model, latent and metric."""
    table = scores.set_index(["model", "latent", "metric"])[
        ["mean", "sd", "n", "failed_share"]
    ].sort_index()
    scored = table.index.droplevel("metric")
    return [row for row in itertools.product(models, ("mean", "sample")) if row in scored], table


def _heatmap(
    axis: Axes, rows: list[tuple[str, str]], table: pd.DataFrame, titles: dict[str, str]
) -> None:
    values = np.array(
        [[table["mean"].get((*row, metric), np.nan) for metric in METRICS] for row in rows]
    )
    axis.imshow(values, **SCALE, aspect="auto")
    axis.set_facecolor("0.9")
    for (y, row), (x, metric) in itertools.product(enumerate(rows), enumerate(METRICS)):
        score = table.loc[(*row, metric)]
        spread = f" ±{score['sd']:.3f}" if score["n"] > 1 else ""
        text = f"{score['mean']:.3f}{spread}" if score["n"] else "failed"
        color = "white" if values[y, x] <= 0.6 else "black"
        axis.text(x, y, text, ha="center", va="center", fontsize=SMALL, color=color)
    labels = [
        _row_label(titles[model], latent, table.loc[(model, latent), "failed_share"].iloc[0])
        for model, latent in rows
    ]
    axis.set_yticks(range(len(rows)), labels)


def _row_label(title: str, latent: str, failed_share: float) -> str:
    label = f"{title} (sample)" if latent == "sample" else title
    return f"{label}\n{failed_share:.0%} failed" if failed_share else label
