"""What an import would make of pictures, from their names and the beginnings of what names them."""

from itertools import islice
from pathlib import Path

from workbench.data.intake import Input
from workbench.data.sources import Source
from workbench.pictures.captions import (
    caption_column,
    caption_of_name,
    captions_in,
    picture_column,
)
from workbench.pictures.importing import NOT_READ, Places

#: Rows of a captions file that are looked at.
_ROWS = 50

#: A picture's file or the row that names it, the line, its name and its captions.
Seen = tuple[str, int, str, list[str]]


def look(
    pictures: list[Source], inputs: list[Input], scratch: Path
) -> tuple[list[Seen], list[Input], str]:
    """The first pictures with their captions, the files that are read as any others, and a note
    where the pictures would not be read."""
    places = Places(pictures)
    found: list[Seen] = []
    naming = [
        one
        for one in inputs
        if places.beside(one.source.label) or (one.part != "texts" and picture_column(one.sample))
    ]
    rest = [one for one in inputs if one not in naming]
    if rest and not naming:
        return [], inputs, NOT_READ.format(len(pictures))
    for one in naming:
        column = picture_column(one.sample)
        if column is None:
            continue
        for line, row in islice(one.records(lambda _: None, scratch), _ROWS):
            caption = caption_column(row, column)
            said = captions_in(row.get(caption)) if caption else []
            found.append((one.source.label, line, str(row.get(column)), said))
    if not found:
        named = ((one.label, captions_in(caption_of_name(one.label))) for one in pictures[:_ROWS])
        found = [(label, 0, label.rpartition("/")[2], said) for label, said in named]
    return found, rest, ""
