"""Mistakes in a configuration, each as one line with its place and its cure."""

import re
import reprlib
from collections.abc import Iterator
from types import UnionType
from typing import Any

from pydantic import BaseModel, ValidationError

from sclatent.common.errors import UserError, nearest

SHORT = reprlib.Repr()  # of what a message quotes: aliases in a file can make it huge
SHORT.maxlevel, SHORT.maxstring, SHORT.maxother = 2, 200, 200


def texts(raw: dict) -> Iterator[tuple[str, str]]:
    """Yield every text of a configuration as it was read, keys among them, with its place; what has several places once."""
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


def check_reference(where: str, name: str, known: dict) -> None:
    if name not in known:
        raise UserError(
            f"configuration: {where} names '{name}', which is not defined{nearest(name, known)}"
        )


def one_line(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """Say the first mistake of a validation: the key, what was given, what is allowed, the nearest valid key."""
    first = error.errors()[0]
    path = [part for part in first["loc"] if part != "[key]"]
    where = ".".join(map(str, [*([prefix] if prefix else []), *path]))
    if first["type"] == "extra_forbidden":
        return f"configuration: unknown key '{where}'{nearest(str(path[-1]), _field_type(model, path[:-1]).model_fields)}"
    if first["type"] == "missing":
        return f"configuration: '{where}' is missing ({_description(model, path)})"
    if first["type"] == "value_error":
        return f"configuration: '{where}': {first['ctx']['error']}"
    rule = re.sub("^[A-Z][a-z]* should", "it should", first["msg"])
    rule = re.sub(
        "a valid dictionary( or instance of [A-Za-z]*)?", "a mapping of keys to values", rule
    )
    return f"configuration: '{where}' is {SHORT.repr(first['input'])}, but {rule} ({_description(model, path)})"


def _field_type(model: type[BaseModel], path: list) -> Any:
    """Follow a path of keys through nested sections; mappings by name and lists by index are stepped through."""
    current: Any = model
    for part in path:
        if isinstance(current, type) and issubclass(current, BaseModel):
            current = current.model_fields[part].annotation
        else:
            current = current.__args__[-1]
        if isinstance(current, UnionType):  # an optional section
            current = current.__args__[0]
    return current


def _description(model: type[BaseModel], path: list) -> str:
    """Return the meaning of the innermost named field on a path."""
    for end in range(len(path), 0, -1):
        section = _field_type(model, path[: end - 1])
        if (
            isinstance(section, type)
            and issubclass(section, BaseModel)
            and path[end - 1] in section.model_fields
        ):
            return section.model_fields[path[end - 1]].description
    return "see config/README.md"
