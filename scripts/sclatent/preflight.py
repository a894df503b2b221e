"""Checks of the working directory and of your own files before anything runs."""

import os
from pathlib import Path

from sclatent.config import Config
from sclatent.directories import data_directories, find, nowhere, own_files
from sclatent.errors import UserError

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


def runs_jobs(arguments: list[str]) -> bool:
    """Return whether a call of Snakemake with these arguments is about to run or, in a dry run, to plan jobs."""
    return not any(argument.startswith(INSPECTING) for argument in arguments)


def check_own_files(config: Config) -> None:
    """Raise UserError where a file that a study of the run needs is not there and nothing can bring it."""
    directories = data_directories(config.data_directories)
    for name in sorted({dataset for study in config.run for dataset in config.studies[study].datasets}):
        for role, file in config.datasets[name].files.items():
            try:
                if file.path is not None:
                    own_files(file.path, directories)
                elif not (file.package or file.urls or find(file.name, [*directories, "results/files"])):
                    raise nowhere(file.name, directories)
            except UserError as error:
                raise UserError(f"datasets.{name}.files.{role}: {error}") from error


def check_writable(results: str | Path) -> None:
    """Raise UserError unless the folder of results can be made or written to."""
    folder = Path(results)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"'{folder}' is a file, but results are written to a folder of that name; move the file away")
    target = folder if folder.is_dir() else folder.absolute().parent
    if not os.access(target, os.W_OK | os.X_OK):
        raise UserError(f"no permission to write to '{target}'; change its permissions or run in a copy of your own")


def check_unlocked(state: str | Path) -> None:
    """Raise UserError where another run holds the lock that Snakemake keeps in its state folder, or died holding it."""
    locks = Path(state) / "locks"
    if locks.is_dir() and any(locks.iterdir()):
        raise UserError(
            "another run holds the results, or was killed while it did; wait for it to end, "
            "or if none is running, with the options of that run: snakemake --unlock && snakemake --rerun-incomplete"
        )
