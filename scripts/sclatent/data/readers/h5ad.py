"""Reader of AnnData files."""

from pathlib import Path
from typing import cast

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from sclatent.common.errors import UserError, nearest
from sclatent.data.readers.common import Files, check_hdf5, named
from sclatent.io.blocks import Matrix, h5_matrix
from sclatent.io.hdf5 import array, frame, group


def read_h5ad(files: Files, layer: str | None = None) -> ad.AnnData:
    """Read counts, obs and var of an AnnData file, and nothing else of it.

    Parameters
    ----------
    files
        "counts": the file.
    layer
        Where the counts are: None for X, "raw" for raw.X, else the name of a layer.

    Returns
    -------
    ad.AnnData
        uns["layers"] names the layers of the file, raw included.

    Raises
    ------
    UserError
        If the file has no such layer, or if this holds no numbers.
    """
    (path,) = files["counts"]
    check_hdf5(path, ".h5ad")
    with h5py.File(path) as file:
        if _is_legacy(file):
            return _read_legacy(path, layer)
        place = {None: "X", "raw": "raw/X"}.get(layer, f"layers/{layer}")
        layers = ["raw"] if "raw/X" in file else []
        if "layers" in file:
            layers += map(str, group(file, "layers"))
        if place not in file:
            raise _no_layer(path, layer, layers)
        obs, var = frame(file, "obs"), frame(file, "raw/var" if layer == "raw" else "var")
    adata = named(_stored_matrix(path, place), obs, var)
    adata.uns["layers"] = layers
    return adata


def read_obs_of_h5ad(path: Path) -> pd.DataFrame:
    """Read obs of an AnnData file."""
    with h5py.File(path) as file:
        if not _is_legacy(file):
            return frame(file, "obs")
    return _frame(ad.read_h5ad(path).obs)


def _is_legacy(file: h5py.File) -> bool:
    """Return whether a file is from before anndata 0.7, which had tables of another form."""
    return isinstance(file.get("obs"), h5py.Dataset)


def _read_legacy(path: Path, layer: str | None) -> ad.AnnData:
    """Read a file from before anndata 0.7 by anndata's own rules, whole: such files are small."""
    whole = ad.read_h5ad(path)
    values, var = whole.X if layer is None else whole.layers.get(layer), whole.var
    if layer == "raw" and whole.raw is not None:
        values, var = whole.raw.X, whole.raw.var
    layers = [*(["raw"] if whole.raw is not None else []), *whole.layers]
    if values is None:
        raise _no_layer(path, layer, layers)
    adata = named(values, _frame(whole.obs), _frame(var))
    adata.uns["layers"] = layers
    return adata


def _frame(table) -> pd.DataFrame:
    """Return obs or var, which anndata declares as another type for tables that it reads lazily."""
    return cast(pd.DataFrame, table)


def _no_layer(path: Path, layer: str | None, layers: list[str]) -> UserError:
    if not layers:
        return UserError(
            f"{path} has no {'X' if layer is None else f'layer {layer!r}'} and no layers; "
            "is it an .h5ad with counts?"
        )
    if layer is None:
        return UserError(
            f"{path} has no X; name the layer with the counts{nearest('counts', layers)}"
        )
    return UserError(f"{path} has no layer '{layer}'{nearest(layer, layers)}")


def _stored_matrix(path: Path, place: str) -> Matrix:
    """Read a matrix as `h5_matrix` does, with numbers that scipy can compute with.

    These are neither half precision nor in the byte order of another kind of processor.
    """
    with h5py.File(path) as file:
        is_dense = isinstance(file[place], h5py.Dataset)
        if is_dense:
            parts = [array(file, place)]
        else:
            item = group(file, place)
            parts = [array(item, name) for name in ("data", "indices", "indptr")]
        if parts[0].dtype.kind not in "biuf":
            raise UserError(
                f"{path}: {place} holds values of type {parts[0].dtype}, no counts; "
                "name the layer that holds them"
            )
        dtypes = [_computable(part.dtype) for part in parts]
        as_stored = dtypes == [part.dtype for part in parts]
        if as_stored:
            matrix = h5_matrix(path, place)
        elif is_dense:
            matrix = cast(Matrix, h5_matrix(path, place).astype(dtypes[0]))
        else:
            form = str(group(file, place).attrs["encoding-type"])
            kind = {"csr_matrix": sparse.csr_matrix, "csc_matrix": sparse.csc_matrix}[form]
            values = [part.astype(dtype)[:] for part, dtype in zip(parts, dtypes, strict=True)]
            shape = tuple(np.asarray(group(file, place).attrs["shape"]))
            matrix = kind((values[0], values[1], values[2]), shape=shape)
    if isinstance(matrix, sparse.csr_matrix | sparse.csc_matrix):
        # Computing with columns that are not there would crash the process.
        matrix.check_format(full_check=True)
    return matrix


def _computable(dtype: np.dtype) -> np.dtype:
    """Return the type with which scipy computes: native byte order, single precision or better."""
    native = dtype.newbyteorder("=")
    return np.dtype(np.float32) if native == np.float16 else native
