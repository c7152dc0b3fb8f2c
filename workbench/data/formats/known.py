"""All formats that are read, in the order in which they are asked whether a file is theirs.

A file in this folder that defines ``FORMAT`` (or ``FORMATS``) is found by itself; code elsewhere
calls ``FILE_FORMATS.register``.
"""

from workbench.data.formats.fileformat import FileFormat, Head, Look
from workbench.extensions import Registry

FILE_FORMATS: Registry[FileFormat] = Registry(
    "format", package="workbench.data.formats", attribute="FORMAT"
)


def formats() -> tuple[FileFormat, ...]:
    return tuple(sorted(FILE_FORMATS.all(), key=lambda one: (one.order, one.name)))


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
    return FILE_FORMATS.get("delimited"), Look()
