"""Where the files of data sets lie on this machine."""

import os
from collections.abc import Iterable
from pathlib import Path

from sclatent.errors import UserError

VARIABLE = "SCLATENT_DATA"


def data_directories(setting: Iterable[str]) -> list[Path]:
    """Return the folders where files are looked for: those of the environment variable SCLATENT_DATA, then the setting's."""
    named = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    return [Path(name) for name in [*named, *setting]]


def own_files(path: str, directories: Iterable[Path]) -> list[str]:
    """Return the files of a user's path: itself, or what the folder holds of a 10x matrix.

    The path is looked for from the working directory and then in each of the directories; raises UserError where it is in none.
    """
    places = [Path(path), *(folder / path for folder in directories)]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        folders = ", ".join(str(place.parent) for place in places)
        raise UserError(
            f"'{path}' is not there (looked in: {folders}); give its path from the folder where snakemake runs, or put it in "
            f"a data directory, named in data_directories or the environment variable {VARIABLE}"
        )
    if not found.is_dir():
        return [str(found)]
    files = sorted(str(file) for file in found.iterdir() if file.name.removesuffix(".gz").endswith((".mtx", ".tsv")))
    if not files:
        raise UserError(f"'{found}' is a folder without a 10x matrix; name the one that holds matrix.mtx and barcodes.tsv")
    return files
