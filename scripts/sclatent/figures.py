"""The figures that the notebooks show; they draw what tables hold and compute nothing that a score rests on."""

import itertools
from pathlib import Path

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment

from sclatent.atomic import replacing
from sclatent.seeds import arrays_of

# Ten colours that stay apart for colour-blind readers: Okabe and Ito 2008, black left out, and Tol's purple, wine and grey added.
COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#332288", "#882255", "#999999"]
UNMATCHED = "#DDDDDD"
METHODS = {
    "kmeans_latent": "k-means on the latent",
    "louvain_latent": "Louvain on the latent",
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
STYLE = {"font.size": 8, "svg.hashsalt": "sclatent", "axes.titlesize": 8}


MEASURES = {
    "n_genes": ("detected genes", ("min_genes", "max_genes")),
    "total_counts": ("counts", ()),
    "pct_counts_mt": ("mitochondrial counts (%)", ("max_percent_mito",)),
}
FATES = {"kept": "#0072B2", "removed": "#D55E00"}


def quality_control(title: str, steps: pd.DataFrame, cells: pd.DataFrame, thresholds: dict[str, float | None]) -> Figure:
    """Draw the measures of all cells, those removed apart, with the thresholds, and what each step left.

    steps, cells: tables of the kinds "qc" and "qc_cells". thresholds: by name, None where there is none.
    """
    removed = cells["removed"].notna()
    shown = [measure for measure in MEASURES if cells[measure].notna().any()]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(shown) + 1, figsize=(2.4 * len(shown) + 3.6, 2.6), layout="constrained", width_ratios=[2] * len(shown) + [3]
        )
        for axis, measure in zip(axes, shown, strict=False):
            name, limits = MEASURES[measure]
            bins = np.histogram_bin_edges(cells[measure].dropna(), bins=50)
            for (fate, color), here in zip(FATES.items(), (~removed, removed), strict=True):
                axis.hist(cells.loc[here, measure], bins, color=color, label=fate, alpha=0.75)
            axis.set_xlim(axis.get_xlim())  # thresholds far from all cells would squeeze them
            for limit in limits:
                if thresholds[limit] is not None:
                    axis.axvline(thresholds[limit], color="black", linestyle="--", linewidth=0.8)
            axis.set(xlabel=f"{name} of a cell", yscale="log", ylabel="cells" if measure == shown[0] else "")
        axes[0].legend(frameon=False)
        rows = [[row.step, f"{row.n_cells:,}", f"{row.n_genes:,}"] for row in steps.itertuples()]
        axes[-1].axis("off")
        table = axes[-1].table(
            rows,
            colLabels=["after removing", "cells", "genes"],
            colWidths=[0.64, 0.18, 0.18],
            loc="center",
            edges="horizontal",
        )
        table.auto_set_font_size(False)
        table.set_fontsize(7)
        table.scale(1, 1.3)
        for (_, column), entry in table.get_celld().items():
            entry.set_text_props(ha="left" if column == 0 else "right")
        figure.suptitle(title, fontsize=9)
    return figure


def latent_space(
    titles: dict[str, str], maps: dict[str, ad.AnnData], umaps: ad.AnnData, clusters: dict[str, pd.DataFrame]
) -> Figure:
    """Draw one row a model: its t-SNE with the true labels, the same with k-means and centroids, in 3-D, and its UMAP.

    titles: name to show by model. maps: files of the kind "embedding" by model. umaps: file of the kind "umap". clusters:
    tables of the kind "clusters" by model. The seed drawn is the lowest that did not fail; a model that always failed has a row
    that says so.
    """
    cell_types = umaps.obs["cell_type"].cat.categories
    colors = {cell_type: COLORS[i % len(COLORS)] for i, cell_type in enumerate(cell_types)}
    truth = umaps.obs["cell_type"].map(colors).astype(str).to_numpy()
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(8.6, 2.15 * len(titles) + 0.4), layout="constrained")
        for row, (model, title) in enumerate(titles.items()):
            axes = [
                figure.add_subplot(len(titles), 4, 4 * row + column + 1, projection="3d" if column == 2 else None)
                for column in range(4)
            ]
            for axis in axes:
                axis.set(xticks=[], yticks=[], **({"zticks": []} if axis.name == "3d" else {}))
            seeds = [seed for name, seed in arrays_of(maps[model]) if name == "tsne_3d"]
            if not seeds:
                axes[0].set_ylabel(title, fontsize=9)
                axes[0].text(0.5, 0.5, "every seed failed", ha="center", va="center", transform=axes[0].transAxes)
                continue
            (seed,) = seeds
            axes[0].set_ylabel(f"{title}, seed {seed}", fontsize=9)
            flat = maps[model].obsm[f"tsne_2d_seed_{seed}"]
            _scatter(axes[0], flat, truth, "t-SNE, true labels")
            _kmeans(axes[1], flat, _protocol_clusters(clusters[model], seed), umaps.obs["cell_type"], colors)
            _scatter(axes[2], maps[model].obsm[f"tsne_3d_seed_{seed}"], truth, "3-D t-SNE, true labels")
            _scatter(axes[3], umaps.obsm[f"umap_{model}_seed_{seed}"], truth, "UMAP, true labels")
        handles = [plt.Line2D([], [], marker="o", linestyle="", markersize=4, color=c, label=t) for t, c in colors.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def score_heatmap(summary: pd.DataFrame, datasets: dict[str, str], models: dict[str, str]) -> Figure:
    """Draw mean and standard deviation over seeds: one row of heat maps a data set, one column a method, one cell a score.

    summary: table of the kind "summary". datasets, models: names to show, in the order to show them in.
    """
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            len(datasets), len(METHODS), figsize=(14, 2.5 * len(datasets) + 0.6), layout="constrained", squeeze=False
        )
        for axes, (dataset, title) in zip(grid, datasets.items(), strict=True):
            chosen = (summary["dataset"] == dataset) & (summary["split"] == "all") & (summary["subset"] == "all")
            here = summary[chosen]
            for axis, (method, method_title) in zip(axes, METHODS.items(), strict=True):
                _heatmap(axis, here[here["method"] == method], models)
                axis.set_title(f"{title}: {method_title}")
        scale = ScalarMappable(Normalize(SCALE["vmin"], SCALE["vmax"]), SCALE["cmap"])
        figure.colorbar(scale, ax=grid, shrink=0.6, label="mean over seeds (± standard deviation)")
    return figure


