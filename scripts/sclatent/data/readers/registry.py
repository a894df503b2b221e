"""Reads the files of a data set, one function per format, into an AnnData as the source has it.

X holds the counts (n_obs, n_vars), CSR, or lazy if they are many. obs and var hold the columns of
the source. Readers check and mend only what they need for reading; `sclatent.data.ingest` does the
rest.
"""

from pathlib import Path

import anndata as ad
import pandas as pd

from sclatent.common.errors import UserError
from sclatent.config.formats import LABELLED
from sclatent.data.readers.blobs import make_blobs
from sclatent.data.readers.common import Files, readable
from sclatent.data.readers.h5ad import read_h5ad, read_obs_of_h5ad
from sclatent.data.readers.loom import read_loom
from sclatent.data.readers.published import (
    read_digits,
    read_geo_kang,
    read_idx,
    read_pbmc68k_reduced,
)
from sclatent.data.readers.tenx import read_10x_h5, read_10x_mtx
from sclatent.data.readers.text import read_csv, text_table


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


def read(format: str, files: Files, **options) -> ad.AnnData:
    """Read a data set.

    Parameters
    ----------
    format
        Key of `READERS`.
    files
        Paths by role, as in `sclatent.config.formats.ROLES`; a folder is given as its files.
    options
        What the reader of the format takes beside files.

    Returns
    -------
    ad.AnnData
        uns["labelled"] tells whether the format names labels itself.

    Raises
    ------
    UserError
        If a file is empty, broken or of another format.
    """
    for paths in files.values():
        if len(paths) > 1 and format != "10x_mtx":
            raise UserError(
                f"{paths[0].parent} is a folder, but format {format} takes a file; "
                "format: 10x_mtx takes folders"
            )
    with readable(format, [path for paths in files.values() for path in paths]):
        adata = READERS[format](files, **options)
    adata.uns["labelled"] = format in LABELLED
    return adata


def read_annotation(paths: list[Path]) -> pd.DataFrame:
    """Read a table with one row per cell.

    Parameters
    ----------
    paths
        One file: an .h5ad, whose obs is read, or text (.csv, or tabs), whose first column names
        the cells.

    Raises
    ------
    UserError
        If the file is empty or broken, or if the paths are the files of a folder.
    """
    if len(paths) > 1:
        raise UserError(
            f"{paths[0].parent} is a folder, but an annotation is a file; name the table in it"
        )
    (path,) = paths
    with readable("a table of annotations", [path]):
        if path.name.lower().endswith(".h5ad"):
            return read_obs_of_h5ad(path)
        return text_table(path, str)
