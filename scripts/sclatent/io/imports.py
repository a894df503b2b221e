"""Finds the library files that a script needs, from import statements and without importing.

The workflow names these files as inputs. A change in a model then reruns the results of that model
and no others.
"""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parents[1]
# Modules that describe or label files and cannot change a number in them; a change in one makes
# no result stale.
PLUMBING = {"io.atomic", "io.contracts", "common.errors", "io.provenance"}


def code_of(starts: Iterable[Path]) -> list[Path]:
    """Find the library files that some files import, directly or through each other.

    Parameters
    ----------
    starts
        Scripts or library files.

    Returns
    -------
    list of Path
        Sorted; with those of `starts` that lie in the library, without those of `PLUMBING`.
    """
    waiting = list(starts)
    needed = {path for path in waiting if LIBRARY in path.parents}
    while waiting:
        for path in _imported_files(waiting.pop()) - needed:
            needed.add(path)
            waiting.append(path)
    return sorted(needed)


def imported_names(path: Path) -> set[str]:
    """Return the dotted names that a script or a module imports.

    `from a import b` gives both a and a.b, since b may be a module or a name in a module.
    """
    return set(_names_in(path, path.read_text()))


@cache  # most scripts need the same files
def _names_in(path: Path, source: str) -> frozenset[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import can only be one of this package: level 1 is the folder of the file.
            folder = (
                path.parents[node.level - 1].relative_to(LIBRARY.parent).parts if node.level else ()
            )
            module = ".".join([*folder, *(node.module or "").split(".")]).strip(".")
            names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    return frozenset(names)


def _imported_files(path: Path) -> set[Path]:
    """Return the library files that a file imports itself."""
    own = {name for name in imported_names(path) if name.split(".")[0] == "sclatent"}
    modules = {name.removeprefix("sclatent").removeprefix(".") for name in own}
    candidates = [LIBRARY.joinpath(*module.split(".")) for module in modules - PLUMBING]
    # A package holds only a docstring, so an imported file is always a module.
    files = {base.with_suffix(".py") for base in candidates}
    return {file for file in files if file.is_file()}
