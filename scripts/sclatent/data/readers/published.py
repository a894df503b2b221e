"""Readers of the published data sets that come in a form of their own; see `sclatent.data.readers.registry` for what they return."""

import gzip
import tarfile
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import io, sparse

from sclatent.common.errors import UserError
from sclatent.data.readers.common import Files, named, readable


def read_geo_kang(files: Files) -> ad.AnnData:
    """Read batch 2 of GEO series GSE96583 (Kang et al. 2018): control and stimulated cells, with the authors' labels.

    files: the series' raw archive, of which two matrices (genes x cells) with their barcodes are taken; the gene table
    (Ensembl, symbol); the cell table, whose rows are the control cells and then the stimulated ones in the order of the
    matrices. Its row names are the barcodes, a 1 appended where both matrices have the barcode.
    """
    (path,), (genes_path,), (cells_path,) = files["archive"], files["genes"], files["cells"]
    with readable("a table of genes", [genes_path]):
        genes = pd.read_csv(genes_path, sep="\t", header=None, names=["gene_ids", "symbol"])
    with readable("a table of cells", [cells_path]):
        cells = pd.read_csv(cells_path, sep="\t", index_col=0, dtype={"ind": str, "cluster": str})
    blocks, barcodes = [], []
    with readable("the series' raw archive", [path]), tarfile.open(path) as archive:
        for sample in ("GSM2560248_2.1", "GSM2560249_2.2"):
            with gzip.open(archive.extractfile(f"{sample}.mtx.gz")) as file:
                blocks.append(sparse.csr_matrix(io.mmread(file).T))
            with gzip.open(
                archive.extractfile(f"{sample.split('_')[0]}_barcodes.tsv.gz"), "rt"
            ) as file:
                barcodes += file.read().split()
    pairs = zip(cells.index.astype(str), barcodes, strict=False)
    other = [f"'{cell}' for '{barcode}'" for cell, barcode in pairs if not cell.startswith(barcode)]
    if other or len(cells) != len(barcodes):
        what = other[0] if other else f"{len(cells)} of them for {len(barcodes)}"
        raise UserError(
            f"{cells_path} lists other cells than the matrices in {path} ({what}); bring both again"
        )
    return named(sparse.vstack(blocks, format="csr"), cells, genes.set_index("symbol"))


def read_idx(files: Files) -> ad.AnnData:
    """Read images in the idx format of MNIST, gzipped or not: training images, then test images, which are held out.

    Returns images x pixels of 0 to 255 with obs cell_type (the class) and split.
    """
    images, labels = [], []
    for prefix in ("", "test_"):
        images.append(_idx_array(files[f"{prefix}images"][0], n_axes=3))
        labels.append(_idx_array(files[f"{prefix}labels"][0], n_axes=1))
        if len(images[-1]) != len(labels[-1]):
            raise UserError(
                f"{files[f'{prefix}images'][0]} has {len(images[-1])} images but {files[f'{prefix}labels'][0]} has "
                f"{len(labels[-1])} labels; bring the pair again"
            )
    n_train, n_test = map(len, labels)
    obs = pd.DataFrame(
        {
            "cell_type": np.concatenate(labels).astype(str),
            "split": ["train"] * n_train + ["held_out"] * n_test,
        },
        index=[f"train_{i:05d}" for i in range(n_train)] + [f"test_{i:05d}" for i in range(n_test)],
    )
    shape = images[0].shape[1:]
    pixels = np.concatenate(images).reshape(len(obs), -1)
    return named(sparse.csr_matrix(pixels), obs, pd.DataFrame(index=_pixel_names(*shape)))


def read_pbmc68k_reduced(files: Files) -> ad.AnnData:
    """Rebuild the counts of scanpy's pbmc68k_reduced from its log-normalised values.

    The file's raw.X is log(1 + 10,000 counts / n_counts), stored to three decimals or better, so a count v is off by at most
    5e-4 (v + n_counts / 10,000). Returns obs cell_type and pct_counts_mt (percent). Raises UserError where a rebuilt count is
    farther from a whole number than that.
    """
    (path,) = files["counts"]
    stored = ad.read_h5ad(path)
    per_count = stored.obs["n_counts"].to_numpy(np.float64) / 1e4
    values = stored.raw.X.astype(np.float64).expm1().multiply(per_count[:, None]).tocsr()
    whole = np.rint(values.data)
    off = np.abs(values.data - whole)
    bad = off > 5e-4 * (values.data + np.repeat(per_count, np.diff(values.indptr))) + 1e-3
    if bad.any():
        raise UserError(
            f"{path}: {bad.sum()} rebuilt counts are not whole numbers, the first is {values.data[bad][0]:.4f}; "
            "install the version of scanpy that requirements.lock names"
        )
    values.data = whole
    obs = pd.DataFrame(
        {
            "cell_type": stored.obs["bulk_labels"].astype(str),
            "pct_counts_mt": 100 * stored.obs["percent_mito"],
        }
    )
    return named(values, obs, pd.DataFrame(index=stored.raw.var_names))


def read_digits(files: Files) -> ad.AnnData:
    """Read scikit-learn's digits: 64 pixel intensities from 0 to 16 and the digit in the last column of a gzipped CSV.

    Returns images x pixels with obs cell_type (the digit). Raises UserError for any other table.
    """
    (path,) = files["counts"]
    with gzip.open(path) as file:
        table = np.loadtxt(file, delimiter=",")
    if table.ndim != 2 or table.shape[1] != 65:
        raise UserError(
            f"{path} has shape {table.shape}, but digits have 64 pixels and a label; fetch it again"
        )
    names = [f"image_{i:04d}" for i in range(len(table))]
    obs = pd.DataFrame({"cell_type": table[:, -1].astype(int).astype(str)}, index=names)
    return named(sparse.csr_matrix(table[:, :-1]), obs, pd.DataFrame(index=_pixel_names(8, 8)))


def _idx_array(path: Path, n_axes: int) -> np.ndarray:
    """Read an array of unsigned bytes in the idx format: two zeros, type 8, number of axes, their lengths, the values."""
    with readable("idx", [path]):
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        if content[:3] != b"\0\0\x08":
            raise UserError(f"{path} is not an idx file of bytes; bring it again")
        if content[3] != n_axes:
            raise UserError(
                f"{path} holds an array of {content[3]} axes, but images have 3 and labels 1; are the two swapped?"
            )
        shape = tuple(np.frombuffer(content, ">u4", n_axes, 4))
        return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def _pixel_names(rows: int, columns: int) -> list[str]:
    return [f"pixel_{row}_{column}" for row in range(rows) for column in range(columns)]
