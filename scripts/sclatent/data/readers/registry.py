"""Readers: from the files of a data set to an AnnData as the source has it, one function a format.

X holds the counts (n_obs, n_vars), CSR, or lazy where they are many; obs and var hold the columns of the source. Nothing is
checked or mended here beyond what reading needs: `sclatent.data.ingest` does that.
"""

import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import io, sparse

from sclatent.common.errors import UserError, nearest
from sclatent.config.formats import LABELLED, MATRIX_PARTS, part_of_matrix
from sclatent.data.readers.blobs import make_blobs
from sclatent.data.readers.common import Files, named, readable
from sclatent.data.readers.published import (
    read_digits,
    read_geo_kang,
    read_idx,
    read_pbmc68k_reduced,
)
from sclatent.io.blocks import h5_matrix


def read(format: str, files: Files, **options) -> ad.AnnData:
    """Read a data set of a format named in `sclatent.config.formats.ROLES` from its files by role; a folder is given as its files.

    options: what the format's reader takes beside files. uns["labelled"] says whether the format names labels itself. Raises
    UserError where a file is empty, broken or of another format.
    """
    for paths in files.values():
        if len(paths) > 1 and format != "10x_mtx":
            raise UserError(
                f"{paths[0].parent} is a folder, but format {format} takes a file; format: 10x_mtx takes folders"
            )
    with readable(format, [path for paths in files.values() for path in paths]):
        adata = READERS[format](files, **options)
    adata.uns["labelled"] = format in LABELLED
    return adata


def read_h5ad(files: Files, layer: str | None = None) -> ad.AnnData:
    """Read counts, obs and var of an AnnData file; the counts from X, from a layer, or from raw.X for layer "raw".

    The rest of the file is not read.
    """
    (path,) = files["counts"]
    _check_hdf5(path, ".h5ad")
    with h5py.File(path) as file:
        if isinstance(
            file.get("obs"), h5py.Dataset
        ):  # written before anndata 0.7: small, and read by anndata's own rules
            return _legacy(path, layer)
        place = {None: "X", "raw": "raw/X"}.get(layer, f"layers/{layer}")
        known = [*(["raw"] if "raw/X" in file else []), *file.get("layers", [])]
        if place not in file:
            raise _no_layer(path, layer, known)
        obs = ad.io.read_elem(file["obs"])
        var = ad.io.read_elem(file["raw/var" if layer == "raw" else "var"])
    adata = named(_stored_matrix(path, place), obs, var)
    adata.uns["layers"] = known
    return adata


def read_10x_h5(files: Files) -> ad.AnnData:
    """Read a matrix of Cell Ranger in HDF5, of version 2 or 3; genes are named by their symbols, with gene_ids in var.

    Of the features of version 3 the gene expression is kept.
    """
    (path,) = files["counts"]
    _check_hdf5(path, "10x .h5")
    with h5py.File(path) as file:
        held = sorted(name for name, item in file.items() if isinstance(item, h5py.Group))
        if "matrix" not in held and len(held) != 1:
            raise UserError(
                f"{path} must hold one matrix of Cell Ranger, but holds: {', '.join(held[:5]) or 'none'}; is it of another "
                "format, or of two genomes?"
            )
        matrix = file["matrix" if "matrix" in held else held[0]]
        version_3 = "features" in matrix
        ids, symbols = ("features/id", "features/name") if version_3 else ("genes", "gene_names")
        parts = tuple(matrix[part][:] for part in ("data", "indices", "indptr"))
        values = sparse.csr_matrix(
            parts, shape=tuple(matrix["shape"][:][::-1])
        )  # stored genes x cells, by columns
        values.check_format(full_check=True)
        obs = pd.DataFrame(index=matrix["barcodes"].asstr()[:])
        var = pd.DataFrame({"gene_ids": matrix[ids].asstr()[:]}, index=matrix[symbols].asstr()[:])
        kinds = matrix["features/feature_type"].asstr()[:] if version_3 else None
    return _gene_expression(named(values, obs, var), kinds)


def read_10x_mtx(files: Files) -> ad.AnnData:
    """Read a matrix folder of Cell Ranger, given as its files or as a tar archive that holds one.

    Layouts: matrix.mtx, barcodes.tsv and genes.tsv (version 2) or features.tsv (version 3), each gzipped or not. Of the
    features of version 3 the gene expression is kept. Genes are named by their symbols, with gene_ids in var.
    """
    paths = files["counts"]
    archive = paths[0]
    if len(paths) > 1 or not (
        archive.name.lower().endswith((".tar", ".tar.gz", ".tgz")) or tarfile.is_tarfile(archive)
    ):
        return _matrix_folder(paths, archive.parent)
    with _extracted(archive) as folder:
        held = [path for path in folder.rglob("*") if path.is_file()]
        found = sorted({path.parent for path in held if part_of_matrix(path.name) == "matrix"})
        if len(found) != 1:
            names = ", ".join(str(path.relative_to(folder)) for path in found) or "none"
            raise UserError(
                f"{archive} must hold one folder with a matrix.mtx, but holds: {names}; extract the one you want"
            )
        return _matrix_folder(sorted(path for path in held if path.parent == found[0]), archive)


