"""Whether what lies in the folder of results was made by this code and under this clock. What was not is made anew.

Snakemake goes by the times of files and by what it recorded of their making. Where both are blind, results are given a time
that is older than any code, or code a time that is newer than any result.
"""

import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sclatent import __version__
from sclatent.atomic import write_text
from sclatent.errors import UserError
from sclatent.provenance import sha256_of

STAMP = ".made_by"  # version, content of the code, and a name of its own; in the folder of results and, again, in Snakemake's
CODE = ("scripts", "workflow")
NO_RESULTS = ("checkpoints", "logs", "reference")
OLD = datetime(2000, 1, 1).timestamp()
AHEAD = 60  # seconds by which the clock of a disk on the network may differ from ours


@dataclass
class Review:
    """What is to be made anew, and why.

    reasons: a line each. results: files that are not to be trusted. code: files whose change Snakemake would not see. stamp: what
    the folder of results is to say from now on.
    """

    reasons: list[str] = field(default_factory=list)
    results: list[Path] = field(default_factory=list)
    code: list[Path] = field(default_factory=list)
    stamp: dict = field(default_factory=dict)


def code_files(base: Path) -> list[Path]:
    """Return the files of the project that results may rest on."""
    return sorted(path for folder in CODE for path in (base / folder).rglob("*") if path.is_file() and path.suffix != ".pyc")


def check_not_ahead(paths: Iterable[Path]) -> None:
    """Raise UserError where code, or data of yours, is stamped in the future: what is made of it would always look stale."""
    for path in paths:
        if _is_ahead(path):
            when = datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
            raise UserError(f"'{path}' is stamped {when}, in the future; set the clock right, or if it is right: touch {path}")


def review(results: Path, state: Path, base: Path) -> Review:
    """Return what in the folder of results is to be made anew.

    state: folder of what Snakemake recorded of their making. base: folder of the project. Raises UserError where it cannot be
    known how the results were made.
    """
    files, code = _results(results), {path.relative_to(base).as_posix(): sha256_of(path) for path in code_files(base)}
    stamp = _read(results)
    new = {"version": __version__, "name": stamp.get("name", uuid.uuid4().hex), "code": code}
    newest = max((path.stat().st_mtime for path in files), default=0)
    changed = [base / path for path, content in stamp.get("code", {}).items() if code.get(path, content) != content]
    unseen = [path for path in changed if path.stat().st_mtime <= newest]
    reason = _doubt(stamp, state, results) if files else ""
    if not reason and not all(os.access(path, os.W_OK) for path in unseen):
        reason = f"'{unseen[0]}' is not the code that made '{results}'"
    if reason:
        return Review([f"{reason}: everything is made anew"], files, [], new)
    found = Review([], [path for path in files if _is_ahead(path)], unseen, new)
    for paths, what in (
        (found.results, "stamped in the future, as if the clock had been moved: they are"),
        (found.code, f"not the code that made '{results}', but look older: what rests on them is"),
    ):
        if paths:
            found.reasons.append(f"{len(paths)} files, the first '{os.path.relpath(paths[0])}', are {what} made anew")
    return found


def renew(found: Review, results: Path, state: Path, pins: Mapping[str, str | None]) -> None:
    """See to it that Snakemake makes anew what a review found.

    pins: SHA-256 of published files by path; one that has it is kept.
    """
    for path in found.results:
        pin = pins.get(path.as_posix())
        os.utime(path, None if pin is not None and sha256_of(path) == pin else (OLD, OLD))
    for path in found.code:
        os.utime(path)
    if _read(results) != found.stamp or _read(state) != found.stamp:
        for folder in (state, results):
            write_text(folder / STAMP, f"{json.dumps(found.stamp, indent=1)}\n")


def _doubt(stamp: Mapping, state: Path, results: Path) -> str:
    """Return why results are not to be trusted, nothing if they are."""
    if not stamp:
        return f"'{results}' does not say which version of sclatent made it"
    if stamp["version"] != __version__:
        return f"'{results}' was made by sclatent {stamp['version']}, and this is {__version__}"
    if _read(state).get("name") != stamp["name"]:
        raise UserError(
            f"how '{results}' was made is not recorded in '{state}', which is new or another's; to make everything anew: "
            f"rm {results / STAMP}; to trust that settings are the same: mkdir -p {state} && cp {results / STAMP} {state}; "
            "then run the same command again"
        )
    return ""


def _results(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != STAMP)
    return sorted(path for path in files if path.relative_to(folder).parts[0] not in NO_RESULTS)


def _read(folder: Path) -> dict:
    """Return the stamp in a folder; an empty one where there is none or it is damaged."""
    try:
        return json.loads((folder / STAMP).read_text())
    except (OSError, ValueError):
        return {}


def _is_ahead(path: Path) -> bool:
    return path.stat().st_mtime > time.time() + AHEAD
