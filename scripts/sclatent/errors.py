"""The kinds of error that the project expects, and how they hint at what was meant."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend; its text is one line that names the place, the mistake and the cure."""


class TrainingError(Exception):
    """A model did not come out of its training; its text is the reason that the tables of results show."""


class LeakError(Exception):
    """A cell held out reached gene selection, scaling or training; its text says which."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the known name that is nearest, if one is near, and the first 20."""
    known = sorted(known)
    matches = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{matches[0]}'?" if matches else ";"
    return f"{hint} known: {', '.join(known[:20])}{f' and {len(known) - 20} more' * (len(known) > 20)}"
