"""Louvain clusters of principal components beside those of the latent, on the same map."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.figures.style import (
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

METHOD = "louvain_latent"


def louvain(
    titles: dict[str, str],
    floors: dict[str, str],
    latents: dict[str, ad.AnnData],
    umaps: ad.AnnData,
    clusters: dict[str, pd.DataFrame],
    scores: pd.DataFrame,
) -> Figure:
    """Draw one row a model: the UMAP of its latent with the true labels, with Louvain clusters of its floor, and with its own.

    titles: name to show by model, of floors, too. floors: the floor of each model that is none. latents: files of that kind by
    model. umaps: file of the kind "umap". clusters: tables of that kind by model, of floors, too. scores: table of that kind. A
    cluster has the look of its most frequent label, and its number.
    """
    cell_types = umaps.obs["cell_type"]
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
            points = None if seed is None else umaps.obsm[umap_key(model, seed)]
            if points is None:
                say(axes[0], "every seed failed")
            else:
                scatter(axes[0], points, cell_types, looks, "UMAP, true labels")
            for axis, name in zip(axes[1:], (floor, model), strict=True):
                of_seed = clusters[name][clusters[name]["seed"] == seed]
                of_cell = of_seed.loc[
                    (of_seed["method"] == METHOD) & (of_seed["latent"] == "mean"), "cluster"
                ]
                if points is None or of_cell.empty:
                    say(axis, "the floor failed" if points is not None else "every seed failed")
                    continue
                title = f"Louvain on {titles[name] if name == floor else 'the latent'}\n{_agreement(scores, name, seed)}"
                _clusters(axis, points, of_cell.to_numpy(), cell_types, looks, title)
        legend(figure, looks)
    return figure


def _clusters(
    axis: Axes,
    points: np.ndarray,
    clusters: np.ndarray,
    cell_types: pd.Series,
    looks: dict[str, Look],
    title: str,
) -> None:
    tags = pd.crosstab(clusters, cell_types.to_numpy()).idxmax(axis=1)
    scatter(axis, points, tags[clusters].to_numpy(), looks, title)
    for cluster in tags.index:
        x, y = np.median(points[clusters == cluster], axis=0)
        box = {
            "boxstyle": "round,pad=0.15",
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.7,
        }
        axis.text(x, y, str(cluster), fontsize=SMALL, ha="center", va="center", bbox=box)


def _agreement(scores: pd.DataFrame, model: str, seed: int) -> str:
    """Return the number of clusters of a seed and how well they agree with the labels."""
    chosen = (scores["model"] == model) & (scores["seed"] == seed) & (scores["method"] == METHOD)
    here = scores[
        chosen
        & (scores["latent"] == "mean")
        & (scores["split"] == "all")
        & (scores["subset"] == "all")
    ]
    values = here.set_index("metric")["value"]
    if "n_clusters" not in values:  # labels with which nothing can disagree
        return ""
    return f"{values['n_clusters']:.0f} clusters, NMI {values['nmi_geometric']:.3f}, ARI {values['ari']:.3f}"
