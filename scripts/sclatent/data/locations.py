"""Where the files of data sets lie on this machine."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sclatent.common.errors import CONTROL, UserError
from sclatent.config.formats import part_of_matrix

VARIABLE = "SCLATENT_DATA"


def data_directories(setting: Iterable[str]) -> list[Path]:
    """Return the folders where files are looked for: those of the environment variable SCLATENT_DATA, then the setting's."""
    named = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    return [Path(name).expanduser() for name in [*named, *setting]]


def download_directory(setting: Sequence[str]) -> Path | None:
    """Return the folder that keeps downloads: the first of the setting, if that is data, lies in it, or is in SCLATENT_DATA, too.

    None otherwise: another person may have written the setting, and where else files may be written is not for them to say.
    """
    *named, first = data_directories(setting[:1])
    allowed = os.path.normpath(first).split(os.sep)[0] == "data" or os.path.abspath(first) in map(
        os.path.abspath, named
    )
    return Path(os.path.normpath(first)) if allowed else None


def find(name: str, directories: Sequence[str | Path]) -> Path | None:
    """Return the path of the file `name` in the first of the directories that holds it, or None.

    Raises UserError where a directory may not be looked into.
    """
    for path in (Path(directory, name) for directory in directories):
        if os.path.isfile(path):
            return path
        if path.parent.is_dir() and not os.access(path.parent, os.X_OK):
            raise UserError(
                f"no permission to look for '{name}' in {path.parent}; change its permissions"
            )
    return None


def nowhere(name: str, directories: Iterable[str | Path]) -> UserError:
    """Return the error for a file without a URL that none of the directories holds."""
    return UserError(
        f"file '{name}' has no URL and is in none of the data directories ({', '.join(map(str, directories))}); put it in one of "
        f"them, or name its folder in the setting data_directories or the environment variable {VARIABLE}"
    )


def no_downloads(name: str) -> UserError:
    """Return the error for a file that is to be downloaded where `download_directory` allows no folder."""
    return UserError(
        f"'{name}' is in none of the data directories, and downloads are kept in their first only if that is 'data' or one that "
        f"the environment variable {VARIABLE} names, too; put 'data' first in data_directories, or set {VARIABLE}"
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
    files = (
        [found]
        if not found.is_dir()
        else sorted(file for file in found.iterdir() if part_of_matrix(file.name))
    )
    if not files:
        raise UserError(
            f"'{found}' is a folder without a 10x matrix; name the one that holds matrix.mtx and barcodes.tsv"
        )
    paths = list(map(str, files))
    if odd := next((path for path in paths if set(path) & set("{}") or CONTROL.search(path)), None):
        raise UserError(
            f"the path '{odd}' has a brace or a control character, which Snakemake does not take as it is; rename it"
        )
    return paths
