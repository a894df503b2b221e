"""Reads the record of a training without importing torch: its settings and whether it succeeded."""

import json
from pathlib import Path

from sclatent.io.atomic import whole


def read_record(run: str | Path) -> dict:
    """Read the record of a training.

    Returns
    -------
    dict
        status, reason, provenance, and the settings that `sclatent.training.saved.save_run` got.

    Raises
    ------
    UserError
        If the file is missing or not whole.
    """
    with whole(run, "record of a run"):
        return json.loads(Path(run).read_text())
