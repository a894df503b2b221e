"""Which cell types share a cluster, and which are split."""

import math

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.figures.cells import column_of
from sclatent.figures.style import EVERY_SEED_FAILED, STYLE, TINY, WIDTH, say
from sclatent.io.by_seed import best_seed
from sclatent.io.matrices import read_matrix
from sclatent.io.tables import read_table

# Titles of the clusterings that can be drawn. The first one that a model has is drawn.
METHOD_TITLES = {"components": "components", "kmeans_latent": "k-means"}
MODELS_PER_ROW = 2


def draw(models: dict[str, str], latents: dict[str, str], clusters: dict[str, str]) -> Figure:
    """Draw the figure from files.

    Parameters
    ----------
    models
        Titles by model.
    latents, clusters
        Files of these kinds by model.
    """
    return confusion(
        models,
        {model: read_matrix(path) for model, path in latents.items()},
        {model: read_table(path, "clusters") for model, path in clusters.items()},
    )


def confusion(
    titles: dict[str, str], latents: dict[str, ad.AnnData], clusters: dict[str, pd.DataFrame]
) -> Figure:
    """Draw a heat map per model: the share of each cell type (row) in each cluster (column).

    Clusters are in the order of their most frequent cell type.

    Parameters
    ----------
    titles
        By model.
    latents, clusters
        AnnData and tables of these kinds by model.
    """
    n_types = max(adata.obs["cell_type"].nunique() for adata in latents.values())
    rows = math.ceil(len(titles) / MODELS_PER_ROW)
    with plt.rc_context(STYLE):
        height = (0.17 * n_types + 0.75) * rows + 0.3
        figure, grid = plt.subplots(
            rows, MODELS_PER_ROW, figsize=(WIDTH, height), layout="constrained", squeeze=False
        )
        for axis, (model, title) in zip(grid.flat, titles.items(), strict=False):
            seed = best_seed(latents[model])
            if seed is None:
                axis.set_title(title)
                say(axis, EVERY_SEED_FAILED)
                continue
            cell_types = column_of(latents[model], "cell_type")
            _heatmap(axis, f"{title}, seed {seed}", clusters[model], seed, cell_types)
        for axis in grid.flat[len(titles) :]:
            axis.axis("off")
    return figure


def _heatmap(
    axis: Axes, title: str, clusters: pd.DataFrame, seed: int, cell_types: pd.Series
) -> None:
    of_mean = clusters.loc[(clusters["seed"] == seed) & (clusters["latent"] == "mean")]
    method = next(name for name in METHOD_TITLES if (of_mean["method"] == name).any())
    chosen = of_mean.loc[of_mean["method"] == method, "cluster"]
    counts = pd.crosstab(cell_types.to_numpy(), chosen.to_numpy())
    order = np.lexsort([-counts.max().to_numpy(), counts.to_numpy().argmax(axis=0)])
    shares = counts.div(counts.sum(axis=1), axis=0).iloc[:, order]
    values = shares.to_numpy()
    axis.imshow(values, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    for y, x in zip(*np.nonzero(values >= 0.05), strict=True):  # smaller shares need no number
        axis.text(
            x,
            y,
            f"{values[y, x]:.2f}".lstrip("0"),
            ha="center",
            va="center",
            fontsize=TINY,
            color="white" if values[y, x] > 0.6 else "black",
        )
    labels = [f"{name} ({n:,})" for name, n in counts.sum(axis=1).items()]
    axis.set_yticks(range(len(labels)), labels)
    axis.set_xticks(range(values.shape[1]), [str(cluster) for cluster in shares.columns])
    axis.set(title=f"{title}: {METHOD_TITLES[method]}", xlabel="cluster")
