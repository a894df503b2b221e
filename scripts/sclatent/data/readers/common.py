"""What readers of all formats share."""

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata._io.specs.registry import IORegistryError

from sclatent.common.errors import UserError

Files = dict[str, list[Path]]  # by role

# What the libraries that read raise for files that are cut off or garbled, or whose parts are not those of the format.
BROKEN = (
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    zlib.error,
    tarfile.TarError,
    IORegistryError,
)


@contextmanager
def readable(what: str, paths: list[Path], called: Path | None = None) -> Iterator[None]:
    """Turn the errors of libraries that read files into a UserError with their names; called: what to call an unpacked file."""
    try:
        for path in paths:
            if path.stat().st_size == 0:
                raise UserError(f"{called or path} is empty (0 bytes); bring it here again")
            if h5py.is_hdf5(path):
                _check_self_contained(path)
        yield
    except BROKEN as error:
        names = called or ", ".join(map(str, paths))
        reason = " ".join(str(error).split())
        raise UserError(
            f"{names} cannot be read as {what} ({reason}); is the file whole, and of that format?"
        ) from error


def _check_self_contained(path: Path) -> None:
    """Refuse an HDF5 file that takes values from other files, which it can name at will, or that holds addresses in memory."""

    def linked(name: str, link: h5py.SoftLink | h5py.HardLink | h5py.ExternalLink) -> str | None:
        return (
            f"{name} is a link to '{link.filename}'"
            if isinstance(link, h5py.ExternalLink)
            else None
        )

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
                f"{path}: {name} holds objects of a program, which cannot be read; bring the file again, or another"
            )


def _holds_addresses(dtype: np.dtype) -> bool:
    """Return whether h5py would take bytes of a file for addresses of Python objects, as it does of opaque ones that say so."""
    if h5py.check_opaque_dtype(dtype):
        return dtype.hasobject
    inner = [
        h5py.check_vlen_dtype(dtype),
        dtype.subdtype and dtype.subdtype[0],
        *(dtype[name] for name in dtype.names or ()),
    ]
    return any(_holds_addresses(part) for part in inner if isinstance(part, np.dtype))


def named(values, obs: pd.DataFrame, var: pd.DataFrame) -> ad.AnnData:
    """Return an AnnData whose cells and genes are named by text, without asking anndata to mend repeated names."""
    for frame in (obs, var):
        frame.index = frame.index.astype(str)
    return ad.AnnData(values, obs=obs, var=var)
