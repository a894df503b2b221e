"""Maps of the latent space of each model: the true labels beside clusters found without them."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment

from sclatent.figures.cells import array_of, column_of
from sclatent.figures.style import (
    EVERY_SEED_FAILED,
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
from sclatent.io.matrices import read_matrix
from sclatent.io.tables import read_table


def draw(
    models: dict[str, str], umap: str, tsne: dict[str, str], clusters: dict[str, str]
) -> Figure:
    """Draw the figure from files.

    Parameters
    ----------
    models
        Titles by model.
    umap
        File of this kind.
    tsne
        Files of the kind "embedding" by model.
    clusters
        Tables of this kind by model.
    """
    return latent_space(
        models,
        {model: read_matrix(path) for model, path in tsne.items()},
        read_matrix(umap),
        {model: read_table(path, "clusters") for model, path in clusters.items()},
    )


def latent_space(
    titles: dict[str, str],
    maps: dict[str, ad.AnnData],
    umaps: ad.AnnData,
    clusters: dict[str, pd.DataFrame],
) -> Figure:
    """Draw a row per model: t-SNE with the true labels, with k-means and in 3-D, and UMAP.

    If cells have conditions, a last panel shows them on the UMAP. The seed is the one with a map in
    three dimensions. If every seed of a model failed, its row says so.

    Parameters
    ----------
    titles
        By model.
    maps
        AnnData of the kind "embedding" by model.
    umaps
        AnnData of the kind "umap".
    clusters
        Tables of this kind by model.
    """
    cell_types = column_of(umaps, "cell_type")
    looks = looks_of(cell_types.cat.categories)
    conditions = column_of(umaps, "condition") if "condition" in umaps.obs else None
    groups = {} if conditions is None else looks_of_groups(conditions.cat.categories)
    n_columns = 4 if conditions is None else 5
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(WIDTH, 1.75 * len(titles) + 0.7), layout="constrained")
        for row, (model, title) in enumerate(titles.items()):
            axes = _row(figure, len(titles), n_columns, row)
            seed = shown_seed(maps[model])
            if seed is None:
                name_row(axes[0], title)
                say(axes[0], EVERY_SEED_FAILED)
                for axis in axes[1:]:
                    without_ticks(axis)
                continue
            name_row(axes[0], title, seed)
            flat = array_of(maps[model], f"tsne_2d_seed_{seed}")
            solid = array_of(maps[model], f"tsne_3d_seed_{seed}")
            umap = array_of(umaps, umap_key(model, seed))
            scatter(axes[0], flat, cell_types, looks, "t-SNE, true labels")
            _kmeans(axes[1], flat, _clusters_of_map(clusters[model], seed), cell_types, looks)
            scatter(axes[2], solid, cell_types, looks, "3-D t-SNE, true labels")
            scatter(axes[3], umap, cell_types, looks, "UMAP, true labels")
            if conditions is not None:
                scatter(axes[4], umap, conditions, groups, "UMAP, conditions")
        legend(figure, looks, groups)
    return figure


def shown_seed(maps: ad.AnnData) -> int | None:
    """Return the seed that has a map in three dimensions; None if every seed failed.

    maps: AnnData of the kind "embedding".
    """
    return next((seed for name, seed in arrays_of(maps) if name == "tsne_3d"), None)


def _row(figure: Figure, n_rows: int, n_columns: int, row: int) -> list[Axes]:
    """Return the panels of a row; the third has three dimensions."""
    return [
        figure.add_subplot(
            n_rows,
            n_columns,
            n_columns * row + column + 1,
            projection="3d" if column == 2 else None,
        )
        for column in range(n_columns)
    ]


def _clusters_of_map(clusters: pd.DataFrame, seed: int) -> np.ndarray:
    """Return the clusters (n,) that k-means finds on the t-SNE map of the mean latent."""
    chosen = (
        (clusters["seed"] == seed)
        & (clusters["latent"] == "mean")
        & (clusters["method"] == "kmeans_tsne")
    )
    return clusters.loc[chosen, "cluster"].to_numpy()


def _kmeans(
    axis: Axes,
    points: np.ndarray,
    clusters: np.ndarray,
    cell_types: pd.Series,
    looks: dict[str, Look],
) -> None:
    """Draw clusters with a cross at each centroid.

    A cluster has the look of the cell type that it matches best. Clusters without one are pale.
    """
    counts = pd.crosstab(clusters, cell_types.to_numpy())
    cluster_looks = dict.fromkeys(counts.index, Look(UNMATCHED, "o"))
    for row, column in zip(*linear_sum_assignment(counts, maximize=True), strict=True):
        cluster_looks[counts.index[row]] = looks[str(counts.columns[column])]
    scatter(axis, points, clusters, cluster_looks, "t-SNE, k-means")
    centroids = np.array([points[clusters == cluster].mean(axis=0) for cluster in counts.index])
    axis.scatter(*centroids.T, marker="X", s=25, c="white", edgecolors="black", linewidths=0.7)
