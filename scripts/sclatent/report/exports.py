"""Results for other programs: a data set with what every model made of it in one AnnData, and tables as Parquet."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from sclatent.common.errors import UserError
from sclatent.io.atomic import replacing
from sclatent.io.by_seed import arrays_of, best_seed, failures_of, losses_of, umap_key
from sclatent.io.contracts import TABLES
from sclatent.io.provenance import as_text

CLUSTERINGS = {"kmeans": "kmeans_latent", "louvain": "louvain_latent", "leiden": "leiden_latent"}
ARROW_TYPES = {"text": pa.string(), "whole": pa.int64(), "real": pa.float64()}


def add_model(
    adata: ad.AnnData,
    model: str,
    latents: ad.AnnData,
    tsne: ad.AnnData,
    umap: ad.AnnData,
    clusters: pd.DataFrame,
) -> dict:
    """Add to adata, in place, what the best seed of a model made of its cells; return that seed, by what it was chosen, failures.

    latents, tsne, umap: AnnData of the kinds "latents", "embedding" and "umap" with the cells of adata. clusters: table of the
    kind "clusters". Slots are those of the kind "export". A model of which every seed failed adds nothing. Raises UserError where
    another model has a slot of the same name.
    """
    choice = {
        "loss": {str(seed): loss for seed, loss in losses_of(latents).items()},
        "loss_cells": latents.uns["loss_cells"],
        "failed": {str(seed): reason for seed, reason in failures_of(latents).items()},
    }
    seed = best_seed(latents)
    if seed is None:
        return choice
    of_seed = {
        name: array
        for (name, of), array in (arrays_of(latents) | arrays_of(tsne)).items()
        if of == seed
    }
    slots = {
        f"X_{model}": of_seed["mean"],
        f"X_{model}_umap": umap.obsm[umap_key(model, seed)],
        f"X_{model}_tsne": of_seed["tsne_2d"],
        f"X_{model}_tsne_3d": of_seed["tsne_3d"],
    }
    if "responsibilities" in of_seed:
        slots[f"{model}_responsibilities"] = of_seed["responsibilities"]
        slots |= {f"X_{model}_w": of_seed["w_mean"]} if of_seed["w_mean"].shape[1] else {}
    for slot, values in slots.items():
        if slot in adata.obsm:
            raise UserError(
                f"obsm['{slot}'] is of the model '{model}' and of another model, too; rename one of the two"
            )
        adata.obsm[slot] = values
    for column, values in _labels_of(
        of_seed, clusters[clusters["seed"] == seed], adata.obs_names
    ).items():
        adata.obs[f"{model}_{column}"] = values
    return {"seed": seed, **choice}


def write_parquet(table: pd.DataFrame, path: str | Path, kind: str, provenance: dict) -> None:
    """Write a table of a kind named in `sclatent.io.contracts` as Parquet, its provenance as JSON text in the schema's metadata.

    Columns are string, int64 or float64; a missing value is null, and columns of which none may be missing cannot hold one.
    Raises ValueError, and writes nothing, where one does. pandas reads the types of `sclatent.io.tables.read_table`.
    """
    fields = [
        pa.field(name, ARROW_TYPES[column.type], nullable=column.optional)
        for name, column in TABLES[kind].items()
    ]
    arrow = pa.Table.from_pandas(table, pa.schema(fields), preserve_index=False)
    arrow = arrow.replace_schema_metadata(
        {**arrow.schema.metadata, "provenance": as_text(provenance)}
    )
    with replacing(path) as temporary:
        parquet.write_table(arrow, temporary)


def _labels_of(of_seed: dict[str, np.ndarray], clusters: pd.DataFrame, cells: pd.Index) -> dict:
    """Return the clusters (n,) of the mean latent by method and, of a mixture, the component of each cell and its share."""
    of_mean = clusters[clusters["latent"] == "mean"].set_index("method")
    found = {}
    for column, method in CLUSTERINGS.items():
        found[column] = _as_text(
            of_mean.loc[method].set_index("cell")["cluster"].loc[cells].to_numpy()
        )
    if "responsibilities" in of_seed:
        shares = of_seed["responsibilities"]
        found |= {
            "component": _as_text(shares.argmax(axis=1)),
            "responsibility": shares.max(axis=1),
        }
    return found


def _as_text(numbers: np.ndarray) -> pd.Categorical:
    """Return whole numbers as categories of text that are in the order of the numbers."""
    return pd.Categorical(numbers.astype(str), categories=np.unique(numbers).astype(str))
