"""Which library files a script rests on, found in its import statements without importing anything.

The workflow names these files as inputs, so that a change in a model reruns what that model made and nothing else.
"""

import ast
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parents[1]
# Modules that describe or label files and cannot change a number in them; a change in one makes no result stale.
PLUMBING = {"io.atomic", "io.contracts", "common.errors", "io.provenance"}


def code_of(starts: Iterable[Path]) -> list[Path]:
    """Return, sorted, the library files that scripts or notebooks import, directly or not, and those of the starts among them."""
    waiting = list(starts)
    found = {path for path in waiting if LIBRARY in path.parents}
    while waiting:
        for path in _imported_files(waiting.pop()) - found:
            found.add(path)
            waiting.append(path)
    return sorted(found)


def imported_names(path: Path) -> set[str]:
    """Return the dotted names that a script, a module or a notebook imports: of modules, and of what is taken from them."""
    return set(_names_in(path, _source(path)))


@cache  # most scripts rest on the same files
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
    own = {name for name in imported_names(path) if name.split(".")[0] == "sclatent"}
    modules = {name.removeprefix("sclatent").removeprefix(".") for name in own}
    candidates = [LIBRARY.joinpath(*module.split(".")) for module in modules - PLUMBING]
    # A package holds a docstring only, so what is imported is always a module.
    files = {base.with_suffix(".py") for base in candidates}
    return {file for file in files if file.is_file()}


def _source(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
