"""The record of a run, free of torch: what was trained, and whether it succeeded."""

import json
from pathlib import Path


def read_record(run: str | Path) -> dict:
    """Read the record of a run: status, reason, the settings given to `sclatent.weights.save_run`, provenance."""
    return json.loads(Path(run).read_text())
