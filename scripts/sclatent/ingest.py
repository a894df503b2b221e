"""Readers: from the file of a data set to whole counts with labels, one function a format."""

import gzip
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sclatent.errors import UserError


def read_pbmc68k_reduced(path: str | Path) -> ad.AnnData:
    """Rebuild the counts of scanpy's pbmc68k_reduced from its log-normalised values.

    The file's raw.X is log(1 + 10,000 counts / n_counts), stored to three decimals or better, so a count v is off by at most
    5e-4 (v + n_counts / 10,000). Returns cells x genes with layers["counts"] (CSR int32), obs cell_type and pct_counts_mt
    (percent). Raises UserError where a rebuilt count is farther from a whole number than that.
    """
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
        {"cell_type": stored.obs["bulk_labels"].astype(str), "pct_counts_mt": 100 * stored.obs["percent_mito"]},
        index=stored.obs_names.astype(str),
    )
    return _as_counts(values, obs, stored.raw.var_names)


def read_digits(path: str | Path) -> ad.AnnData:
    """Read scikit-learn's digits: 64 pixel intensities from 0 to 16 and the digit in the last column of a gzipped CSV.

    Returns images x pixels with layers["counts"] (CSR int32) and obs cell_type (the digit). Raises UserError for any other table.
    """
    with gzip.open(path) as file:
        table = np.loadtxt(file, delimiter=",")
    if table.ndim != 2 or table.shape[1] != 65:
        raise UserError(f"{path} has shape {table.shape}, but digits have 64 pixels and a label; fetch it again")
    labels = table[:, -1].astype(int).astype(str)
    names = pd.Index([f"image_{i:04d}" for i in range(len(table))])
    obs = pd.DataFrame({"cell_type": labels, "pct_counts_mt": np.nan}, index=names)
    return _as_counts(table[:, :-1], obs, [f"pixel_{row}_{column}" for row in range(8) for column in range(8)])


READERS = {"pbmc68k_reduced": read_pbmc68k_reduced, "digits": read_digits}


def _as_counts(values, obs: pd.DataFrame, var_names) -> ad.AnnData:
    """Return an AnnData without X whose layers["counts"] holds the values as CSR int32."""
    counts = sparse.csr_matrix(values, dtype=np.int32)
    counts.eliminate_zeros()
    counts.sort_indices()
    obs = obs.assign(cell_type=obs["cell_type"].astype("category"), pct_counts_mt=obs["pct_counts_mt"].astype(np.float64))
    obs.index.name = None
    return ad.AnnData(None, obs=obs, var=pd.DataFrame(index=pd.Index(var_names, dtype=str, name=None)), layers={"counts": counts})
