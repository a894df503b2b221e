"""Checks before jobs run: the files of data sets, the folder of results, and who made what is
there.
"""

import json
import os
import shutil
import uuid
from pathlib import Path

from sclatent.common.errors import UserError
from sclatent.config.datasets import File
from sclatent.data.locations import (
    data_directories,
    download_directory,
    find,
    no_downloads,
    nowhere,
    own_files,
)
from sclatent.io.atomic import write_text
from sclatent.pipeline.plan import Plan

RESULTS, STATE = Path("results"), Path(".snakemake")
FETCHED = RESULTS / "files"
STAMP = ".made_by"  # a name for a folder of results, in it and in Snakemake's records of it
ROOM = 10_000_000  # bytes; a disk with fewer free bytes counts as full


def source_files(plan: Plan, dataset: str) -> dict[str, list[str]]:
    """Return the files of a data set by role: your own files, and published ones once fetched.

    Raises
    ------
    UserError
        If a file is not there and nothing can fetch it.
    """
    config = plan.config
    directories = data_directories(config.data_directories)
    files = {}
    for role, file in plan.datasets[dataset].files.items():
        try:
            if file.path is not None:
                files[role] = own_files(file.path, directories)
            else:
                _check_can_be_fetched(file, directories, config.data_directories)
                files[role] = [f"{FETCHED}/{file.name}"]
        except UserError as error:
            place = f"datasets.{plan.table_entry(dataset)}.files.{role}"
            raise UserError(f"{place}: {error}") from error
    return files


def _check_can_be_fetched(file: File, directories: list[Path], setting: list[str]) -> None:
    if file.name is None or file.package or find(file.name, [*directories, FETCHED]):
        return
    if not file.urls:
        raise nowhere(file.name, directories)
    if download_directory(setting) is None:
        raise no_downloads(file.name)


def check_folder(results: Path = RESULTS, state: Path = STATE) -> None:
    """Check that results can be written and that their disk has room.

    Raises
    ------
    UserError
        If not.
    """
    target = results if results.is_dir() else results.absolute().parent
    if not os.access(target, os.W_OK | os.X_OK):
        raise UserError(
            f"no permission to write to '{target}'; "
            "change its permissions or run in a folder of your own"
        )
    for folder in (results, state):
        existing = folder if folder.is_dir() else folder.absolute().parent
        if shutil.disk_usage(existing).free < ROOM:
            raise UserError(
                f"no room is left on the disk of '{existing}'; "
                "make room there and run the same command again"
            )


def check_records(results: Path = RESULTS, state: Path = STATE) -> None:
    """Check that there is a folder of results, or none, and that Snakemake's records belong to it.

    Snakemake compares the parameters of a job with those that it recorded. Without records, as in a
    copy of the folder `results` alone, it would take every file for up to date.

    Raises
    ------
    UserError
        If `results` is a file, or has a stamp that the records do not have.
    """
    if results.exists() and not results.is_dir():
        raise UserError(
            f"'{results}' is a file, but results are written to a folder of that name; "
            "move the file away"
        )
    stamp = _read_stamp(results)
    if stamp is not None and stamp != _read_stamp(state):
        raise UserError(
            f"how '{results}' was made is not recorded in '{state}', which is new or belongs to "
            f"other results; to make everything again: rm -r {results}/data {results}/runs "
            f"{results}/studies {results / STAMP}; to trust that the settings are the same: "
            f"mkdir -p {state} && cp {results / STAMP} {state}; then run the same command again"
        )


def stamp_records(results: Path = RESULTS, state: Path = STATE) -> None:
    """Write the stamp by which `check_records` knows that results and records belong together."""
    stamp = _read_stamp(results)
    if stamp is None:
        stamp = f"{json.dumps({'name': uuid.uuid4().hex})}\n"
        write_text(results / STAMP, stamp)
    if _read_stamp(state) != stamp:
        write_text(state / STAMP, stamp)


def _read_stamp(folder: Path) -> str | None:
    try:
        return (folder / STAMP).read_text()
    except OSError:
        return None
