"""AnnData files with a written contract and their provenance in `uns`."""

import fnmatch
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sclatent.atomic import replacing
from sclatent.contracts import MATRICES, Slot
from sclatent.errors import UserError
from sclatent.provenance import as_text


def write_matrix(adata: ad.AnnData, path: str | Path, kind: str, provenance: dict) -> None:
    """Write an AnnData of a kind named in `sclatent.contracts`, provenance in uns["provenance"] as JSON text.

    Raises ValueError, and writes nothing, where it breaks its contract.
    """
    for slot in MATRICES[kind]:
        _check(adata, kind, slot)
    adata.uns["provenance"] = as_text(provenance)
    with replacing(path) as temporary:
        adata.write_h5ad(temporary, compression="gzip")


def read_matrix(path: str | Path) -> ad.AnnData:
    """Read an AnnData file. Raises UserError where it is missing or cannot be read."""
    try:
        return ad.read_h5ad(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; make it first: snakemake {path}") from error
    except (OSError, KeyError) as error:
        raise UserError(f"{path} is not a whole .h5ad file ({error}); delete it and run again") from error


def _check(adata: ad.AnnData, kind: str, slot: Slot) -> None:
    where, _, pattern = slot.path.partition("/")
    holder = {"X": adata.X} if where == "X" else getattr(adata, where)
    names = fnmatch.filter(holder.keys(), pattern or "X")
    if not names and "*" not in slot.path:
        raise ValueError(f"{kind}: {slot.path} is missing")
    for name in names:
        _check_form(holder[name], f"{kind}: {where}/{name}", slot)


def _check_form(values, where: str, slot: Slot) -> None:
    layout, _, dtype = slot.form.rpartition(" ")
    if dtype == "text":
        fits = isinstance(values.dtype, pd.CategoricalDtype) and not values.isna().any()
    else:
        fits = values.dtype == dtype
        if layout == "csr":
            fits = fits and sparse.issparse(values) and values.format == "csr"
        if layout == "dense":
            fits = fits and isinstance(values, np.ndarray)
    if not fits:
        raise ValueError(f"{where} is not {slot.form}")
    if layout:
        stored = values.data if layout == "csr" else values
        if not np.isfinite(stored).all():
            raise ValueError(f"{where} holds values that are not finite")
        if slot.path == "layers/counts" and (stored < 0).any():
            raise ValueError(f"{where} holds negative counts")
