"""Parts of an HDF5 file, each with an error if the file holds something else in its place."""

import h5py
import numpy as np
import pandas as pd


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """Return the group of a name.

    Raises
    ------
    KeyError
        If there is nothing of that name.
    TypeError
        If it is not a group.
    """
    item = parent[name]
    if not isinstance(item, h5py.Group):
        raise TypeError(f"{name} is not a group")
    return item


def array(parent: h5py.Group, name: str) -> h5py.Dataset:
    """Return the HDF5 dataset of a name.

    Raises
    ------
    KeyError
        If there is nothing of that name.
    TypeError
        If it is not a dataset.
    """
    item = parent[name]
    if not isinstance(item, h5py.Dataset):
        raise TypeError(f"{name} is not an array")
    return item


def texts(parent: h5py.Group, name: str) -> np.ndarray:
    """Return an array of text (n,); errors as in `array`."""
    return np.asarray(array(parent, name).asstr()[:])


def frame(parent: h5py.Group, name: str) -> pd.DataFrame:
    """Return a table in anndata's encoding, such as obs or var.

    Raises
    ------
    TypeError
        If the file holds something else under that name.
    """
    from anndata.io import read_elem  # takes most of a second, which trainings do without

    table = read_elem(group(parent, name))
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{name} is not a table")
    return table
