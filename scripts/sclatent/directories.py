"""Where the files of data sets lie on this machine."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sclatent.errors import UserError
from sclatent.formats import part_of_matrix

VARIABLE = "SCLATENT_DATA"


def data_directories(setting: Iterable[str]) -> list[Path]:
    """Return the folders where files are looked for: those of the environment variable SCLATENT_DATA, then the setting's."""
    named = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    return [Path(name).expanduser() for name in [*named, *setting]]


def find(name: str, directories: Sequence[str | Path]) -> Path | None:
    """Return the path of the file `name` in the first of the directories that holds it, or None.

    Raises UserError where a directory may not be looked into.
    """
    for path in (Path(directory, name) for directory in directories):
        if os.path.isfile(path):
            return path
        if path.parent.is_dir() and not os.access(path.parent, os.X_OK):
            raise UserError(f"no permission to look for '{name}' in {path.parent}; change its permissions")
    return None


def nowhere(name: str, directories: Iterable[str | Path]) -> UserError:
    """Return the error for a file without a URL that none of the directories holds."""
    return UserError(
        f"file '{name}' has no URL and is in none of the data directories ({', '.join(map(str, directories))}); put it in one of "
        f"them, or name its folder in the setting data_directories or the environment variable {VARIABLE}"
    )


def own_files(path: str, directories: Iterable[Path]) -> list[str]:
    """Return the files of a user's path: itself, or the parts of the 10x matrix in a folder.

    The path is looked for from the working directory and then in each of the directories; raises UserError where it is in none.
    """
    own = Path(path).expanduser()
    places = [own] if own.is_absolute() else [own, *(folder / own for folder in directories)]
    found = next((place for place in places if os.path.exists(place)), None)
    if found is None:
        folders = ", ".join(dict.fromkeys(str(place.parent) for place in places))
        raise UserError(
            f"'{path}' is not there (looked in: {folders}); give its path from the folder where snakemake runs, or put it in "
            f"a data directory, named in data_directories or the environment variable {VARIABLE}"
        )
    if not os.access(found, os.R_OK):
        raise UserError(f"no permission to read '{found}'; change its permissions")
    if not found.is_dir():
        return [str(found)]
    files = sorted(str(file) for file in found.iterdir() if part_of_matrix(file.name))
    if not files:
        raise UserError(f"'{found}' is a folder without a 10x matrix; name the one that holds matrix.mtx and barcodes.tsv")
    return files
