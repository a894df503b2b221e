"""Reader of loom files."""

import anndata as ad
from anndata.io import read_loom as read_loom_by_loompy

from sclatent.data.readers.common import Files, check_hdf5


def read_loom(files: Files) -> ad.AnnData:
    """Read the main matrix of a loom file; its layers are ignored.

    Parameters
    ----------
    files
        "counts": the file.
    """
    (path,) = files["counts"]
    check_hdf5(path, ".loom")
    adata = read_loom_by_loompy(path, X_name="", dtype="float64", validate=False)
    adata.obs, adata.var = _named_rows(adata.obs), _named_rows(adata.var)
    return adata


def _named_rows(frame):
    """Move the names of the rows to the index.

    anndata leaves them in a column, under the name of loompy's convention or of loom's own.
    """
    for name in ("obs_names", "var_names", "CellID", "Gene"):
        if name in frame.columns:
            return frame.drop(columns=name).set_index(frame[name].astype(str).rename(None))
    return frame
