"""The latents of stochastic models: mean beside sample, and of mixtures the latent w beside z."""

import itertools

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from sclatent.figures.cells import array_of, column_of
from sclatent.figures.style import (
    EVERY_SEED_FAILED,
    STYLE,
    WIDTH,
    legend,
    looks_of,
    looks_of_groups,
    name_row,
    say,
    scatter,
)
from sclatent.io.by_seed import best_seed, umap_key
from sclatent.io.matrices import read_matrix

# The arrays that are drawn, and their titles.
PART_TITLES = {
    "mean": "z, mean",
    "sample": "z, sample",
    "w_mean": "w, mean",
    "w_sample": "w, sample",
}


def draw(models: dict[str, str], umap: str, latents: dict[str, str]) -> Figure:
    """Draw the figure from files.

    Parameters
    ----------
    models
        Titles by model.
    umap
        File of this kind.
    latents
        Files of this kind by model.
    """
    encoded = {model: read_matrix(path) for model, path in latents.items()}
    return latent_parts(models, encoded, read_matrix(umap))


def latent_parts(
    titles: dict[str, str], latents: dict[str, ad.AnnData], umaps: ad.AnnData
) -> Figure:
    """Draw a column per latent, mean and sample of z and of w, and a row per model.

    A latent of two dimensions is drawn as it is, any other as its UMAP. If cells have conditions, a
    second row per model shows them.

    Parameters
    ----------
    titles
        By model.
    latents
        AnnData of this kind by model.
    umaps
        AnnData of the kind "umap".
    """
    labels = {
        name: column_of(umaps, name) for name in ("cell_type", "condition") if name in umaps.obs
    }
    looks = {"cell_type": looks_of(labels["cell_type"].cat.categories)}
    if "condition" in labels:
        looks["condition"] = looks_of_groups(labels["condition"].cat.categories)
    seeds = {model: best_seed(adata) for model, adata in latents.items()}
    columns = [
        part
        for part in PART_TITLES
        if any(f"{part}_seed_{seeds[model]}" in adata.obsm for model, adata in latents.items())
    ]
    with plt.rc_context(STYLE):
        rows = list(itertools.product(titles, labels))
        figure, grid = plt.subplots(
            len(rows),
            max(len(columns), 1),
            figsize=(WIDTH, 1.75 * len(rows) + 0.8),
            layout="constrained",
            squeeze=False,
        )
        for axes, (model, shown) in zip(grid, rows, strict=True):
            seed = seeds[model]
            for axis, part in zip(axes, columns, strict=False):
                values = None if seed is None else _values(latents[model], part, seed)
                if seed is None or values is None:
                    axis.axis("off")
                    continue
                title = PART_TITLES[part]
                if values.shape[1] != 2:
                    values = array_of(umaps, umap_key(model, seed, part))
                    title = f"{title} (UMAP)"
                scatter(axis, values, labels[shown], looks[shown], title)
            if seed is None:
                say(axes[0], EVERY_SEED_FAILED)
            axes[0].axis("on")
            name_row(axes[0], titles[model], seed)
        legend(figure, *looks.values())
    return figure


def _values(latents: ad.AnnData, part: str, seed: int) -> np.ndarray | None:
    """Return a latent (n, d) of the seed; None if the model has none, or none of any dimension."""
    key = f"{part}_seed_{seed}"
    if key not in latents.obsm or array_of(latents, key).shape[1] == 0:
        return None
    return array_of(latents, key)