def save(figure: Figure, path: str | Path, provenance: str) -> None:
    """Write a figure as SVG with its provenance in the metadata, byte-identical for identical figures."""
    with plt.rc_context(STYLE), replacing(path) as temporary:
        figure.savefig(temporary, dpi=200, metadata={"Description": provenance, "Date": None})


def _scatter(axis: Axes, points: np.ndarray, colors: np.ndarray, title: str) -> None:
    axis.scatter(*points.T, c=colors, s=3, linewidths=0, rasterized=True)
    axis.set_title(title)


def _protocol_clusters(clusters: pd.DataFrame, seed: int) -> np.ndarray:
    chosen = clusters[(clusters["seed"] == seed) & (clusters["method"] == "kmeans_tsne")]
    return chosen["cluster"].to_numpy()


def _kmeans(axis: Axes, points: np.ndarray, clusters: np.ndarray, cell_types: pd.Series, colors: dict[str, str]) -> None:
    """Draw clusters in the colours of the cell types that they match best, others pale, with a cross at each centroid."""
    counts = pd.crosstab(clusters, cell_types.to_numpy())
    rows, columns = linear_sum_assignment(counts, maximize=True)
    matched = {counts.index[row]: colors[counts.columns[column]] for row, column in zip(rows, columns, strict=True)}
    _scatter(axis, points, np.array([matched.get(cluster, UNMATCHED) for cluster in clusters]), "t-SNE, k-means")
    centroids = np.array([points[clusters == cluster].mean(axis=0) for cluster in counts.index])
    axis.scatter(*centroids.T, marker="X", s=40, c="white", edgecolors="black", linewidths=0.8)


def _heatmap(axis: Axes, scores: pd.DataFrame, models: dict[str, str]) -> None:
    table = scores.set_index(["model", "latent", "metric"])[["mean", "sd", "n", "failed_share"]].sort_index()
    scored = table.index.droplevel("metric")
    rows = [row for row in itertools.product(models, ("mean", "sample")) if row in scored]
    if not rows:
        axis.set(xticks=[], yticks=[])
        axis.text(0.5, 0.5, "every model failed", ha="center", va="center", transform=axis.transAxes)
        return
    values = np.array([[table["mean"].get((*row, metric), np.nan) for metric in METRICS] for row in rows])
    axis.imshow(values, **SCALE, aspect="auto")
    axis.set_facecolor("0.9")
    for y, row in enumerate(rows):
        for x, metric in enumerate(METRICS):
            score = table.loc[(*row, metric)]
            spread = f"\n±{score['sd']:.3f}" if score["n"] > 1 else ""
            text = f"{score['mean']:.3f}{spread}" if score["n"] else "failed"
            color = "white" if values[y, x] <= 0.6 else "black"
            axis.text(x, y, text, ha="center", va="center", fontsize=6, color=color)
    labels = [_row_label(models[model], latent, table.loc[(model, latent), "failed_share"].iloc[0]) for model, latent in rows]
    axis.set_yticks(range(len(rows)), labels)
    axis.set_xticks(range(len(METRICS)), list(METRICS.values()), rotation=40, ha="right")


def _row_label(title: str, latent: str, failed_share: float) -> str:
    label = f"{title} (sample)" if latent == "sample" else title
    return f"{label}\n{failed_share:.0%} failed" if failed_share else label
