"""Whether what lies in the folder of results was made by this code and under this clock. What was not is made anew.

Snakemake goes by the times of files and by what it recorded of their making. Where both are blind, results are given a time
that is older than any code, or code a time that is newer than any result.
"""

import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sclatent import __version__
from sclatent.common.errors import UserError, fault_of_disk
from sclatent.io.atomic import write_text
from sclatent.io.provenance import sha256_of

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
    return sorted(
        path
        for folder in CODE
        for path in (base / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )


def check_not_ahead(paths: Iterable[Path]) -> None:
    """Raise UserError where code, or data of yours, is stamped in the future: what is made of it would always look stale."""
    for path in paths:
        if (then := path.stat().st_mtime) > time.time() + AHEAD:
            when = datetime.fromtimestamp(then).strftime("%Y-%m-%d %H:%M")
            raise UserError(
                f"'{path}' is stamped {when}, in the future; set the clock right, or if it is right: touch {path}"
            )


def review(results: Path, state: Path, base: Path) -> Review:
    """Return what in the folder of results is to be made anew.

    state: folder of what Snakemake recorded of their making. base: folder of the project. Raises UserError where it cannot be
    known how the results were made.
    """
    times, stamp = _times(results), _read(results)
    code = {path.relative_to(base).as_posix(): sha256_of(path) for path in code_files(base)}
    new = {"version": __version__, "name": stamp.get("name", uuid.uuid4().hex), "code": code}
    newest = max(times.values(), default=0)
    changed = [
        base / path
        for path, content in stamp.get("code", {}).items()
        if code.get(path, content) != content
    ]
    unseen = [path for path in changed if path.stat().st_mtime <= newest]
    reason = _doubt(stamp, state, results) if times else ""
    if not reason and not all(os.access(path, os.W_OK) for path in unseen):
        reason = f"'{unseen[0]}' is not the code that made '{results}'"
    if reason:
        return Review([f"{reason}: everything is made anew"], list(times), [], new)
    ahead = [path for path, then in times.items() if then > time.time() + AHEAD]
    reasons = (
        [f"stamped in the future, as if the clock had been moved: {_named(ahead)}; made anew"]
        if ahead
        else []
    )
    if unseen:
        reasons.append(
            f"not the code that made '{results}', though it looks older: {_named(unseen)}; what rests on it is made anew"
        )
    return Review(reasons, ahead, unseen, new)


def renew(found: Review, results: Path, state: Path, pins: Mapping[str, str | None]) -> None:
    """See to it that Snakemake makes anew what a review found.

    pins: SHA-256 of published files by path; one that has it is kept. Raises UserError where a file is another user's.
    """
    for path in [*found.results, *found.code]:
        pin = pins.get(path.as_posix())
        trusted = path in found.code or (pin is not None and sha256_of(path) == pin)
        try:
            os.utime(path, None if trusted else (OLD, OLD))
        except OSError as error:
            raise fault_of_disk(error, path) or error from error
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


def _named(paths: list[Path]) -> str:
    """Return the first of some paths and how many more there are."""
    return f"'{os.path.relpath(paths[0])}'" + (f" and {len(paths) - 1} more" if paths[1:] else "")


def _times(folder: Path) -> dict[Path, float]:
    """Return the times of the results in a folder; files that vanish meanwhile, of a run that goes on, have none."""
    times = {}
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in sorted(names)):
            if path.name != STAMP and path.relative_to(folder).parts[0] not in NO_RESULTS:
                with suppress(OSError):
                    times[path] = path.stat().st_mtime
    return dict(sorted(times.items()))


def _read(folder: Path) -> dict:
    """Return the stamp in a folder; an empty one where there is none or it is damaged."""
    try:
        stamp = json.loads((folder / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    fits = (
        isinstance(stamp, dict)
        and stamp.keys() == {"version", "name", "code"}
        and isinstance(stamp["code"], dict)
    )
    return stamp if fits else {}
