"""Columns and arrays of cells, with the types that files of the workflow hold."""

from typing import cast

import anndata as ad
import numpy as np
import pandas as pd


def column_of(adata: ad.AnnData, name: str) -> pd.Series:
    """Return a column of obs (n,)."""
    return cast(pd.Series, adata.obs[name])


def array_of(adata: ad.AnnData, name: str) -> np.ndarray:
    """Return an array of obsm (n, d)."""
    return cast(np.ndarray, adata.obsm[name])
