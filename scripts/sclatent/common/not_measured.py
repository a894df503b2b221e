"""What has no value, and why."""

from typing import NamedTuple


class NotMeasured(NamedTuple):
    """A measurement that does not apply, as a row of a table of the kind "absent" tells it."""

    what: str
    reason: str
