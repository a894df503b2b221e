"""What readers of all formats share."""

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anndata as ad
import pandas as pd
from anndata._io.specs.registry import IORegistryError

from sclatent.errors import UserError

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
        yield
    except BROKEN as error:
        names = called or ", ".join(map(str, paths))
        reason = " ".join(str(error).split())
        raise UserError(f"{names} cannot be read as {what} ({reason}); is the file whole, and of that format?") from error


def named(values, obs: pd.DataFrame, var: pd.DataFrame) -> ad.AnnData:
    """Return an AnnData whose cells and genes are named by text, without asking anndata to mend repeated names."""
    for frame in (obs, var):
        frame.index = frame.index.astype(str)
    return ad.AnnData(values, obs=obs, var=var)
