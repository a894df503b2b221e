"""The tables that come with the project: its data sets, its models and the quick start."""

from pathlib import Path
from typing import Any

import yaml

# The models of reference works are in files of their own.
TABLES = (
    "datasets.yaml",
    "models.yaml",
    "reference/report.yaml",
    "reference/scgen.yaml",
    "reference/thesis.yaml",
    "config.yaml",
)


def with_tables(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the tables of a folder, extended and overridden by a configuration.

    Mappings merge key by key, as Snakemake merges several files; other values replace.
    """
    merged: dict[str, Any] = {}
    for name in TABLES:
        merged = _merged(merged, yaml.safe_load((folder / name).read_text()))
    return _merged(merged, config)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a new mapping: `base` with `changes`.

    Both stay as they are, because aliases in YAML make entries share one mapping.
    """
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merged(base[key], value) if both else value
    return merged
