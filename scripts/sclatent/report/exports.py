"""Results for other programs: a data set with what every model made of it as one AnnData, and
tables as Parquet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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

# The exported clusterings of the mean latent: name of the column, and method in tables of clusters.
EXPORTED_METHODS = {
    "kmeans": "kmeans_latent",
    "louvain": "louvain_latent",
    "leiden": "leiden_latent",
}
ARROW_TYPES = {"text": pa.string(), "whole": pa.int64(), "real": pa.float64()}


def add_model(
    adata: ad.AnnData,
    model: str,
    latents: ad.AnnData,
    tsne: ad.AnnData,
    umap: ad.AnnData,
    clusters: pd.DataFrame,
) -> dict[str, Any]:
    """Add to adata, in place, what the best seed of a model made of its cells.

    If every seed of the model failed, nothing is added.

    Parameters
    ----------
    adata
        Gets the slots of the kind "export".
    model
        Name of the model.
    latents, tsne, umap
        AnnData of the kinds "latents", "embedding" and "umap", with the cells of adata.
    clusters
        Table of the kind "clusters".

    Returns
    -------
    "loss" of each seed, by which the best one is chosen, "loss_cells" (the cells of that loss),
    "failed" (reasons of failed seeds) and "seed" (the best one; missing if all failed).

    Raises
    ------
    UserError
        If another model has a slot of the same name.
    """
    choice = {
        "loss": {str(seed): loss for seed, loss in losses_of(latents).items()},
        "loss_cells": latents.uns["loss_cells"],
        "failed": {str(seed): reason for seed, reason in failures_of(latents).items()},
    }
    best = best_seed(latents)
    if best is None:
        return choice
    arrays = {
        name: array
        for (name, seed), array in (arrays_of(latents) | arrays_of(tsne)).items()
        if seed == best
    }
    slots = {
        f"X_{model}": arrays["mean"],
        f"X_{model}_umap": umap.obsm[umap_key(model, best)],
        f"X_{model}_tsne": arrays["tsne_2d"],
        f"X_{model}_tsne_3d": arrays["tsne_3d"],
    }
    if "responsibilities" in arrays:
        slots[f"{model}_responsibilities"] = arrays["responsibilities"]
        if arrays["w_mean"].shape[1]:
            slots[f"X_{model}_w"] = arrays["w_mean"]
    for slot, values in slots.items():
        if slot in adata.obsm:
            raise UserError(
                f"model '{model}' and another model would both be exported as obsm['{slot}']; "
                "rename one of the two"
            )
        adata.obsm[slot] = values
    of_mean = clusters.loc[(clusters["seed"] == best) & (clusters["latent"] == "mean")]
    for column, labels in _labels(arrays, of_mean, adata.obs_names).items():
        adata.obs[f"{model}_{column}"] = labels
    return {"seed": best, **choice}


def write_parquet(
    table: pd.DataFrame, path: str | Path, kind: str, provenance: Mapping[str, Any]
) -> None:
    """Write a table as Parquet, with its provenance as JSON text in the metadata of its schema.

    pandas reads it with the types that `sclatent.io.tables.read_table` returns.

    Parameters
    ----------
    table
        Columns become string, int64 or float64. A missing value becomes null.
    path
        File to write.
    kind
        Kind of the table, as named in `sclatent.io.contracts`.
    provenance
        Becomes metadata.

    Raises
    ------
    ValueError
        If a value is missing in a column that must not lack any; nothing is written.
    """
    fields = [
        pa.field(name, ARROW_TYPES[column.type], nullable=column.optional)
        for name, column in TABLES[kind].items()
    ]
    arrow = pa.Table.from_pandas(table, pa.schema(fields), preserve_index=False)
    arrow = arrow.replace_schema_metadata(
        {**arrow.schema.metadata, "provenance": as_text(dict(provenance))}
    )
    with replacing(path) as temporary:
        parquet.write_table(arrow, temporary)


def _labels(
    arrays: Mapping[str, np.ndarray], clusters: pd.DataFrame, cells: pd.Index
) -> dict[str, pd.Categorical | np.ndarray]:
    """Return labels (n,) of cells by name: clusters by method; the components of a mixture.

    arrays: those of a seed by name. clusters: those of its mean latent.
    """
    labels: dict[str, pd.Categorical | np.ndarray] = {}
    by_method = clusters.set_index("method")
    for column, method in EXPORTED_METHODS.items():
        numbers = by_method.loc[method].set_index("cell")["cluster"].loc[cells].to_numpy()
        labels[column] = _as_categories(numbers)
    if "responsibilities" in arrays:
        shares = arrays["responsibilities"]
        labels["component"] = _as_categories(shares.argmax(axis=1))
        labels["responsibility"] = shares.max(axis=1)
    return labels


def _as_categories(numbers: np.ndarray) -> pd.Categorical:
    """Return whole numbers as categories of text, in the order of the numbers."""
    return pd.Categorical(numbers.astype(str), categories=np.unique(numbers).astype(str))
