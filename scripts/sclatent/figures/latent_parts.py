"""The latents of stochastic models: mean beside sample, and of mixtures the latent w that moves the components beside z."""

import itertools

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from sclatent.figures.style import (
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

PARTS = {"mean": "z, mean", "sample": "z, sample", "w_mean": "w, mean", "w_sample": "w, sample"}


def latent_parts(
    titles: dict[str, str], latents: dict[str, ad.AnnData], umaps: ad.AnnData
) -> Figure:
    """Draw one column a latent, mean and sample of z and of w where there is one, and of each model a row with the cell types.

    titles: name to show by model. latents: files of the kind "latents" by model. umaps: file of the kind "umap". A latent of two
    dimensions is drawn as it is, any other as its UMAP. Where cells have conditions, a second row shows those.
    """
    labels = {name: umaps.obs[name] for name in ("cell_type", "condition") if name in umaps.obs}
    looks = {"cell_type": looks_of(labels["cell_type"].cat.categories)}
    if "condition" in labels:
        looks["condition"] = looks_of_groups(labels["condition"].cat.categories)
    columns = [
        part
        for part in PARTS
        if any(f"{part}_seed_{best_seed(adata)}" in adata.obsm for adata in latents.values())
    ]
    with plt.rc_context(STYLE):
        rows = list(itertools.product(titles, labels))
        shape = (len(rows), max(len(columns), 1))
        figure, grid = plt.subplots(
            *shape, figsize=(WIDTH, 1.75 * len(rows) + 0.8), layout="constrained", squeeze=False
        )
        for axes, (model, shown) in zip(grid, rows, strict=True):
            seed = best_seed(latents[model])
            for axis, part in zip(axes, columns, strict=False):
                points = _points(latents[model], umaps, model, part, seed)
                if points is None:
                    axis.axis("off")
                    continue
                kind = "" if latents[model].obsm[f"{part}_seed_{seed}"].shape[1] == 2 else " (UMAP)"
                scatter(axis, points, labels[shown], looks[shown], f"{PARTS[part]}{kind}")
            if seed is None:
                say(axes[0], "every seed failed")
            axes[0].axis("on")
            name_row(axes[0], titles[model], seed)
        legend(figure, *looks.values())
    return figure


def _points(
    latents: ad.AnnData, umaps: ad.AnnData, model: str, part: str, seed: int | None
) -> np.ndarray | None:
    """Return what is drawn of a latent, (n, 2); None where the model has none."""
    values = latents.obsm.get(f"{part}_seed_{seed}")
    if values is None or values.shape[1] == 0:
        return None
    if values.shape[1] == 2:
        return values
    return umaps.obsm[umap_key(model, seed, part)]
