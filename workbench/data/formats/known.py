"""All formats that are read, in the order in which they are asked whether a file is theirs."""

from workbench.data.formats import arrow, delimited, jsonkinds, parquet, prose, trec, workbook
from workbench.data.formats.fileformat import FileFormat, Head, Look
from workbench.errors import BadInput

_FORMATS: list[FileFormat] = [
    parquet.FORMAT,
    arrow.FORMAT,
    workbook.FORMAT,
    prose.PDF,
    prose.MARKDOWN,
    jsonkinds.LLAMAINDEX,
    jsonkinds.VALUE,
    jsonkinds.LINES,
    trec.FORMAT,
    delimited.FORMAT,
    prose.TEXT,
]


def register(format: FileFormat) -> None:
    """Add a format from outside: it is asked before those that are here. Raises
    :class:`BadInput` where one has its name."""
    if any(one.name == format.name for one in _FORMATS):
        raise BadInput(
            f"There is already a format called '{format.name}'.", "Give it another name."
        )
    _FORMATS.insert(0, format)


def formats() -> tuple[FileFormat, ...]:
    return tuple(_FORMATS)


def suffixes() -> frozenset[str]:
    """How the names of files end that are read."""
    return frozenset(suffix for one in _FORMATS for suffix in one.suffixes)


def named(texts: bool) -> str:
    """What rows are read from, or what ``texts`` are, for a sentence."""
    rows = [one for one in _FORMATS if one.rows and one.suffixes]
    words = [one.label for one in rows if not texts]
    words += [suffix for one in _FORMATS if texts and one.pieces for suffix in one.suffixes]
    return ", ".join(words)


def format_of(head: Head) -> tuple[FileFormat, Look]:
    """The format of a file, and what its beginning says."""
    for one in _FORMATS:
        if (found := one.look(head, one)) is not None:
            return one, found
    return delimited.FORMAT, Look()
