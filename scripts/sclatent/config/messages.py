"""Mistakes in a configuration, each in one line with its place and its cure."""

import re
import reprlib
from collections.abc import Collection, Iterator
from types import UnionType
from typing import Any

from pydantic import BaseModel, ValidationError

from sclatent.common.errors import UserError, nearest
from sclatent.families.base import BaseHyperparameters
from sclatent.families.registry import hyperparameters_class

# Shortens what a message quotes: aliases in a YAML file can make it huge.
SHORT = reprlib.Repr()
SHORT.maxlevel, SHORT.maxstring, SHORT.maxother = 2, 200, 200


def texts(raw: dict) -> Iterator[tuple[str, str]]:
    """Yield every text of a configuration as it was read, with its place; keys are texts, too.

    An object that stands in several places, as aliases of a YAML file do, is visited once.
    """
    waiting, seen = [("", raw)], set()
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, str):
            yield where, value
        elif isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
                place = f"{where}.{key}".lstrip(".")
                waiting += [(place, key), (place, entry)]


def check_reference(where: str, name: str, known: Collection[str]) -> None:
    """Raise UserError with the nearest known name if a name is not known."""
    if name not in known:
        raise UserError(
            f"configuration: {where} names '{name}', which is not defined{nearest(name, known)}"
        )


def one_line(error: ValidationError, config: type[BaseModel], raw: dict) -> str:
    """Describe one mistake of a validation: the outermost unknown key, or else the first mistake.

    An unknown key is often the cause of the others, such as a required key that is misspelt.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    config : type of BaseModel
        The class of the whole configuration.
    raw : dict
        The configuration that was validated.

    Returns
    -------
    str
        The key, the value given, the values allowed, the meaning of the key. For an unknown key,
        the nearest known one.
    """
    mistakes = error.errors()
    unknown = [mistake for mistake in mistakes if mistake["type"] == "extra_forbidden"]
    first = min(unknown or mistakes[:1], key=lambda mistake: len(mistake["loc"]))
    path = [part for part in first["loc"] if part != "[key]"]
    where = ".".join(map(str, path))
    types = _types_along(config, path, raw)
    if first["type"] == "extra_forbidden":
        known = types[len(path) - 1].model_fields
        return f"configuration: unknown key '{where}'{nearest(str(path[-1]), known)}"
    meaning = _meaning(path, types)
    if first["type"] == "missing":
        return f"configuration: '{where}' is missing ({meaning})"
    if first["type"] == "value_error" and "ctx" in first:
        return f"configuration: '{where}': {first['ctx']['error']}"
    rule = re.sub("^[A-Z][a-z]* should", "it should", first["msg"])
    rule = re.sub(
        "a valid dictionary( or instance of [A-Za-z]*)?", "a mapping of keys to values", rule
    )
    given = SHORT.repr(first["input"])
    return f"configuration: '{where}' is {given}, but {rule} ({meaning})"


def _types_along(config: type[BaseModel], path: list, raw: dict) -> list[Any]:
    """Return the type that each part of a path of keys is looked up in.

    Lists and mappings by name have the type of their entries next. The path ends early if a part is
    unknown or belongs to a value, as a member of a union does.
    """
    types: list[Any] = [config]
    for depth, part in enumerate(path[:-1]):
        current = types[-1]
        if _is_section(current):
            if part not in current.model_fields:
                break
            current = current.model_fields[part].annotation
        elif hasattr(current, "__args__"):
            current = current.__args__[-1]
        else:
            break
        if isinstance(current, UnionType):  # an optional section
            current = current.__args__[0]
        if current is BaseHyperparameters:
            entry = raw
            for key in path[:depth]:
                entry = entry[key]
            current = hyperparameters_class(entry["family"])
        types.append(current)
    return types


def _meaning(path: list, types: list[Any]) -> str:
    """Return the description of the innermost key that has one."""
    for part, section in reversed(list(zip(path, types, strict=False))):
        if _is_section(section) and part in section.model_fields:
            return section.model_fields[part].description or ""
    return "see config/README.md"


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
