"""Where the files of data sets lie on this machine."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sclatent.common.errors import CONTROL, UserError
from sclatent.config.formats import part_of_matrix

VARIABLE = "SCLATENT_DATA"


def data_directories(setting: Iterable[str]) -> list[Path]:
    """Return the folders in which files are searched.

    Parameters
    ----------
    setting
        The setting data_directories.

    Returns
    -------
    list of Path
        The folders of the environment variable SCLATENT_DATA, then those of the setting.
    """
    named = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    return [Path(name).expanduser() for name in [*named, *setting]]


def download_directory(setting: Sequence[str]) -> Path | None:
    """Return the folder that keeps downloads.

    A setting may come from another person, who must not choose where files are written. So only
    the folder data, folders in it, and those of SCLATENT_DATA are accepted.

    Parameters
    ----------
    setting
        The setting data_directories.

    Returns
    -------
    Path or None
        The first folder of the setting; None if it is not accepted.
    """
    *named, first = data_directories(setting[:1])
    is_data = os.path.normpath(first).split(os.sep)[0] == "data"
    is_named = os.path.abspath(first) in map(os.path.abspath, named)
    return Path(os.path.normpath(first)) if is_data or is_named else None


def find(name: str, directories: Sequence[str | Path]) -> Path | None:
    """Find a file by its name.

    Parameters
    ----------
    name
        Path of the file in a data directory.
    directories
        Folders, searched in this order.

    Returns
    -------
    Path or None
        None if no folder holds the file.

    Raises
    ------
    UserError
        If there is no permission to search a folder.
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
    """Return the error for a file without a URL that no data directory holds."""
    return UserError(
        f"file '{name}' has no URL and is in none of the data directories "
        f"({', '.join(map(str, directories))}); put it in one of them, or name its folder in the "
        f"setting data_directories or the environment variable {VARIABLE}"
    )


def no_downloads(name: str) -> UserError:
    """Return the error for a file to download if `download_directory` accepts no folder."""
    return UserError(
        f"'{name}' is in none of the data directories, and downloads are kept in their first only "
        f"if that is 'data' or one that the environment variable {VARIABLE} names, too; "
        f"put 'data' first in data_directories, or set {VARIABLE}"
    )


def own_files(path: str, directories: Iterable[Path]) -> list[str]:
    """Return the files behind a user's path.

    Parameters
    ----------
    path
        A file, or a folder with a 10x matrix. A relative path is searched from the working
        directory and then in each of the directories.
    directories
        The data directories.

    Returns
    -------
    list of str
        The file, or the parts of the matrix, sorted.

    Raises
    ------
    UserError
        If there is nothing at the path, it may not be read, or Snakemake cannot handle its name.
    """
    own = Path(path).expanduser()
    places = [own] if own.is_absolute() else [own, *(folder / own for folder in directories)]
    present = next((place for place in places if os.path.exists(place)), None)
    if present is None:
        folders = ", ".join(dict.fromkeys(str(place.parent) for place in places))
        raise UserError(
            f"'{path}' is not there (looked in: {folders}); give its path from the folder where "
            f"snakemake runs, or put it in a data directory, named in data_directories or the "
            f"environment variable {VARIABLE}"
        )
    if not os.access(present, os.R_OK):
        raise UserError(f"no permission to read '{present}'; change its permissions")
    files = [present]
    if present.is_dir():
        files = sorted(file for file in present.iterdir() if part_of_matrix(file.name))
    if not files:
        raise UserError(
            f"'{present}' is a folder without a 10x matrix; name the one that holds matrix.mtx and "
            "barcodes.tsv"
        )
    paths = list(map(str, files))
    for text in paths:
        if set(text) & set("{}") or CONTROL.search(text):
            raise UserError(
                f"the path '{text}' has a brace or a control character, which Snakemake does not "
                "take as it is; rename it"
            )
    return paths