def read_loom(files: Files) -> ad.AnnData:
    """Read the main matrix of a loom file, whatever layers it has beside it."""
    (path,) = files["counts"]
    _check_hdf5(path, ".loom")
    adata = ad.io.read_loom(path, X_name="", dtype="float64", validate=False)
    for frame in (
        adata.obs,
        adata.var,
    ):  # anndata leaves the names in a column, by loompy's or by loom's own convention
        named = [
            name for name in ("obs_names", "var_names", "CellID", "Gene") if name in frame.columns
        ]
        if named:
            frame.index = frame.pop(named[0]).astype(str)
    return adata


def read_csv(files: Files) -> ad.AnnData:
    """Read a text table, cells in rows: names of cells in the first column, of genes in the first line; .csv or tabs."""
    (path,) = files["counts"]
    table = _text_table(path, {0: str})
    other = [
        at for at, dtype in enumerate(table.dtypes) if not pd.api.types.is_numeric_dtype(dtype)
    ]
    if other:
        column = table.iloc[:, other[0]]
        first = column[pd.to_numeric(column, errors="coerce").isna()]
        raise UserError(
            f"{path}: column '{column.name}' holds '{first.iloc[0]}' in row '{first.index[0]}', but a table of counts holds "
            "numbers only; labels go into a table of their own, files.annotation"
        )
    return named(
        sparse.csr_matrix(table.to_numpy()),
        pd.DataFrame(index=table.index),
        pd.DataFrame(index=table.columns),
    )


def read_blobs(files: Files, **parameters) -> ad.AnnData:
    """Draw the blobs of `sclatent.data.readers.blobs`; there are no files."""
    return make_blobs(**parameters)


READERS = {
    "h5ad": read_h5ad,
    "10x_h5": read_10x_h5,
    "10x_mtx": read_10x_mtx,
    "loom": read_loom,
    "csv": read_csv,
    "geo_kang": read_geo_kang,
    "idx": read_idx,
    "pbmc68k_reduced": read_pbmc68k_reduced,
    "digits": read_digits,
    "blobs": read_blobs,
}


def read_annotation(paths: list[Path]) -> pd.DataFrame:
    """Read a table with one row a cell: the obs of an .h5ad, or text (.csv, or tabs) whose first column names the cells.

    Raises UserError where the file is empty or broken, or a folder, given as its files.
    """
    if len(paths) > 1:
        raise UserError(
            f"{paths[0].parent} is a folder, but an annotation is a file; name the table in it"
        )
    (path,) = paths
    with readable("a table of annotations", [path]):
        if not path.name.lower().endswith(".h5ad"):
            return _text_table(path, str)
        with h5py.File(path) as file:
            if isinstance(file["obs"], h5py.Group):
                return ad.io.read_elem(file["obs"])
        return ad.read_h5ad(path).obs


def _check_hdf5(path: Path, kind: str) -> None:
    if not h5py.is_hdf5(path):
        raise UserError(
            f"{path} is not an HDF5 file, so no {kind}; was the download cut off, or is it another format?"
        )


def _legacy(path: Path, layer: str | None) -> ad.AnnData:
    """Read the counts of an AnnData file from before anndata 0.7."""
    whole = ad.read_h5ad(path)
    values, var = whole.X if layer is None else whole.layers.get(layer), whole.var
    if layer == "raw" and whole.raw is not None:
        values, var = whole.raw.X, whole.raw.var
    known = [*(["raw"] if whole.raw is not None else []), *whole.layers]
    if values is None:
        raise _no_layer(path, layer, known)
    adata = named(values, whole.obs, var)
    adata.uns["layers"] = known
    return adata


def _no_layer(path: Path, layer: str | None, known: list[str]) -> UserError:
    if not known:
        return UserError(
            f"{path} has no {'X' if layer is None else f'layer {layer!r}'} and no layers; is it an .h5ad with counts?"
        )
    if layer is None:
        return UserError(
            f"{path} has no X; name the layer with the counts{nearest('counts', known)}"
        )
    return UserError(f"{path} has no layer '{layer}'{nearest(layer, known)}")


