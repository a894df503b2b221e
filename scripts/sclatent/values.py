"""The normalised values of cells, and nothing else of their file: no label can reach a training that reads them so."""

from pathlib import Path

import h5py
from scipy import sparse

from sclatent.errors import UserError


def read_values(path: str | Path) -> sparse.csr_matrix:
    """Read X (N, G) of a file of the kind "preprocessed", CSR float32. Raises UserError where the file is not whole."""
    try:
        with h5py.File(path) as file:
            x = file["X"]
            return sparse.csr_matrix((x["data"][:], x["indices"][:], x["indptr"][:]), shape=x.attrs["shape"])
    except (OSError, KeyError) as error:
        raise UserError(f"{path} is not a whole .h5ad file ({error}); delete it and run again") from error
