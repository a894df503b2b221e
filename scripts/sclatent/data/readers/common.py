"""What readers of all formats share: errors with a cure, and checks of HDF5 files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from sclatent.common.errors import UserError

Files = dict[str, list[Path]]  # by role


@contextmanager
def readable(what: str, paths: list[Path], called: Path | None = None) -> Iterator[None]:
    """Turn every error of a library that reads files into a UserError with their names.

    Parameters
    ----------
    what
        What the files should be, for the message.
    paths
        The files that are read in the block.
    called
        What to call the files instead, if they are unpacked ones under temporary names.

    Raises
    ------
    UserError
        If a file is empty, cut off, garbled or of another format, or if it is an HDF5 file that
        takes values from other files or holds addresses in memory.
    """
    try:
        for path in paths:
            if path.stat().st_size == 0:
                raise UserError(f"{called or path} is empty (0 bytes); bring it here again")
            if h5py.is_hdf5(path):
                _check_self_contained(path)
        yield
    except UserError:
        raise
    except Exception as error:
        names = called or ", ".join(map(str, paths))
        reason = " ".join(str(error).split())
        raise UserError(
            f"{names} cannot be read as {what} ({reason}); is the file whole, and of that format?"
        ) from error


def check_hdf5(path: Path, kind: str) -> None:
    """Raise UserError if a file is not an HDF5 file; kind: what it should be, for the message."""
    if not h5py.is_hdf5(path):
        raise UserError(
            f"{path} is not an HDF5 file, so no {kind}; was the download cut off, or is it another "
            "format?"
        )


def named(values, obs: pd.DataFrame, var: pd.DataFrame) -> ad.AnnData:
    """Return an AnnData whose cells and genes have text as names; repeated names stay repeated."""
    for frame in (obs, var):
        frame.index = frame.index.astype(str)
    return ad.AnnData(values, obs=obs, var=var)


def _check_self_contained(path: Path) -> None:
    """Refuse an HDF5 file that takes values from other files or that holds addresses in memory.

    Such a file could name any file of the machine, or let h5py follow any address.
    """

    def linked(name: str, link: h5py.SoftLink | h5py.HardLink | h5py.ExternalLink) -> str | None:
        is_external = isinstance(link, h5py.ExternalLink)
        return f"{name} is a link to '{link.filename}'" if is_external else None

    def borrowed(name: str, item: h5py.Group | h5py.Dataset) -> str | None:
        elsewhere = isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)
        return f"{name} takes its values from other files" if elsewhere else None

    def unreadable(name: str, item: h5py.Group | h5py.Dataset) -> str | None:
        types = [item.attrs.get_id(attribute).dtype for attribute in item.attrs]
        types += [item.dtype] if isinstance(item, h5py.Dataset) else []
        return name if any(map(_holds_addresses, types)) else None

    with h5py.File(path) as file:
        if fault := file.visititems_links(linked) or file.visititems(borrowed):
            raise UserError(f"{path}: {fault}; give a file that holds all of its data itself")
        if name := unreadable("its root", file) or file.visititems(unreadable):
            raise UserError(
                f"{path}: {name} holds objects of a program, which cannot be read; bring the file "
                "again, or another"
            )


def _holds_addresses(dtype: np.dtype) -> bool:
    """Return whether h5py would take bytes of a file for addresses of Python objects.

    It does so for opaque types that claim to hold objects.
    """
    if h5py.check_opaque_dtype(dtype):
        return dtype.hasobject
    inner = [
        h5py.check_vlen_dtype(dtype),
        dtype.subdtype and dtype.subdtype[0],
        *(dtype[name] for name in dtype.names or ()),
    ]
    return any(_holds_addresses(part) for part in inner if isinstance(part, np.dtype))