def _stored_matrix(path: Path, place: str):
    """Return a matrix of an HDF5 file as `h5_matrix` does, its numbers in a form that scipy can compute with.

    That is neither half precision nor the byte order of another machine.
    """
    with h5py.File(path) as file:
        item = file[place]
        parts = (
            [item]
            if isinstance(item, h5py.Dataset)
            else [item[name] for name in ("data", "indices", "indptr")]
        )
        if parts[0].dtype.kind not in "biuf":
            raise UserError(
                f"{path}: {place} holds values of type {parts[0].dtype}, no counts; name the layer that holds them"
            )
        dtypes = [part.dtype.newbyteorder("=") for part in parts]
        dtypes = [np.dtype(np.float32) if dtype == np.float16 else dtype for dtype in dtypes]
        as_stored = dtypes == [part.dtype for part in parts]
        if not as_stored and len(parts) > 1:
            kind = {"csr_matrix": sparse.csr_matrix, "csc_matrix": sparse.csc_matrix}[
                item.attrs["encoding-type"]
            ]
            values = tuple(part.astype(dtype)[:] for part, dtype in zip(parts, dtypes, strict=True))
            matrix = kind(values, shape=tuple(item.attrs["shape"]))
        else:
            matrix = h5_matrix(path, place)
            matrix = matrix if as_stored else matrix.astype(dtypes[0])
    if sparse.issparse(matrix):
        matrix.check_format(
            full_check=True
        )  # computing with columns that are not there ends the process
    return matrix


def _gene_expression(adata: ad.AnnData, kinds: Iterable[str] | None) -> ad.AnnData:
    """Return the genes among features of the given kinds; all of them where no kinds are known."""
    return adata if kinds is None else adata[:, np.asarray(kinds) == "Gene Expression"].copy()


def _text_table(path: Path, dtype) -> pd.DataFrame:
    """Read text with names of rows in the first column and of columns in the first line; commas in a .csv, tabs elsewhere.

    Names stay as they are written, be they numbers, repeated or NA. The first line may be one name short, as R writes it.
    """
    form = {
        "sep": "," if ".csv" in path.name.lower() else "\t",
        "header": None,
        "keep_default_na": False,
    }
    header = pd.read_csv(path, nrows=1, dtype=str, **form).iloc[0].tolist()
    table = pd.read_csv(path, skiprows=1, dtype=dtype, **form)
    names = table.pop(0)
    if table.empty:
        raise UserError(
            f"{path} has one column only; a .csv has commas between its columns, any other table has tabs"
        )
    if len(header) - table.shape[1] not in (0, 1):
        raise UserError(
            f"{path} names {len(header)} columns in its first line, but has {table.shape[1] + 1}; write it again"
        )
    return table.set_axis(header[-table.shape[1] :], axis=1).set_axis(names, axis=0)


def _matrix_folder(paths: list[Path], where: Path) -> ad.AnnData:
    """Read the files of a matrix folder of Cell Ranger; where: what to call the folder."""
    found = {}
    for part, names in MATRIX_PARTS.items():
        fitting = [path for path in paths if part_of_matrix(path.name) == part]
        if len(fitting) != 1:
            raise UserError(
                f"{where} needs one {' or '.join(names)}, gzipped or not, but has "
                f"{' and '.join(path.name for path in fitting) or 'none'}; "
                "name the folder that holds matrix.mtx, barcodes.tsv and features.tsv or genes.tsv"
            )
        (found[part],) = fitting
    content, form = {}, {"sep": "\t", "header": None, "dtype": str, "keep_default_na": False}
    for part, path in found.items():
        with readable("a part of a 10x matrix", [path], called=where / path.name):
            content[part] = io.mmread(str(path)) if part == "matrix" else pd.read_csv(path, **form)
    values, barcodes, genes = content["matrix"].T, content["barcodes"], content["genes"]
    if values.shape != (len(barcodes), len(genes)):
        raise UserError(
            f"{where / found['matrix'].name} holds {values.shape[0]} cells and {values.shape[1]} genes, but there are "
            f"{len(barcodes)} barcodes and {len(genes)} genes in the tables beside it; bring the folder again"
        )
    symbols = genes[1] if genes.shape[1] > 1 else genes[0]
    var = pd.DataFrame({"gene_ids": genes[0].to_numpy()}, index=symbols.to_numpy())
    return _gene_expression(
        named(sparse.csr_matrix(values), pd.DataFrame(index=barcodes[0].to_numpy()), var),
        genes.get(2),
    )


@contextmanager
def _extracted(archive: Path) -> Iterator[Path]:
    """Yield a temporary folder with what an archive holds, removed afterwards; no member is written outside of it."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as file:
        try:
            file.extractall(folder, filter=_inside)
        except tarfile.FilterError as error:
            raise UserError(
                f"{archive} is not safe to open: {error}; bring it from its source again, or extract it yourself"
            ) from error
        while file.fileobj.read(
            1 << 20
        ):  # to the end, where gzip has the checksum of what was unpacked
            pass
        yield Path(folder)


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """Refuse a member that would be written outside of a folder; the filter of the standard library moves some inside.

    Links are refused wherever they point: Python 3.11.12 and older can be made to follow them outside (CVE-2025-4517).
    """
    if member.issym() or member.islnk():
        raise tarfile.FilterError(f"'{member.name}' is a link, which can lead outside")
    if Path(member.name).is_absolute():
        raise tarfile.AbsolutePathError(member)
    return tarfile.data_filter(member, folder)
