"""The kinds of error that the project expects, and how they hint at what was meant."""

import difflib
import errno
import re
from collections.abc import Iterable
from pathlib import Path

# What the system says of a disk, by its number, and the cure; {} is a file or a folder.
FAULTS = {
    errno.ENOSPC: "no room is left on the disk of {}; make room there",
    errno.EDQUOT: "the quota on the disk of {} is used up; make room there",
    errno.EROFS: "the disk of {} can only be read; mount it so that it can be written to",
    errno.EACCES: "no permission for {}; change its permissions",
    errno.EPERM: "no permission for {}; change its permissions",
}
CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"
)  # breaks of lines, and what commands a terminal


class UserError(Exception):
    """Something the user can mend; its text is one line that names the place, the mistake and the cure."""

    def __init__(self, text: str):
        super().__init__(printable(text))


class TrainingError(Exception):
    """A model did not come out of its training; its text is the reason that the tables of results show."""


class LeakError(Exception):
    """A cell held out reached gene selection, scaling or training; its text says which."""


def fault_of_disk(error: BaseException, path: str | Path | None = None) -> UserError | None:
    """Return what an error, or one that it arose from, says of a disk that cannot be written to; None where it says nothing.

    path: what to name as the place; the file that the error names, where nothing is given.
    """
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        if number in FAULTS:
            return UserError(
                f"{FAULTS[number].format(path or error.filename or 'the results')} and run the same command again"
            )
        error = error.__cause__ or error.__context__
    return None


def printable(text: str) -> str:
    """Return a text on one line, other control characters written out: a name that it quotes may come from anyone."""
    return CONTROL.sub(lambda found: " " if found[0].isspace() else ascii(found[0])[1:-1], text)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the known name that is nearest, if one is near, and the first 20."""
    known = sorted(known)
    matches = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{matches[0]}'?" if matches else ";"
    return (
        f"{hint} known: {', '.join(known[:20])}{f' and {len(known) - 20} more' * (len(known) > 20)}"
    )
