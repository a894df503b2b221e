"""The kinds of error that the project expects, and helpers for their messages."""

import difflib
import errno
import os
import re
from collections.abc import Iterable

# What the system's error numbers mean for a disk, and the cure; {} is a file or a folder.
FAULTS = {
    errno.ENOSPC: "no room is left on the disk of {}; make room there",
    errno.EDQUOT: "the quota on the disk of {} is used up; make room there",
    errno.EROFS: "the disk of {} can only be read; mount it so that it can be written to",
    errno.EACCES: "no permission for {}; change its permissions",
    errno.EPERM: "no permission for {}; change its permissions",
}
# Line breaks, and characters that a terminal takes as commands.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class UserError(Exception):
    """Something the user can mend; the text is one line with the place, the mistake and the cure.

    Parameters
    ----------
    text
        The message. Control characters in it are made harmless.
    """

    def __init__(self, text: str):
        super().__init__(printable(text))


class TrainingError(Exception):
    """A training gave no model; the text is the reason, as the tables of results show it."""


class LeakError(Exception):
    """A held-out cell had a part in gene selection, scaling or training; the text names it."""


def fault_of_disk(
    error: BaseException, path: str | os.PathLike[str] | None = None
) -> UserError | None:
    """Recognise a disk that cannot be written to, from an error or one that caused it.

    Parameters
    ----------
    error
        Any error.
    path
        The place to name in the message; None for the file that the error names.

    Returns
    -------
    UserError or None
        None if neither the error nor its causes are about a disk.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in FAULTS:
            fault = FAULTS[cause.errno].format(path or cause.filename or "the results")
            return UserError(f"{fault} and run the same command again")
        cause = cause.__cause__ or cause.__context__
    return None


def printable(text: str) -> str:
    """Return a text on one line, with control characters written out as escapes.

    Names that the text quotes may come from anyone, and must not command the terminal.
    """
    return CONTROL.sub(
        lambda match: " " if match[0].isspace() else ascii(match[0])[1:-1],
        text,
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name.

    Returns
    -------
    str
        The most similar known name, if one is similar, and the first 20 known names.
    """
    known = sorted(known)
    matches = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{matches[0]}'?" if matches else ";"
    more = f" and {len(known) - 20} more" if len(known) > 20 else ""
    return f"{hint} known: {', '.join(known[:20])}{more}"
