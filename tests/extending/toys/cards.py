"""A file format: index cards."""

from collections.abc import Iterator
from typing import Any

from workbench.data.formats.delimited import numbered
from workbench.data.formats.fileformat import FILE_FORMATS, FileFormat, OpenFile
from workbench.data.formats.jsonrows import Record


def read(file: OpenFile) -> Iterator[Record]:
    """A card: lines of ``name: text``, with an empty line after it."""
    card: dict[str, Any] = {}
    begun = 0
    for number, line in numbered(file.blocks(), file.report):
        name, colon, text = line.strip().partition(": ")
        if colon:
            begun = number if not card else begun
            card[name] = text
        elif line.strip():
            file.report.add("not-object", number, detail="a line without a name")
        elif card:
            yield begun, card
            card = {}
    if card:
        yield begun, card


CARDS = FileFormat("cards", "index cards", (".cards",), read)

FILE_FORMATS.register(CARDS)
