"""The two kinds of error that the project expects, and how they hint at what was meant."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend; its text is one line that names the place, the mistake and the cure."""


class TrainingError(Exception):
    """A model did not come out of its training; its text is the reason that the tables of results show."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the known name that is nearest, if one is near, and all of them."""
    known = sorted(known)
    matches = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean '{matches[0]}'?" if matches else ";"
    return f"{hint} known: {', '.join(known)}"
