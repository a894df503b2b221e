"""Louvain clusters of principal components beside those of the latent, on the same map."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.common.vocabulary import ALL
from sclatent.figures.cells import array_of, column_of
from sclatent.figures.style import (
    EVERY_SEED_FAILED,
    SMALL,
    STYLE,
    WIDTH,
    Look,
    legend,
    looks_of,
    name_row,
    say,
    scatter,
)
from sclatent.io.by_seed import best_seed, umap_key
from sclatent.io.matrices import read_matrix
from sclatent.io.tables import read_table

METHOD = "louvain_latent"


def draw(
    models: dict[str, str],
    floors: dict[str, str],
    umap: str,
    latents: dict[str, str],
    clusters: dict[str, str],
    scores: str,
) -> Figure:
    """Draw the figure from files.

    Parameters
    ----------
    models
        Titles by model, with those of floors.
    floors
        The floor of each model that is not a floor.
    umap, scores
        File and table of these kinds.
    latents
        Files of this kind by model.
    clusters
        Tables of this kind by model, with those of floors.
    """
    return louvain(
        models,
        floors,
        {model: read_matrix(path) for model, path in latents.items()},
        read_matrix(umap),
        {model: read_table(path, "clusters") for model, path in clusters.items()},
        read_table(scores, "scores"),
    )


def louvain(
    titles: dict[str, str],
    floors: dict[str, str],
    latents: dict[str, ad.AnnData],
    umaps: ad.AnnData,
    clusters: dict[str, pd.DataFrame],
    scores: pd.DataFrame,
) -> Figure:
    """Draw a row per model: UMAP of its latent with the labels, its floor's clusters, and its own.

    A cluster has the look of its most frequent label, and its number.

    Parameters
    ----------
    titles
        By model, with those of floors.
    floors
        The floor of each model that is not a floor.
    latents
        AnnData of this kind by model.
    umaps
        AnnData of the kind "umap".
    clusters
        Tables of this kind by model, with those of floors.
    scores
        Table of this kind.
    """
    cell_types = column_of(umaps, "cell_type")
    looks = looks_of(cell_types.cat.categories)
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            len(floors),
            3,
            figsize=(WIDTH, 2.3 * len(floors) + 0.6),
            layout="constrained",
            squeeze=False,
        )
        for axes, (model, floor) in zip(grid, floors.items(), strict=True):
            seed = best_seed(latents[model])
            name_row(axes[0], titles[model], seed)
            if seed is None:
                for axis in axes:
                    say(axis, EVERY_SEED_FAILED)
                continue
            points = array_of(umaps, umap_key(model, seed))
            scatter(axes[0], points, cell_types, looks, "UMAP, true labels")
            for axis, name in zip(axes[1:], (floor, model), strict=True):
                numbers = _clusters_of(clusters[name], seed)
                if not len(numbers):
                    say(axis, "the floor failed")
                    continue
                latent = titles[name] if name == floor else "the latent"
                title = f"Louvain on {latent}\n{_agreement(scores, name, seed)}"
                _draw_clusters(axis, points, numbers, cell_types, looks, title)
        legend(figure, looks)
    return figure


def _clusters_of(clusters: pd.DataFrame, seed: int) -> np.ndarray:
    """Return the clusters (n,) of the mean latent of a seed; empty if the seed failed."""
    chosen = (
        (clusters["seed"] == seed) & (clusters["latent"] == "mean") & (clusters["method"] == METHOD)
    )
    return clusters.loc[chosen, "cluster"].to_numpy()


def _draw_clusters(
    axis: Axes,
    points: np.ndarray,
    clusters: np.ndarray,
    cell_types: pd.Series,
    looks: dict[str, Look],
    title: str,
) -> None:
    most_frequent = pd.crosstab(clusters, cell_types.to_numpy()).idxmax(axis=1)
    scatter(axis, points, most_frequent.loc[clusters].to_numpy(), looks, title)
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.7}
    for cluster in most_frequent.index:
        x, y = np.median(points[clusters == cluster], axis=0)
        axis.text(x, y, str(cluster), fontsize=SMALL, ha="center", va="center", bbox=box)


def _agreement(scores: pd.DataFrame, model: str, seed: int) -> str:
    """Say how many clusters a seed has and how well they agree with the labels."""
    chosen = (
        (scores["model"] == model)
        & (scores["seed"] == seed)
        & (scores["method"] == METHOD)
        & (scores["latent"] == "mean")
        & (scores["split"] == ALL)
        & (scores["subset"] == ALL)
    )
    values = dict(zip(scores.loc[chosen, "metric"], scores.loc[chosen, "value"], strict=True))
    if "n_clusters" not in values:  # labels with which no clustering can disagree
        return ""
    agreement = f"NMI {values['nmi_geometric']:.3f}, ARI {values['ari']:.3f}"
    return f"{values['n_clusters']:.0f} clusters, {agreement}"
