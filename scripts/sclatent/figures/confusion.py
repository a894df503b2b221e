"""Which cell types share a cluster, and which are split."""

import math

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.figures.style import SMALL, STYLE, WIDTH, say
from sclatent.io.by_seed import best_seed

METHODS = {
    "components": "components",
    "kmeans_latent": "k-means",
}  # the first that a model has is drawn
COLUMNS = 2


def confusion(
    titles: dict[str, str], latents: dict[str, ad.AnnData], clusters: dict[str, pd.DataFrame]
) -> Figure:
    """Draw a heat map a model: of each cell type (row) the share that is in each cluster (column).

    titles: name to show by model. latents: files of the kind "latents" by model. clusters: tables of that kind by model.
    Clusters are in the order of their most frequent type.
    """
    n_types = max(adata.obs["cell_type"].nunique() for adata in latents.values())
    rows = math.ceil(len(titles) / COLUMNS)
    with plt.rc_context(STYLE):
        height = (0.17 * n_types + 0.75) * rows + 0.3
        figure, grid = plt.subplots(
            rows, COLUMNS, figsize=(WIDTH, height), layout="constrained", squeeze=False
        )
        for axis, (model, title) in zip(grid.flat, titles.items(), strict=False):
            seed = best_seed(latents[model])
            if seed is None:
                axis.set_title(title)
                say(axis, "every seed failed")
                continue
            _heatmap(
                axis,
                f"{title}, seed {seed}",
                clusters[model],
                seed,
                latents[model].obs["cell_type"],
            )
        for axis in grid.flat[len(titles) :]:
            axis.axis("off")
    return figure


def _heatmap(
    axis: Axes, title: str, clusters: pd.DataFrame, seed: int, cell_types: pd.Series
) -> None:
    of_seed = clusters[(clusters["seed"] == seed) & (clusters["latent"] == "mean")]
    method = next(method for method in METHODS if (of_seed["method"] == method).any())
    counts = pd.crosstab(
        cell_types.to_numpy(), of_seed.loc[of_seed["method"] == method, "cluster"].to_numpy()
    )
    order = np.lexsort([-counts.max().to_numpy(), counts.to_numpy().argmax(axis=0)])
    shares = counts.div(counts.sum(axis=1), axis=0).iloc[:, order]
    axis.imshow(shares, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    for y, x in zip(*np.nonzero(shares.to_numpy() >= 0.05), strict=True):  # paler cells say enough
        share = shares.iloc[y, x]
        color = "white" if share > 0.6 else "black"
        axis.text(
            x,
            y,
            f"{share:.2f}".lstrip("0"),
            ha="center",
            va="center",
            fontsize=SMALL - 1,
            color=color,
        )
    axis.set_yticks(
        range(len(shares)), [f"{name} ({n:,})" for name, n in counts.sum(axis=1).items()]
    )
    axis.set_xticks(range(shares.shape[1]), shares.columns.astype(str))
    axis.set(title=f"{title}: {METHODS[method]}", xlabel="cluster")
