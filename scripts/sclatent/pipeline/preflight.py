"""Checks of the working directory and of your own files before anything runs."""

import os
import shutil
from pathlib import Path

from sclatent.common.errors import UserError, printable
from sclatent.config.load import Config, published_files
from sclatent.data.locations import (
    data_directories,
    download_directory,
    find,
    no_downloads,
    nowhere,
    own_files,
)
from sclatent.pipeline.staleness import check_not_ahead, code_files, renew, review

RESULTS, STATE = Path("results"), Path(".snakemake")

# Snakemake's options that look at a workflow or mend its state; they run no job and take no lock.
INSPECTING = (
    "--dag",
    "--detailed-summary",
    "--filegraph",
    "--lint",
    "--list",
    "--nolock",
    "--report",
    "--rulegraph",
    "--summary",
    "--unlock",
)

ROOM = 10_000_000  # bytes; with fewer of them free a disk is full before a run has begun


def runs_jobs(arguments: list[str]) -> bool:
    """Return whether a call of Snakemake with these arguments is about to run or, in a dry run, to plan jobs."""
    return not any(argument.startswith(INSPECTING) for argument in arguments)


def reads_data(arguments: list[str]) -> bool:
    """Return whether a call of Snakemake with these arguments needs data sets, as all do but that of the paper of kept tables."""
    return "paper_kept" not in arguments


def prepare(config: Config, base: Path, program: str, plans_only: bool) -> list[str]:
    """Check code and folders, and see to it that Snakemake makes anew what it must; return why that is, a line each.

    base: folder of the project. program: path of what runs, Snakemake or a script alone, which is taken at its word.
    plans_only: change nothing. Raises UserError where the run would go wrong.
    """
    check_not_ahead(code_files(base))
    if not plans_only:
        check_writable(RESULTS)
        check_room(RESULTS, STATE)
        check_unlocked(STATE)
    if Path(program).resolve().parent == (base / "scripts").resolve():
        return []
    found = review(RESULTS, STATE, base)
    if not plans_only:
        pins = {
            f"{RESULTS}/files/{name}": file.sha256 for name, file in published_files(config).items()
        }
        renew(found, RESULTS, STATE, pins)
    return [
        printable(f"{reason} (a dry run does not show it)" if plans_only else reason)
        for reason in found.reasons
    ]


def check_own_files(config: Config) -> None:
    """Raise UserError where a file that a study of the run needs is not there and nothing can bring it."""
    directories = data_directories(config.data_directories)
    for name in sorted(
        {dataset for study in config.run for dataset in config.studies[study].datasets}
    ):
        for role, file in config.datasets[name].files.items():
            try:
                if file.path is not None:
                    check_not_ahead(map(Path, own_files(file.path, directories)))
                elif not (file.package or find(file.name, [*directories, "results/files"])):
                    if not file.urls:
                        raise nowhere(file.name, directories)
                    if download_directory(config.data_directories) is None:
                        raise no_downloads(file.name)
            except UserError as error:
                raise UserError(f"datasets.{name}.files.{role}: {error}") from error


def check_writable(results: str | Path) -> None:
    """Raise UserError unless the folder of results can be made or written to."""
    folder = Path(results)
    if folder.exists() and not folder.is_dir():
        raise UserError(
            f"'{folder}' is a file, but results are written to a folder of that name; move the file away"
        )
    target = folder if folder.is_dir() else folder.absolute().parent
    if not os.access(target, os.W_OK | os.X_OK):
        raise UserError(
            f"no permission to write to '{target}'; change its permissions or run in a copy of your own"
        )


def check_room(*folders: Path) -> None:
    """Raise UserError where there is no room on the disk of a folder, which need not be there yet."""
    for folder in folders:
        there = folder if folder.is_dir() else folder.absolute().parent
        if shutil.disk_usage(there).free < ROOM:
            raise UserError(
                f"no room is left on the disk of '{there}'; make room there and run the same command again"
            )


def check_unlocked(state: str | Path) -> None:
    """Raise UserError where another run holds the lock that Snakemake keeps in its state folder, or died holding it."""
    locks = Path(state) / "locks"
    if locks.is_dir() and any(locks.iterdir()):
        raise UserError(
            "another run holds the results, or was killed while it did; wait for it to end, "
            "or if none is running, with the options of that run: snakemake --unlock && snakemake --rerun-incomplete"
        )
