"""Arrays of several seeds in the obsm of one AnnData, under keys such as "mean_seed_0"."""

import json
import math
import re

import anndata as ad
import numpy as np
import pandas as pd

# The two-dimensional t-SNE map of each latent.
MAPPED = {"mean": "tsne_2d", "sample": "tsne_2d_sample"}
_KEY = re.compile(r"(?P<name>\w+)_seed_(?P<seed>\d+)")


def collect_seeds(
    obs: pd.DataFrame, arrays: dict[tuple[str, int], np.ndarray], failed: dict[int, str]
) -> ad.AnnData:
    """Collect the arrays of all seeds in one AnnData.

    Parameters
    ----------
    obs
        Table of the n cells. Only cell_type and condition are kept.
    arrays
        Arrays (n, d) by name and seed; they become obsm.
    failed
        Why a seed has no arrays, by seed; becomes uns["failed"], as JSON text.
    """
    labels = [name for name in ("cell_type", "condition") if name in obs]
    adata = ad.AnnData(obs=obs.loc[:, labels])
    for (name, seed), values in arrays.items():
        adata.obsm[f"{name}_seed_{seed}"] = values
    adata.uns["failed"] = json.dumps({str(seed): reason for seed, reason in sorted(failed.items())})
    return adata


def with_losses(adata: ad.AnnData, losses: dict[int, float], cells: str) -> ad.AnnData:
    """Add the loss of each seed to what `collect_seeds` returned.

    Parameters
    ----------
    adata
        Changed in place.
    losses
        Mean loss by seed; becomes uns["loss"], as JSON text.
    cells
        The cells of the mean, "held_out" or "all"; becomes uns["loss_cells"].

    Returns
    -------
    ad.AnnData
        The same object.
    """
    adata.uns["loss"] = json.dumps({str(seed): loss for seed, loss in sorted(losses.items())})
    adata.uns["loss_cells"] = cells
    return adata


def losses_of(adata: ad.AnnData) -> dict[int, float]:
    """Return the loss of each seed of a file of the kind "latents"; failed seeds have none."""
    return {int(seed): loss for seed, loss in json.loads(adata.uns["loss"]).items()}


def best_seed(adata: ad.AnnData) -> int | None:
    """Return the seed to show: the one with the lowest loss in a file of the kind "latents".

    No score takes part in the choice. No label does either, unless the model takes it as the
    condition of a cell.

    Returns
    -------
    int or None
        None if every seed failed.
    """
    losses = {
        seed: loss if math.isfinite(loss) else math.inf for seed, loss in losses_of(adata).items()
    }
    return min(losses, key=lambda seed: losses[seed], default=None)


def umap_key(model: str, seed: int, part: str = "mean") -> str:
    """Return the obsm key of a map in a file of the kind "umap".

    Parameters
    ----------
    model, seed
        The training.
    part
        The latent that is mapped: "mean", "sample", "w_mean" or "w_sample".
    """
    return f"umap_{model}_seed_{seed}" + ("" if part == "mean" else f"_{part}")


def arrays_of(adata: ad.AnnData) -> dict[tuple[str, int], np.ndarray]:
    """Return the arrays that `collect_seeds` stored, by name and seed, in the order of seeds."""
    matches = (match for match in map(_KEY.fullmatch, adata.obsm.keys()) if match)
    keys = sorted((int(match["seed"]), str(match["name"])) for match in matches)
    return {(name, seed): np.asarray(adata.obsm[f"{name}_seed_{seed}"]) for seed, name in keys}


def latents_of(adata: ad.AnnData) -> dict[tuple[str, int], np.ndarray]:
    """Return the latents (n, L) of a file of the kind "latents", by ("mean" or "sample", seed)."""
    return {key: latent for key, latent in arrays_of(adata).items() if key[0] in ("mean", "sample")}


def failures_of(adata: ad.AnnData) -> dict[int, str]:
    """Return why seeds failed, by seed, from what `collect_seeds` stored."""
    return {int(seed): reason for seed, reason in json.loads(adata.uns["failed"]).items()}
