"""Readers of published data sets that come in a form of their own.

They return what `sclatent.data.readers.registry` describes.
"""

import gzip
import tarfile
from pathlib import Path
from typing import IO

import anndata as ad
import numpy as np
import pandas as pd
from scipy import io, sparse

from sclatent.common.errors import UserError
from sclatent.common.vocabulary import HELD_OUT, TRAIN
from sclatent.data.readers.common import Files, named, readable


def read_geo_kang(files: Files) -> ad.AnnData:
    """Read batch 2 of GEO series GSE96583: control and stimulated cells with the authors' labels.

    Parameters
    ----------
    files
        "archive": the series' raw archive; two of its matrices (genes x cells) and their
        barcodes are read. "genes": the gene table (Ensembl, symbol). "cells": the cell table, whose
        rows are the control cells and then the stimulated ones, in the order of the matrices. Its
        row names are the barcodes, with a 1 appended if both matrices have the barcode.

    Raises
    ------
    UserError
        If the cell table lists other cells than the matrices.

    Source: Kang et al. 2018.
    """
    (path,), (genes_path,), (cells_path,) = files["archive"], files["genes"], files["cells"]
    with readable("a table of genes", [genes_path]):
        genes = pd.read_csv(genes_path, sep="\t", header=None, names=["gene_ids", "symbol"])
    with readable("a table of cells", [cells_path]):
        cells = pd.read_csv(cells_path, sep="\t", index_col=0, dtype={"ind": str, "cluster": str})
    blocks, barcodes = [], []
    with readable("the series' raw archive", [path]), tarfile.open(path) as archive:
        for sample in ("GSM2560248_2.1", "GSM2560249_2.2"):
            with gzip.open(_member(archive, f"{sample}.mtx.gz")) as file:
                blocks.append(sparse.csr_matrix(io.mmread(file).T))
            prefix = sample.split("_")[0]
            with gzip.open(_member(archive, f"{prefix}_barcodes.tsv.gz"), "rt") as file:
                barcodes += str(file.read()).split()
    pairs = zip(cells.index.astype(str), barcodes, strict=False)
    other = [f"'{cell}' for '{barcode}'" for cell, barcode in pairs if not cell.startswith(barcode)]
    if other or len(cells) != len(barcodes):
        what = other[0] if other else f"{len(cells)} of them for {len(barcodes)}"
        raise UserError(
            f"{cells_path} lists other cells than the matrices in {path} ({what}); bring both again"
        )
    return named(sparse.vstack(blocks, format="csr"), cells, genes.set_index("symbol"))


def read_idx(files: Files) -> ad.AnnData:
    """Read images in the idx format of MNIST, gzipped or not.

    Parameters
    ----------
    files
        "images" and "labels" for training, "test_images" and "test_labels" to hold out.

    Returns
    -------
    ad.AnnData
        Images x pixels of 0 to 255, with obs cell_type (the class) and split.

    Raises
    ------
    UserError
        If a file is not an idx file of bytes, or if a pair differs in length.
    """
    images, labels = [], []
    for prefix in ("", "test_"):
        (images_path,), (labels_path,) = files[f"{prefix}images"], files[f"{prefix}labels"]
        images.append(_idx_array(images_path, n_axes=3))
        labels.append(_idx_array(labels_path, n_axes=1))
        if len(images[-1]) != len(labels[-1]):
            raise UserError(
                f"{images_path} has {len(images[-1])} images but {labels_path} has "
                f"{len(labels[-1])} labels; bring the pair again"
            )
    n_train, n_test = map(len, labels)
    names = [f"train_{i:05d}" for i in range(n_train)] + [f"test_{i:05d}" for i in range(n_test)]
    obs = pd.DataFrame(
        {
            "cell_type": np.concatenate(labels).astype(str),
            "split": [TRAIN] * n_train + [HELD_OUT] * n_test,
        },
        index=pd.Index(names),
    )
    shape = images[0].shape[1:]
    pixels = np.concatenate(images).reshape(len(obs), -1)
    return named(sparse.csr_matrix(pixels), obs, _pixels(*shape))


def read_pbmc68k_reduced(files: Files) -> ad.AnnData:
    """Rebuild the counts of scanpy's pbmc68k_reduced from its log-normalised values.

    The file's raw.X is log(1 + 10,000 counts / n_counts), stored to three decimals or better. So a
    rebuilt count v is off by at most 5e-4 (v + n_counts / 10,000).

    Parameters
    ----------
    files
        "counts": the file.

    Returns
    -------
    ad.AnnData
        With obs cell_type and pct_counts_mt (percent).

    Raises
    ------
    UserError
        If a rebuilt count is farther from a whole number than that.
    """
    (path,) = files["counts"]
    stored = ad.read_h5ad(path)
    per_count = stored.obs["n_counts"].to_numpy(np.float64) / 1e4
    logarithms = sparse.csr_matrix(stored.raw.X, dtype=np.float64)
    logarithms.data = np.expm1(logarithms.data)
    values = sparse.csr_matrix(logarithms.multiply(per_count[:, None]))
    whole = np.rint(values.data)
    off = np.abs(values.data - whole)
    bad = off > 5e-4 * (values.data + np.repeat(per_count, np.diff(values.indptr))) + 1e-3
    if bad.any():
        raise UserError(
            f"{path}: {bad.sum()} rebuilt counts are not whole numbers, the first is "
            f"{values.data[bad][0]:.4f}; install the version of scanpy that requirements.lock names"
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
    """Read scikit-learn's digits: a gzipped CSV of 64 pixels from 0 to 16 and the digit per line.

    Parameters
    ----------
    files
        "counts": the file.

    Returns
    -------
    ad.AnnData
        Images x pixels with obs cell_type (the digit).

    Raises
    ------
    UserError
        If the table has another shape.
    """
    (path,) = files["counts"]
    with gzip.open(path) as file:
        table = np.loadtxt(file, delimiter=",")
    if table.ndim != 2 or table.shape[1] != 65:
        raise UserError(
            f"{path} has shape {table.shape}, but digits have 64 pixels and a label; fetch it again"
        )
    names = pd.Index([f"image_{i:04d}" for i in range(len(table))])
    obs = pd.DataFrame({"cell_type": table[:, -1].astype(int).astype(str)}, index=names)
    return named(sparse.csr_matrix(table[:, :-1]), obs, _pixels(8, 8))


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """Open a file in an archive."""
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is not a file")
    return file


def _idx_array(path: Path, n_axes: int) -> np.ndarray:
    """Read an array of unsigned bytes in the idx format.

    It has two zero bytes, the type 8, the number of axes, their lengths, and the values.
    """
    with readable("idx", [path]):
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        if content[:3] != b"\0\0\x08":
            raise UserError(f"{path} is not an idx file of bytes; bring it again")
        if content[3] != n_axes:
            raise UserError(
                f"{path} holds an array of {content[3]} axes, but images have 3 and labels 1; "
                "are the two swapped?"
            )
        shape = tuple(np.frombuffer(content, ">u4", n_axes, 4))
        return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def _pixels(rows: int, columns: int) -> pd.DataFrame:
    """Return var of images: the names of the pixels, row by row."""
    names = [f"pixel_{row}_{column}" for row in range(rows) for column in range(columns)]
    return pd.DataFrame(index=pd.Index(names))
