"""Two runs' recipes, side by side: only what differs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Differing:
    """One field; None where a recipe does not have it."""

    field: str
    first: Any
    second: Any


def recipe_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Differing]:
    """The fields whose values are not the same, in the first recipe's order, nested ones by path
    ('values.epochs')."""
    one, other = _flat(first), _flat(second)
    names = list(dict.fromkeys([*one, *other]))
    return [
        Differing(name, one.get(name), other.get(name))
        for name in names
        if one.get(name) != other.get(name)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def shown(value: Any) -> str:
    """A value as people read it in a table of differences."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "—"
    return str(value) or "—"
