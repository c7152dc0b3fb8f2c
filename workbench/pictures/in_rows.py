"""Brings the pictures that lie in tables' rows into a data set in the making."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from workbench.data.intake import Input
from workbench.data.shapes.row import own_fields
from workbench.data.sources import Source
from workbench.data.splits import READ_FIRST
from workbench.pictures.captions import (
    caption_column,
    caption_of_name,
    captions_in,
    picture_column,
)
from workbench.pictures.importing import (
    NOT_READ,
    CaptionedPicture,
    Cell,
    Entry,
    Layout,
    PictureImport,
    Places,
    entries,
    file_name,
    layout_of,
    too_large,
)
from workbench.pictures.opening import MOST_BYTES

# What an import would make of pictures, from their names and the beginnings of what names them.

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


class RowPictures:
    """``files``: pictures beside the tables, for rows that name one and do not hold it."""

    def __init__(
        self, pictures: PictureImport, files: list[Source], tick: Callable[[int], None]
    ) -> None:
        self._pictures = pictures
        self._tick = tick
        self._files = {one.label: one for one in files}
        self._places = Places(files)
        self._ids: set[str] = set()
        #: The files that rows named.
        self.named: set[str] = set()

    def run(self, inputs: list[Input], scratch: Path) -> list[Input]:
        """Add the pictures of all tables that hold some; returns the other files."""
        found = [(one, layout) for one in inputs if (layout := layout_of(one))]
        for one, layout in sorted(found, key=lambda pair: READ_FIRST[pair[0].split]):
            before = self._pictures.read
            for entry in entries(one, layout, self._tick, scratch):
                self._row(one, layout, entry)
            one.rows = self._pictures.read - before
            self._pictures.flush()
        mine = [one for one, _ in found]
        return [one for one in inputs if one not in mine]

    def _row(self, one: Input, layout: Layout, entry: Entry) -> None:
        own = own_fields(entry.row, entry.used)
        if not entry.cells:
            one.report.add("missing-field", entry.line, layout.column, detail=layout.column)
        for at, cell in enumerate(entry.cells):
            named = cell.name or f"{PurePosixPath(one.source.label).stem}-{entry.line}"
            label = self._fresh(entry.id or named, entry.line, at)
            about = CaptionedPicture(label, one.split, entry.captions, own, one.report, entry.line)
            self._cell(one, layout, entry, cell, about)

    def _cell(
        self, one: Input, layout: Layout, entry: Entry, cell: Cell, about: CaptionedPicture
    ) -> None:
        if cell.data is not None:
            data = cell.data
            self._pictures.keep(
                about, one.report, file_name(cell), lambda: _bounded(data), entry.line
            )
            return
        beside = self._places.find(one.source.label, cell.name) if cell.name else None
        if beside is not None:
            source = self._files[beside]
            self.named.add(beside)
            self._pictures.keep(
                about, one.report, beside, lambda: self._pictures.bytes(source), entry.line
            )
        elif cell.name:
            one.report.add("picture-missing", entry.line, layout.column, detail=cell.name)
        else:
            one.report.add("missing-field", entry.line, layout.column, detail=layout.column)

    def _fresh(self, wanted: str, line: int, at: int) -> str:
        """A document's id that no other picture has; the line tells those of one name apart."""
        label = f"{wanted}.{at + 1}" if at else wanted
        if label in self._ids:
            label = f"{label}-{line}"
        while label in self._ids:
            label += "-"
        self._ids.add(label)
        # Where it was brought from is no part of an id.
        return f"/{label}"


def _bounded(data: bytes) -> bytes:
    if len(data) > MOST_BYTES:
        raise too_large(len(data))
    return data


def seen(one: Input, layout: Layout, scratch: Path) -> Iterator[Seen]:
    """The first rows as a preview shows them: (file, line, name, captions)."""
    for entry in entries(one, layout, lambda _: None, scratch):
        for cell in entry.cells:
            yield one.source.label, entry.line, cell.name or layout.column, entry.captions
