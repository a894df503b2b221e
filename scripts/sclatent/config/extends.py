"""Models and data sets that start from another entry of their table: the key `extends`."""

from typing import Any

from sclatent.common.errors import UserError
from sclatent.config.messages import SHORT, check_reference

TABLES = ("datasets", "models")
# The keys of these are names that the user chose, so an entry replaces them as a whole.
WHOLE = {"files", "keep", "drop"}


def resolve_extends(raw: dict) -> dict:
    """Replace `extends` in the tables of a configuration by the settings of the entry it names.

    Parameters
    ----------
    raw : dict
        The configuration as Snakemake merged it from its files. It is not changed.

    Returns
    -------
    dict
        The same configuration, in which no entry of a table extends another.

    Raises
    ------
    UserError
        If an entry extends itself over others, one that is not defined, or something that is no
        text.

    Notes
    -----
    The keys of the entry replace those of the entry that it extends. Its sections, such as
    `training`, replace key by key. Lists, values, `files`, `keep` and `drop` replace as a whole. If
    a key is null, a section or list of the other entry is dropped, so that its defaults hold again.
    """
    tables = {kind: raw[kind] for kind in TABLES if isinstance(raw.get(kind), dict)}
    return {**raw, **{kind: _resolve(kind, entries) for kind, entries in tables.items()}}


def _resolve(kind: str, entries: dict) -> dict:
    resolved: dict = {}
    for name in entries:
        chain = _chain(kind, entries, name, resolved)
        for link in reversed(chain):
            entry = entries[link]
            parent = _extended(kind, entries, link)
            if parent is not None:
                entry = _extend(resolved[parent], entry, link)
            resolved[link] = entry
    return resolved  # an entry comes before those that extend it, as do its mistakes


def _chain(kind: str, entries: dict, name: Any, resolved: dict) -> list:
    """List an entry, the entry that it extends, and so on, up to one that is resolved or a root."""
    chain: dict = {}
    while name is not None and name not in resolved:
        if name in chain:
            links = [*list(chain)[list(chain).index(name) :], name]
            raise UserError(
                f"configuration: {kind}.{name}.extends leads back to itself: "
                f"{SHORT.repr(' -> '.join(map(str, links)))}; remove one of these"
            )
        chain[name] = None
        name = _extended(kind, entries, name)
    return list(chain)


def _extended(kind: str, entries: dict, name: Any) -> str | None:
    """Return the name of the entry that an entry extends, or None."""
    entry = entries[name]
    parent = entry.get("extends") if isinstance(entry, dict) else None
    if parent is None:
        return None
    where = f"{kind}.{name}.extends"
    if not isinstance(parent, str):
        raise UserError(
            f"configuration: {where} is {SHORT.repr(parent)}, but it should be the name of an "
            f"entry of {kind}"
        )
    check_reference(where, parent, entries)
    if not isinstance(entries[parent], dict):
        raise UserError(
            f"configuration: {kind}.{parent} is {SHORT.repr(entries[parent])}, but it should be a "
            "mapping of keys to values"
        )
    return parent


def _extend(parent: dict, entry: dict, name: str) -> dict:
    """Return the settings of an entry that extends another."""
    own = {key: value for key, value in entry.items() if key != "extends"}
    for key in set(own) - WHOLE:
        if isinstance(own[key], dict) and isinstance(parent.get(key), dict):
            own[key] = _replace(parent[key], own[key])
    if isinstance(parent.get("title"), str):
        own.setdefault("title", f"{parent['title']} ({name})")
    return _replace(parent, own)


def _replace(old: dict, new: dict) -> dict:
    """Return `old` with the keys of `new`; null drops a section or a list of `old`."""
    return {
        key: value
        for key, value in {**old, **new}.items()
        if not (value is None and isinstance(old.get(key), dict | list))
    }
