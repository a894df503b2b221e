"""Readers of Cell Ranger's matrices: HDF5 files, folders and archives."""

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

from sclatent.common.errors import UserError
from sclatent.config.formats import MATRIX_PARTS, part_of_matrix
from sclatent.data.readers.common import Files, check_hdf5, named, readable
from sclatent.io.hdf5 import array, group, texts


def read_10x_h5(files: Files) -> ad.AnnData:
    """Read a matrix of Cell Ranger in HDF5, of version 2 or 3.

    Scanpy's reader is not used because it stores counts as float32, which changes whole numbers
    above 2**24, and does not check that indices lie inside the matrix.

    Parameters
    ----------
    files
        "counts": the file.

    Returns
    -------
    ad.AnnData
        Genes are named by their symbols, with gene_ids in var. Only features of the kind Gene
        Expression are kept, if the file tells kinds (version 3).

    Raises
    ------
    UserError
        If the file does not hold exactly one matrix.
    """
    (path,) = files["counts"]
    check_hdf5(path, "10x .h5")
    with h5py.File(path) as file:
        names = sorted(name for name, item in file.items() if isinstance(item, h5py.Group))
        if "matrix" not in names and len(names) != 1:
            raise UserError(
                f"{path} must hold one matrix of Cell Ranger, but holds: "
                f"{', '.join(names[:5]) or 'none'}; is it of another format, or of two genomes?"
            )
        matrix = group(file, "matrix" if "matrix" in names else names[0])
        version_3 = "features" in matrix
        ids, symbols = ("features/id", "features/name") if version_3 else ("genes", "gene_names")
        # Genes x cells, stored by columns, which is cells x genes, stored by rows.
        data, indices, indptr = (array(matrix, name)[:] for name in ("data", "indices", "indptr"))
        shape = tuple(array(matrix, "shape")[:][::-1])
        values = sparse.csr_matrix((data, indices, indptr), shape=shape)
        values.check_format(full_check=True)
        obs = pd.DataFrame(index=pd.Index(texts(matrix, "barcodes")))
        var = pd.DataFrame({"gene_ids": texts(matrix, ids)}, index=pd.Index(texts(matrix, symbols)))
        kinds = texts(matrix, "features/feature_type") if version_3 else None
    return _gene_expression(named(values, obs, var), kinds)


def read_10x_mtx(files: Files) -> ad.AnnData:
    """Read a matrix folder of Cell Ranger, or a tar archive that holds one.

    A folder has matrix.mtx, barcodes.tsv and genes.tsv (version 2) or features.tsv (version 3),
    each gzipped or not and with any prefix. Scanpy's reader is not used because it wants version 2
    plain and version 3 gzipped, stores counts as float32, and reads the names 001 and NA as 1.0 and
    a missing value.

    Parameters
    ----------
    files
        "counts": the files of the folder, or the archive.

    Returns
    -------
    ad.AnnData
        As `read_10x_h5`.

    Raises
    ------
    UserError
        If a part is missing, broken or there twice, if the parts do not fit each other, or if an
        archive is not safe to open or does not hold exactly one folder with a matrix.
    """
    paths = files["counts"]
    archive = paths[0]
    if len(paths) > 1 or not _is_tar(archive):
        return _read_folder(paths, archive.parent)
    with _extracted(archive) as folder:
        members = [path for path in folder.rglob("*") if path.is_file()]
        folders = sorted({path.parent for path in members if part_of_matrix(path.name) == "matrix"})
        if len(folders) != 1:
            names = ", ".join(str(path.relative_to(folder)) for path in folders) or "none"
            raise UserError(
                f"{archive} must hold one folder with a matrix.mtx, but holds: {names}; "
                "extract the one you want"
            )
        return _read_folder(sorted(path for path in members if path.parent == folders[0]), archive)


def _gene_expression(adata: ad.AnnData, kinds: Iterable[str] | None) -> ad.AnnData:
    """Keep the features of the kind Gene Expression; all of them if no kinds are known."""
    return adata if kinds is None else adata[:, np.asarray(kinds) == "Gene Expression"].copy()


def _read_folder(paths: list[Path], name: Path) -> ad.AnnData:
    """Read the files of a matrix folder; name: what messages call the folder."""
    path_of = {part: _only_part(part, paths, name) for part in MATRIX_PARTS}
    with _readable_part(path_of["matrix"], name):
        values = io.mmread(str(path_of["matrix"])).T
    tables, form = {}, {"sep": "\t", "header": None, "dtype": str, "keep_default_na": False}
    for part in ("barcodes", "genes"):
        with _readable_part(path_of[part], name):
            tables[part] = pd.read_csv(path_of[part], **form)
    barcodes, genes = tables["barcodes"], tables["genes"]
    shape = tuple(values.shape)
    if shape != (len(barcodes), len(genes)):
        raise UserError(
            f"{name / path_of['matrix'].name} holds {shape[0]} cells and {shape[1]} genes, but "
            f"there "
            f"are {len(barcodes)} barcodes and {len(genes)} genes in the tables beside it; bring "
            "the folder again"
        )
    symbols = genes[1] if genes.shape[1] > 1 else genes[0]
    obs = pd.DataFrame(index=barcodes[0].to_numpy())
    var = pd.DataFrame({"gene_ids": genes[0].to_numpy()}, index=symbols.to_numpy())
    # Only now, because a matrix that claims a huge shape would take a huge array of row starts.
    return _gene_expression(named(sparse.csr_matrix(values), obs, var), genes.get(2))


def _only_part(part: str, paths: list[Path], name: Path) -> Path:
    """Return the one file that is a part of the matrix."""
    fitting = [path for path in paths if part_of_matrix(path.name) == part]
    if len(fitting) != 1:
        raise UserError(
            f"{name} needs one {' or '.join(MATRIX_PARTS[part])}, gzipped or not, but has "
            f"{' and '.join(path.name for path in fitting) or 'none'}; "
            "name the folder that holds matrix.mtx, barcodes.tsv and features.tsv or genes.tsv"
        )
    return fitting[0]


def _readable_part(path: Path, name: Path):
    return readable("a part of a 10x matrix", [path], called=name / path.name)


def _is_tar(path: Path) -> bool:
    by_name = path.name.lower().endswith((".tar", ".tar.gz", ".tgz"))
    return by_name or tarfile.is_tarfile(path)


@contextmanager
def _extracted(archive: Path) -> Iterator[Path]:
    """Extract an archive into a temporary folder, and nothing of it elsewhere."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(archive) as file:
        try:
            file.extractall(folder, filter=_inside)
        except tarfile.FilterError as error:
            raise UserError(
                f"{archive} is not safe to open: {error}; bring it from its source again, or "
                "extract it yourself"
            ) from error
        # The checksum of what was unpacked is at the end of a gzip file.
        while file.fileobj and file.fileobj.read(1 << 20):
            pass
        yield Path(folder)


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """Refuse a member outside of a folder; the standard library's filter would move some inside.

    Links are refused wherever they point: Python 3.11.12 and older can be made to follow them
    outside (CVE-2025-4517).
    """
    if member.issym() or member.islnk():
        raise tarfile.FilterError(f"'{member.name}' is a link, which can lead outside")
    if Path(member.name).is_absolute():
        raise tarfile.AbsolutePathError(member)
    return tarfile.data_filter(member, folder)
