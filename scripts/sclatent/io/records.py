"""The record of a run, free of torch: what was trained, and whether it succeeded."""

import json
from pathlib import Path

from sclatent.io.atomic import whole


def read_record(run: str | Path) -> dict:
    """Read the record of a run: status, reason, the settings given to `sclatent.training.saved.save_run`, provenance.

    Raises UserError where it is missing or not whole.
    """
    with whole(run, "record of a run"):
        return json.loads(Path(run).read_text())
