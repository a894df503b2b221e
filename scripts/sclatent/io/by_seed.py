"""Values of several seeds side by side in the obsm of one AnnData, under keys such as "mean_seed_0"."""

import json
import math
import re

import anndata as ad
import numpy as np
import pandas as pd

MAPPED = {
    "mean": "tsne_2d",
    "sample": "tsne_2d_sample",
}  # the two-dimensional t-SNE map of each latent
_KEY = re.compile(r"(?P<name>\w+)_seed_(?P<seed>\d+)")


def collect_seeds(
    obs: pd.DataFrame, arrays: dict[tuple[str, int], np.ndarray], failed: dict[int, str]
) -> ad.AnnData:
    """Return an AnnData with the cells of obs, arrays (n, d) by name and seed in obsm, and the reasons of failed seeds in uns."""
    adata = ad.AnnData(obs=obs[[name for name in ("cell_type", "condition") if name in obs]])
    for (name, seed), values in arrays.items():
        adata.obsm[f"{name}_seed_{seed}"] = values
    adata.uns["failed"] = json.dumps({str(seed): reason for seed, reason in sorted(failed.items())})
    return adata


def with_losses(adata: ad.AnnData, losses: dict[int, float], cells: str) -> ad.AnnData:
    """Return an AnnData made by `collect_seeds` with the loss of each seed in uns, and of which cells it is: held_out or all."""
    adata.uns["loss"] = json.dumps({str(seed): loss for seed, loss in sorted(losses.items())})
    adata.uns["loss_cells"] = cells
    return adata


def losses_of(adata: ad.AnnData) -> dict[int, float]:
    """Return the loss of each seed of a file of the kind "latents"; failed seeds have none."""
    return {int(seed): loss for seed, loss in json.loads(adata.uns["loss"]).items()}


def best_seed(adata: ad.AnnData) -> int | None:
    """Return the seed with the lowest loss in a file of the kind "latents", the one to show; None where every seed failed.

    No score has a part in the choice, and no label but what the model is told of each cell as its condition.
    """
    losses = {
        seed: loss if math.isfinite(loss) else math.inf for seed, loss in losses_of(adata).items()
    }
    return min(losses, key=losses.get, default=None)


def umap_key(model: str, seed: int, part: str = "mean") -> str:
    """Return where a file of the kind "umap" has the map of a latent of a model: mean, sample, w_mean or w_sample."""
    return f"umap_{model}_seed_{seed}" + ("" if part == "mean" else f"_{part}")


def arrays_of(adata: ad.AnnData) -> dict[tuple[str, int], np.ndarray]:
    """Return the arrays of an AnnData made by `collect_seeds`, by name and seed, in the order of the seeds."""
    keys = sorted(
        (int(match["seed"]), match["name"]) for match in map(_KEY.fullmatch, adata.obsm) if match
    )
    return {(name, seed): adata.obsm[f"{name}_seed_{seed}"] for seed, name in keys}


def latents_of(adata: ad.AnnData) -> dict[tuple[str, int], np.ndarray]:
    """Return the mean and sample latents (n, L) of a file of the kind "latents" by name and seed."""
    return {key: latent for key, latent in arrays_of(adata).items() if key[0] in ("mean", "sample")}


def failures_of(adata: ad.AnnData) -> dict[int, str]:
    """Return the reasons of the failed seeds of an AnnData made by `collect_seeds`."""
    return {int(seed): reason for seed, reason in json.loads(adata.uns["failed"]).items()}
