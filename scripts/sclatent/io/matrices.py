"""AnnData files with a written contract and their provenance in `uns`."""

import fnmatch
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from sclatent.io.atomic import replacing, whole
from sclatent.io.blocks import h5_matrix, is_lazy, row_blocks
from sclatent.io.contracts import MATRICES, Slot
from sclatent.io.provenance import as_text


def write_matrix(adata: ad.AnnData, path: str | Path, kind: str, provenance: dict) -> None:
    """Write an AnnData of a kind named in `sclatent.io.contracts`, provenance in uns["provenance"] as JSON text.

    Raises ValueError, and writes nothing, where it breaks its contract.
    """
    for slot in MATRICES[kind]:
        _check(adata, kind, slot)
    adata.uns["provenance"] = as_text(provenance)
    with replacing(path) as temporary:
        adata.write_h5ad(temporary, compression="gzip")


def read_matrix(path: str | Path) -> ad.AnnData:
    """Read an AnnData file. Raises UserError where it is missing or cannot be read."""
    with whole(path, ".h5ad file"):
        return ad.read_h5ad(path)


def read_large_matrix(path: str | Path) -> ad.AnnData:
    """Read an AnnData file of the kind "counts", with lazy matrices where they are large; errors as in `read_matrix`."""
    with whole(path, ".h5ad file"), h5py.File(path) as file:
        adata = ad.AnnData(
            obs=ad.io.read_elem(file["obs"]),
            var=ad.io.read_elem(file["var"]),
            uns=ad.io.read_elem(file["uns"]),
        )
        places = ["X"] * ("X" in file) + [f"layers/{name}" for name in file["layers"]]
        for place in places:
            values = h5_matrix(path, place)
            if place == "X":
                adata.X = values
            else:
                adata.layers[place.removeprefix("layers/")] = values
    return adata


def read_obs(path: str | Path) -> pd.DataFrame:
    """Read the table of cells of an AnnData file and nothing else; errors as in `read_matrix`."""
    with whole(path, ".h5ad file"), h5py.File(path) as file:
        return ad.io.read_elem(file["obs"])


def _check(adata: ad.AnnData, kind: str, slot: Slot) -> None:
    where, _, pattern = slot.path.partition("/")
    holder = (
        {"": adata.X}
        if where == "X" and adata.X is not None
        else {}
        if where == "X"
        else getattr(adata, where)
    )
    names = fnmatch.filter(holder.keys(), pattern)
    if not names and "*" not in slot.path and not slot.optional:
        raise ValueError(f"{kind}: {slot.path} is missing")
    for name in names:
        _check_form(holder[name], f"{kind}: {where}/{name}".rstrip("/"), slot)


def _check_form(values, where: str, slot: Slot) -> None:
    layout, _, dtype = slot.form.rpartition(" ")
    if slot.form in ("text", "text or missing"):
        fits = isinstance(values.dtype, pd.CategoricalDtype) and (
            slot.form != "text" or not values.isna().any()
        )
    else:
        fits = values.dtype == dtype
        if layout == "csr":
            kind = values._meta if is_lazy(values) else values
            fits = fits and sparse.issparse(kind) and kind.format == "csr"
        if layout == "dense":
            fits = fits and isinstance(values, np.ndarray)
    if not fits:
        raise ValueError(f"{where} is not {slot.form}")
    if layout == "csr":
        for _, block in row_blocks(values):
            _check_values(block.data, where, slot)
    elif layout == "dense":
        _check_values(values, where, slot)


def _check_values(values: np.ndarray, where: str, slot: Slot) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{where} holds values that are not finite")
    if slot.path == "layers/counts" and (values < 0).any():
        raise ValueError(f"{where} holds negative counts")
