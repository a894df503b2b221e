"""The model families, one file each; the name of the file is the name of the family in the configuration.

This package is imported while a workflow is planned, where torch is not at hand. It therefore finds the families, and
reads their hyper-parameters, without importing their files.
"""

import ast
import importlib
from functools import cache
from pathlib import Path

from pydantic import BaseModel

from sclatent.common.errors import UserError, nearest

FOLDER = Path(__file__).parent
NOT_A_FAMILY = {"__init__", "base", "hyperparameters"}


def family_names() -> list[str]:
    """Return the names of all families, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in NOT_A_FAMILY)


def family_file(family: str) -> Path:
    """Return the file of a family. Raises UserError, with the nearest name, where there is none."""
    known = family_names()
    if family not in known:
        raise UserError(f"unknown model family '{family}'{nearest(family, known)}")
    return FOLDER / f"{family}.py"


def hyperparameters_class(family: str) -> type[BaseModel]:
    """Return the class `Hyperparameters` of a family without importing the family's file.

    Only that class is executed, together with the imports from `typing`, `pydantic` and `sclatent.models.hyperparameters`
    on which it may rest. Raises UserError for an unknown family or a file whose class needs more than that.
    """
    path = family_file(family)
    return _class_of(path, path.read_text())


@cache  # each Snakemake process, of which a run on a cluster has two a job, asks hundreds of times
def _class_of(path: Path, source: str) -> type[BaseModel]:
    allowed = {"typing", "pydantic", "sclatent.models.hyperparameters"}
    statements = [
        node
        for node in ast.parse(source).body
        if (isinstance(node, ast.ImportFrom) and node.module in allowed)
        or (isinstance(node, ast.ClassDef) and node.name == "Hyperparameters")
    ]
    namespace: dict = {"__name__": f"sclatent.models.{path.stem}"}
    try:
        exec(compile(ast.Module(statements, type_ignores=[]), path, "exec"), namespace)
        return namespace["Hyperparameters"]
    except (NameError, KeyError) as error:
        raise UserError(
            f"{path.name}: class Hyperparameters is missing or needs more than {', '.join(sorted(allowed))} ({error})"
        ) from error


def load_family(family: str):
    """Import a family and return its class `Model`. Raises UserError for an unknown family."""
    family_file(family)
    return importlib.import_module(f"sclatent.models.{family}").Model
