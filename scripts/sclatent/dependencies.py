"""Which library files a script rests on, found in its import statements without importing anything.

The workflow names these files as inputs, so that a change in a model reruns what that model made and nothing else.
"""

import ast
from pathlib import Path

LIBRARY = Path(__file__).parent
# Modules that move or describe data and cannot change a number; they do not make a result stale.
PLUMBING = {"", "atomic", "contracts", "errors", "matrices", "models", "provenance", "tables", "weights"}


def code_of(script: Path, family: str | None = None) -> list[Path]:
    """Return, sorted, the library files that a script imports, directly or not, and those of a model family if one is named."""
    found: set[Path] = set()
    waiting = [script] if family is None else [script, LIBRARY / "models" / f"{family}.py"]
    found.update(waiting[1:])
    while waiting:
        for path in _imported_files(waiting.pop()) - found:
            found.add(path)
            waiting.append(path)
    return sorted(found)


def _imported_files(path: Path) -> set[Path]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    modules = {name.removeprefix("sclatent").removeprefix(".") for name in names if name.split(".")[0] == "sclatent"}
    files = {LIBRARY.joinpath(*module.split(".")).with_suffix(".py") for module in modules - PLUMBING}
    return {file for file in files if file.is_file()}
