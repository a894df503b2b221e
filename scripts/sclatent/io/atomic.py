"""Files that are whole or absent."""

import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sclatent.common.errors import UserError, fault_of_disk

FULL = (
    64 * 1024
)  # bytes; with fewer of them free, a disk is full where a writer fails without saying why


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    The temporary name keeps the suffix, by which some writers choose the format. Raises UserError where the disk is full or
    cannot be written to.
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


def remove_leftovers(path: str | os.PathLike) -> None:
    """Remove what processes that were killed have left of `replacing` a path; no two write to one path at once."""
    path = Path(path)
    for leftover in path.parent.glob(f".[0-9]*.{glob.escape(path.name)}"):
        leftover.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text)


@contextmanager
def whole(path: str | os.PathLike, kind: str) -> Iterator[None]:
    """Turn whatever a library raises while it reads a file that is cut off or garbled into a UserError with its cure.

    kind: what the file should be. Raises UserError where the file is missing or cannot be read, too.
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
