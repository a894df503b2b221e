"""Maps of the latent space of each model: the true labels beside clusters found without them."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment

from sclatent.figures.style import (
    STYLE,
    UNMATCHED,
    WIDTH,
    Look,
    legend,
    looks_of,
    looks_of_groups,
    name_row,
    say,
    scatter,
    without_ticks,
)
from sclatent.io.by_seed import arrays_of, umap_key


def latent_space(
    titles: dict[str, str],
    maps: dict[str, ad.AnnData],
    umaps: ad.AnnData,
    clusters: dict[str, pd.DataFrame],
) -> Figure:
    """Draw one row a model: its t-SNE with the true labels, the same with k-means and centroids, in 3-D, and its UMAP.

    Where cells have conditions, a last panel shows those on the UMAP.

    titles: name to show by model. maps: files of the kind "embedding" by model. umaps: file of the kind "umap". clusters:
    tables of the kind "clusters" by model. The seed is the one with a map in three dimensions; a model that always failed has a
    row that says so.
    """
    cell_types = umaps.obs["cell_type"]
    looks, conditions = looks_of(cell_types.cat.categories), umaps.obs.get("condition")
    groups = {} if conditions is None else looks_of_groups(conditions.cat.categories)
    columns = 5 if groups else 4
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(WIDTH, 1.75 * len(titles) + 0.7), layout="constrained")
        for row, (model, title) in enumerate(titles.items()):
            axes = [
                figure.add_subplot(
                    len(titles),
                    columns,
                    columns * row + column + 1,
                    projection="3d" if column == 2 else None,
                )
                for column in range(columns)
            ]
            seed = shown_seed(maps[model])
            if seed is None:
                name_row(axes[0], title)
                say(axes[0], "every seed failed")
                for axis in axes[1:]:
                    without_ticks(axis)
                continue
            name_row(axes[0], title, seed)
            flat = maps[model].obsm[f"tsne_2d_seed_{seed}"]
            scatter(axes[0], flat, cell_types, looks, "t-SNE, true labels")
            _kmeans(axes[1], flat, _protocol_clusters(clusters[model], seed), cell_types, looks)
            scatter(
                axes[2],
                maps[model].obsm[f"tsne_3d_seed_{seed}"],
                cell_types,
                looks,
                "3-D t-SNE, true labels",
            )
            scatter(
                axes[3], umaps.obsm[umap_key(model, seed)], cell_types, looks, "UMAP, true labels"
            )
            if groups:
                scatter(
                    axes[4],
                    umaps.obsm[umap_key(model, seed)],
                    conditions,
                    groups,
                    "UMAP, conditions",
                )
        legend(figure, looks, groups)
    return figure


def shown_seed(maps: ad.AnnData) -> int | None:
    """Return the seed that a file of the kind "embedding" has a map in three dimensions of; None where every seed failed."""
    return next((seed for name, seed in arrays_of(maps) if name == "tsne_3d"), None)


def _protocol_clusters(clusters: pd.DataFrame, seed: int) -> np.ndarray:
    of_seed = clusters[(clusters["seed"] == seed) & (clusters["latent"] == "mean")]
    chosen = of_seed[of_seed["method"] == "kmeans_tsne"]
    return chosen["cluster"].to_numpy()


def _kmeans(
    axis: Axes,
    points: np.ndarray,
    clusters: np.ndarray,
    cell_types: pd.Series,
    looks: dict[str, Look],
) -> None:
    """Draw clusters in the looks of the cell types that they match best, others pale, with a cross at each centroid."""
    counts = pd.crosstab(clusters, cell_types.to_numpy())
    rows, columns = linear_sum_assignment(counts, maximize=True)
    matched = {
        counts.index[row]: looks[counts.columns[column]]
        for row, column in zip(rows, columns, strict=True)
    }
    of_clusters = {cluster: matched.get(cluster, Look(UNMATCHED, "o")) for cluster in counts.index}
    scatter(axis, points, clusters, of_clusters, "t-SNE, k-means")
    centroids = np.array([points[clusters == cluster].mean(axis=0) for cluster in counts.index])
    axis.scatter(*centroids.T, marker="X", s=25, c="white", edgecolors="black", linewidths=0.7)
