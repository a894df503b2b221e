"""Writes files that are whole or absent, and reports files that are not whole."""

import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sclatent.common.errors import UserError, fault_of_disk

# A disk with less free space than this (bytes) counts as full if a writer fails without a reason.
FULL = 64 * 1024


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file under a temporary name and rename it at the end.

    Parameters
    ----------
    path
        The file to write. Missing folders are made.

    Yields
    ------
    Path
        A temporary path in the same folder. It has the suffix of `path`, by which some writers
        choose the format. It becomes `path` if the block ends well, and is removed if not.

    Raises
    ------
    UserError
        If the disk is full or cannot be written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        # HDF5 does not always say that a disk is full.
        silent = isinstance(error, RuntimeError) and shutil.disk_usage(path.parent).free < FULL
        if fault := fault_of_disk(OSError(errno.ENOSPC, "") if silent else error, path.parent):
            raise fault from error
        raise
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove the temporary files that killed processes left behind in `replacing` this path.

    This is safe because only one process at a time writes to a path.
    """
    path = Path(path)
    for leftover in path.parent.glob(f".[0-9]*.{glob.escape(path.name)}"):
        leftover.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file, whole or not at all; errors as in `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text)


@contextmanager
def whole(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Turn every error of a library that reads a file into a UserError with the cure.

    Parameters
    ----------
    path
        The file that is read in the block.
    kind
        What the file should be, for the message.

    Raises
    ------
    UserError
        If the file is missing, or cannot be read because it is cut off or garbled.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; make it first: snakemake {path}") from error
    except Exception as error:
        reason = " ".join(f"{error}".split()) or type(error).__name__
        broken = UserError(
            f"{path} is not a whole {kind} ({reason}); delete it and run the same command again"
        )
        raise fault_of_disk(error, path) or broken from error
