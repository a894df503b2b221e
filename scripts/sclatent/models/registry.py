"""Finds the network of a family."""

import importlib

from sclatent.families.registry import family_files
from sclatent.models.base import LatentModel


def load_family(family: str) -> type[LatentModel]:
    """Return the class `Model` of a family.

    Raises
    ------
    UserError
        If there is no such family.
    """
    family_files(family)  # raises for an unknown family
    return importlib.import_module(f"sclatent.models.{family}").Model
