"""Finds the families by the names of their files.

The workflow reads hyper-parameters when it plans a run, in an environment that has no torch. So a
family's hyper-parameters are in `sclatent.families` and its network is in `sclatent.models`.
"""

import importlib
from pathlib import Path

from sclatent.common.errors import UserError, nearest
from sclatent.families.base import BaseHyperparameters

FOLDER = Path(__file__).parent
NOT_A_FAMILY = {"__init__", "base", "registry"}


def family_names() -> list[str]:
    """Return the names of all families, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in NOT_A_FAMILY)


def family_files(family: str) -> list[Path]:
    """Return the files of a family: its hyper-parameters and its network.

    Raises
    ------
    UserError
        If there is no such family; the message has the nearest name.
    """
    known = family_names()
    if family not in known:
        raise UserError(f"unknown model family '{family}'{nearest(family, known)}")
    return [FOLDER / f"{family}.py", FOLDER.parent / "models" / f"{family}.py"]


def hyperparameters_class(family: str) -> type[BaseHyperparameters]:
    """Return the class `Hyperparameters` of a family.

    Raises
    ------
    UserError
        If there is no such family, or if its file has no such class.
    """
    path = family_files(family)[0]
    try:
        return importlib.import_module(f"sclatent.families.{family}").Hyperparameters
    except AttributeError as error:
        raise UserError(f"{path} has no class Hyperparameters; every family needs one") from error
