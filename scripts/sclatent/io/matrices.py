"""AnnData files that follow a contract and carry their provenance in `uns`."""

import fnmatch
from collections.abc import Mapping
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from sclatent.common.vocabulary import TRAIN
from sclatent.io.atomic import replacing, whole
from sclatent.io.blocks import h5_matrix, is_lazy, row_blocks
from sclatent.io.contracts import MATRICES, Slot
from sclatent.io.hdf5 import frame, group
from sclatent.io.provenance import as_text


def write_matrix(adata: ad.AnnData, path: str | Path, kind: str, provenance: dict) -> None:
    """Write an AnnData file, whole or not at all.

    Parameters
    ----------
    adata
        The content. Its uns["provenance"] is set.
    path
        The file.
    kind
        Key of `sclatent.io.contracts.MATRICES`.
    provenance
        What `sclatent.io.provenance.describe` returned; it is stored as JSON text.

    Raises
    ------
    ValueError
        If the content breaks its contract. Nothing is written then.
    UserError
        If the disk is full or cannot be written to.
    """
    for slot in MATRICES[kind]:
        _check(adata, kind, slot)
    adata.uns["provenance"] = as_text(provenance)
    with replacing(path) as temporary:
        adata.write_h5ad(temporary, compression="gzip")


def read_matrix(path: str | Path) -> ad.AnnData:
    """Read an AnnData file.

    Raises
    ------
    UserError
        If the file is missing or not whole.
    """
    with whole(path, ".h5ad file"):
        return ad.read_h5ad(path)


def read_large_matrix(path: str | Path) -> ad.AnnData:
    """Read a file of the kind "counts", with lazy matrices if they are large.

    Raises
    ------
    UserError
        If the file is missing or not whole.
    """
    with whole(path, ".h5ad file"), h5py.File(path) as file:
        uns = ad.io.read_elem(group(file, "uns"))
        if not isinstance(uns, Mapping):
            raise TypeError("uns is not a mapping")
        adata = ad.AnnData(obs=frame(file, "obs"), var=frame(file, "var"), uns=uns)
        if "X" in file:
            adata.X = h5_matrix(path, "X")
        for name in map(str, group(file, "layers")):
            adata.layers[name] = h5_matrix(path, f"layers/{name}")
    return adata


def read_obs(path: str | Path) -> pd.DataFrame:
    """Read the table of cells of an AnnData file, and nothing else.

    Raises
    ------
    UserError
        If the file is missing or not whole.
    """
    with whole(path, ".h5ad file"), h5py.File(path) as file:
        return frame(file, "obs")


def in_training(obs) -> np.ndarray:
    """Return which cells (n,) are for training, from a table of cells with the column split."""
    return (obs["split"] == TRAIN).to_numpy()


def _check(adata: ad.AnnData, kind: str, slot: Slot) -> None:
    """Raise ValueError if a slot is missing or not as its contract says."""
    place, _, pattern = slot.path.partition("/")
    holder = {"": adata.X} if place == "X" else getattr(adata, place)
    present = [name for name in holder if holder[name] is not None]
    names = fnmatch.filter(present, pattern)
    if not names and "*" not in slot.path and not slot.optional:
        raise ValueError(f"{kind}: {slot.path} is missing")
    for name in names:
        _check_form(holder[name], f"{kind}: {place}/{name}".rstrip("/"), slot)


def _check_form(values, name: str, slot: Slot) -> None:
    layout, _, dtype = slot.form.rpartition(" ")
    if slot.form in ("text", "text or missing"):
        fits = isinstance(values.dtype, pd.CategoricalDtype) and (
            slot.form != "text" or not values.isna().any()
        )
    else:
        fits = values.dtype == dtype
        if layout == "csr":
            sample = values._meta if is_lazy(values) else values
            fits = fits and sparse.issparse(sample) and sample.format == "csr"
        if layout == "dense":
            fits = fits and isinstance(values, np.ndarray)
    if not fits:
        raise ValueError(f"{name} is not {slot.form}")
    if layout == "csr":
        for _, block in row_blocks(values):
            _check_values(block.data, name, slot)
    elif layout == "dense":
        _check_values(values, name, slot)


def _check_values(values: np.ndarray, name: str, slot: Slot) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds values that are not finite")
    if slot.path == "layers/counts" and (values < 0).any():
        raise ValueError(f"{name} holds negative counts")
