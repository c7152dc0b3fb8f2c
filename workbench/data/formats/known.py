"""All formats that are read, in the order in which they are asked whether a file is theirs.

A file in this folder that defines ``FORMAT`` (or ``FORMATS``) is found by itself; code elsewhere
calls :func:`register`.
"""

import pkgutil
from functools import cache
from importlib import import_module

from workbench.data.formats.fileformat import FileFormat, Head, Look
from workbench.errors import BadInput

_REGISTERED: dict[str, FileFormat] = {}


def register(format: FileFormat) -> None:
    """Add a format. Raises :class:`BadInput` where one has its name."""
    if format.name in _REGISTERED:
        raise BadInput(
            f"There is already a format called '{format.name}'.", "Give it another name."
        )
    _REGISTERED[format.name] = format


def unregister(name: str) -> None:
    """Take a format out again."""
    del _REGISTERED[name]


@cache
def _find() -> None:
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(import_module(package).__path__):
        found = import_module(f"{package}.{module.name}")
        for format in (*getattr(found, "FORMATS", ()), getattr(found, "FORMAT", None)):
            if format is not None and format.name not in _REGISTERED:
                register(format)


def formats() -> tuple[FileFormat, ...]:
    _find()
    return tuple(sorted(_REGISTERED.values(), key=lambda one: (one.order, one.name)))


def suffixes() -> frozenset[str]:
    """How the names of files end that are read."""
    return frozenset(suffix for one in formats() for suffix in one.suffixes)


def named(texts: bool) -> str:
    """What rows are read from, or what ``texts`` are, for a sentence."""
    rows = [one for one in formats() if one.rows and one.suffixes]
    words = [one.label for one in rows if not texts]
    words += [suffix for one in formats() if texts and one.pieces for suffix in one.suffixes]
    return ", ".join(words)


def format_of(head: Head) -> tuple[FileFormat, Look]:
    """The format of a file, and what its beginning says."""
    for one in formats():
        if (found := one.look(head, one)) is not None:
            return one, found
    return _REGISTERED["delimited"], Look()
