"""Brings pictures and their captions into a data set in the making.

A picture is a document whose text is its caption; each caption is a query for which its picture is
relevant. Captions come from rows that name pictures (ImageFolder's metadata, captions.jsonl), from
a .txt beside a picture, or else from the files' names.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.data.intake import Input, narrow
from workbench.data.problems import Report, shorten
from workbench.data.shapes.fields import identifier
from workbench.data.shapes.row import Document, Row, own_fields
from workbench.data.shapes.texts import IDS
from workbench.data.sources import BROKEN, Source
from workbench.data.splits import READ_FIRST, split_of
from workbench.errors import PictureUnusable
from workbench.pictures.captions import (
    FILES,
    caption_column,
    caption_of_name,
    captions_in,
    picture_column,
)
from workbench.pictures.opening import MOST_BYTES, is_picture
from workbench.pictures.store import keep_picture

if TYPE_CHECKING:
    from workbench.data.write_dataset import Assembly


FORMAT = "pictures"
#: A caption in a file of its own is a few sentences.
_SIDECAR = 20_000
NOT_READ = (
    "{0:,} pictures were not read: they lie beside texts or tables that do not name them. Give "
    "them a metadata.jsonl with file_name and text, or import them by themselves."
)
NAMES = "The captions were made from the files' names: no file says what is on the pictures."
NO_NAMES = (
    "{0:,} pictures have names without words, and no file says what is on them: they can be "
    "searched, and nothing is learnt from them."
)


@dataclass(slots=True)
class CaptionedPicture:
    """A picture and what is said of it."""

    label: str
    split: str | None
    captions: list[str]
    fields: str = ""
    #: The captions file's row, where there is one.
    report: Report | None = None
    line: int = 0


@dataclass(slots=True)
class _Named:
    """The pictures that captions files name, and the files that do."""

    by_label: dict[str, CaptionedPicture] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)


class PictureImport:
    """``tick`` is told bytes as they are read, and may raise to stop."""

    def __init__(self, assembly: "Assembly", tick: Callable[[int], None]) -> None:
        self._assembly = assembly
        self._tick = tick
        self._known: dict[str, str] = {}
        #: For what is found of captions that no file's row gave.
        self._names = Report(assembly.log, "file names")
        self._place: tuple[Report, str | None] | None = None
        self.read = 0

    def run(self, pictures: list[Source], inputs: list[Input]) -> list[Input]:
        """Add the pictures; returns the files that remain to be read as any others."""
        before = self.read
        named = self._named(pictures, inputs)
        rest = [one for one in inputs if one not in named.inputs]
        if pictures and rest and not named.inputs:
            self._assembly.notes.append(NOT_READ.format(len(pictures)))
            return inputs
        shown = [self._shown(one, named) for one in pictures]
        order = sorted(
            zip(shown, pictures, strict=True), key=lambda pair: READ_FIRST[pair[0].split]
        )
        for about, source in order:
            self._picture(about, source)
        self.flush()
        self._tell(shown, named, pictures, self.read - before)
        return rest

    def flush(self) -> None:
        """What was added so far is all of some file."""
        self._assembly.builder.flush()
        self._assembly.texts.flush()
        if self.read:
            self._assembly.formats[FORMAT] = self.read

    # -- captions ----------------------------------------------------------------------------

    def _named(self, pictures: list[Source], inputs: list[Input]) -> _Named:
        named = _Named()
        places = Places(pictures)
        for one in inputs:
            if one.kind == "text" and (label := places.beside(one.source.label)):
                self._sidecar(one, label, named)
            elif one.part in ("rows", "corpus") and (column := picture_column(one.sample)):
                self._rows(one, column, places, named)
        return named

    def _sidecar(self, one: Input, label: str, named: _Named) -> None:
        text = b"\n".join(line for block in one.blocks(self._tick) for line in block.lines)
        said = captions_in(text[:_SIDECAR].decode("utf-8", "replace"))
        named.inputs.append(one)
        if label not in named.by_label:
            named.by_label[label] = CaptionedPicture(
                label, split_of(label), said, "", one.report, 1
            )

    def _rows(self, one: Input, column: str, places: "Places", named: _Named) -> None:
        """A captions file: rows that name a picture each. Without any it is left to others."""
        if not places.any:
            return
        named.inputs.append(one)
        caption: str | None = None
        for line, row in one.records(self._tick, self._assembly.folder / "spool"):
            one.report.line = line
            caption = caption or caption_column(row, column)
            name = row.get(column)
            label = places.find(one.source.label, name) if isinstance(name, str) else None
            if label is None:
                detail = str(name) if name else f"(nothing in {column})"
                one.report.add("picture-missing", line, column, detail=detail)
                continue
            said = captions_in(row.get(caption)) if caption else []
            one.rows += 1
            known = named.by_label.get(label)
            if known is not None:
                known.captions += [text for text in said if text not in known.captions]
                continue
            split = one.split or split_of(label)
            own = own_fields(row, {column, caption})
            named.by_label[label] = CaptionedPicture(label, split, said, own, one.report, line)

    def _shown(self, source: Source, named: _Named) -> CaptionedPicture:
        if source.label in named.by_label:
            return named.by_label[source.label]
        said = [] if named.inputs else captions_in(caption_of_name(source.label))
        return CaptionedPicture(source.label, split_of(source.label), said)

    # -- pictures ----------------------------------------------------------------------------

    def _picture(self, about: CaptionedPicture, source: Source) -> None:
        report = Report(self._assembly.log, source.label)
        self.keep(about, report, source.label, lambda: self.bytes(source))

    def keep(
        self,
        about: CaptionedPicture,
        report: Report,
        name: str,
        read: Callable[[], bytes],
        line: int = 0,
    ) -> None:
        """Keep a picture and what is said of it, or tell the report what is wrong with it."""
        try:
            picture = keep_picture(self._assembly.folder, read(), name)
        except PictureUnusable as error:
            report.add(error.problem, line, detail=error.detail)
            return
        except BROKEN as error:
            report.add("unreadable", line, detail=shorten(str(error) or type(error).__name__))
            return
        if picture in self._known:
            report.add("picture-repeated", line, detail=self._known[picture])
            if not about.captions:
                return
        self._known.setdefault(picture, about.label.lstrip("/"))
        if not about.captions and about.report is not None:
            about.report.add("no-caption", about.line)
        self._add(about, picture)

    def bytes(self, source: Source) -> bytes:
        """A picture's file; raises :class:`PictureUnusable` where it is too large."""
        if source.size > MOST_BYTES:
            raise too_large(source.size)
        with source.open() as stream:
            data = stream.read(MOST_BYTES + 1)
        self._tick(len(data))
        return data

    def _add(self, about: CaptionedPicture, picture: str) -> None:
        builder, texts = self._assembly.builder, self._assembly.texts
        first = about.captions[0] if about.captions else ""
        document = Document(first, id=_id(about.label), fields=about.fields, picture=picture)
        self.read += 1
        report = about.report or self._names
        if not about.captions:
            if self._place != (report, "texts"):
                texts.begin(report)
                self._place = (report, "texts")
            texts.add(about.line, document)
            return
        if self._place != (report, about.split):
            builder.begin(report, about.split)
            # That a caption fits several pictures is no news.
            builder.gathers = True
            self._place = (report, about.split)
        for caption in about.captions:
            builder.add(about.line, Row(caption, [document], [1]))

    def _tell(
        self, shown: list[CaptionedPicture], named: _Named, pictures: list[Source], read: int
    ) -> None:
        if not pictures:
            return
        if not named.inputs:
            mute = sum(not one.captions for one in shown)
            if mute < len(shown):
                self._assembly.notes.append(NAMES)
            if mute:
                self._assembly.notes.append(NO_NAMES.format(mute))
        self._assembly.sources.append(
            {
                "file": PurePosixPath(pictures[0].label).parts[0],
                "bytes": sum(one.size for one in pictures),
                "kind": FORMAT,
                "part": FORMAT,
                "split": None,
                "encoding": "",
                "rows": read,
            }
        )


def too_large(size: int) -> PictureUnusable:
    return PictureUnusable.of("picture-too-large", f"{size / 1e6:,.0f} MB")


class Places:
    """Where the pictures lie: found by the path a row gives, from its own folder or from any."""

    def __init__(self, pictures: list[Source]) -> None:
        self._labels = {one.label for one in pictures}
        self._ends: dict[str, str | None] = {}
        for label in self._labels:
            name = PurePosixPath(label).name
            # A name that several pictures have names none of them.
            self._ends[name] = None if name in self._ends else label
        self._stems = {str(PurePosixPath(label).with_suffix("")): label for label in self._labels}

    @property
    def any(self) -> bool:
        return bool(self._labels)

    def find(self, captions: str, name: str) -> str | None:
        """The picture that a row of the file ``captions`` calls ``name``."""
        given = PurePosixPath(name.strip().replace("\\", "/"))
        parts = [part for part in given.parts if part not in (".", "/", "")]
        if not parts or ".." in parts:
            return None
        for folder in _above(captions):
            label = "/".join([*folder, *parts])
            if label in self._labels:
                return label
        return self._ends.get(parts[-1])

    def beside(self, text: str) -> str | None:
        """The picture of the same name as a text file."""
        return self._stems.get(str(PurePosixPath(text).with_suffix("")))


def _above(label: str) -> Iterator[tuple[str, ...]]:
    """The folders of a file, innermost first."""
    parts = PurePosixPath(label).parts[:-1]
    for length in range(len(parts), -1, -1):
        yield parts[:length]


def _id(label: str) -> str:
    """A picture's path without the folder or archive that was brought."""
    parts = PurePosixPath(label).parts
    return "/".join(parts[1:]) if len(parts) > 1 else label


def partition_sources(sources: Iterator[Source]) -> tuple[list[Source], list[Source]]:
    """(pictures, all other files)."""
    found: tuple[list[Source], list[Source]] = ([], [])
    for source in sources:
        found[0 if is_picture(source.label) else 1].append(source)
    return found


# Pictures that lie in a Parquet file's rows, as hubs keep picture data sets.
#
# Hugging Face's image columns hold {bytes, path}; others hold the bytes alone, or a list of
# either. Beside them stand captions, or the number of a class whose names the file's own notes
# tell.

#: Rows read at once: one may hold a picture of many megabytes.
ROWS = 8
#: What pictures pack to hardly differs from what they unpack to.
_RATIO, _ALWAYS_FINE = 200, 256 << 20
#: How a file of a format is called -> how it begins.
_BEGINNINGS = {
    ".png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    ".jpg": re.compile(rb"\xff\xd8\xff"),
    ".webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    ".gif": re.compile(rb"GIF8[79]a"),
    ".tif": re.compile(rb"II[*+]\0|MM\0[*+]"),
    ".jp2": re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
    ".avif": re.compile(rb"....ftyp(avi[fs]|m[is]f1)", re.DOTALL),
    ".bmp": re.compile(rb"BM"),
    ".ppm": re.compile(rb"P[1-6]\s"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture of a row: its bytes, or the name of a file where it has none, or neither."""

    data: bytes | None
    name: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a file's rows have their pictures. ``bare``: columns that hold bytes, which are none of
    a picture's own fields; ``classes``: column -> the names that its numbers stand for."""

    column: str
    bare: frozenset[str]
    classes: dict[str, list[str]] = field(default_factory=dict)
    #: Why the file is not read, in words; '' where it is.
    too_big: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row: its pictures and what is said of them."""

    line: int
    cells: list[Cell]
    captions: list[str]
    id: str | None
    row: dict[str, Any]
    #: Columns that are used up.
    used: set[str | None]


def layout_of(one: Input) -> Layout | None:
    """How a file holds pictures in its rows; None where it holds none, or is no Parquet."""
    if one.kind != "parquet":
        return None
    try:
        with one.source.open() as stream:
            if not stream.seekable():
                return None
            with pq.ParquetFile(stream) as file:
                return _layout(file, one)
    except (pa.ArrowException, OSError, ValueError):
        return None  # The reader of tables says what is wrong with it.


def _layout(file: Any, one: Input) -> Layout | None:
    schema = file.schema_arrow
    kinds = {one.name: _kind(one.type) for one in reversed(list(schema))}
    seen = [name for name, kind in kinds.items() if kind]
    named = dict(one.columns.pairs).get("picture") if one.columns else None
    column = named if named in seen else _likely(seen, kinds)
    if column is None:
        return None
    total = sum(
        file.metadata.row_group(at).total_byte_size for at in range(file.metadata.num_row_groups)
    )
    bomb = total > _ALWAYS_FINE and total > _RATIO * max(1, one.source.size)
    said = f"{total / 1e9:,.1f} GB, far more than pictures pack to" if bomb else ""
    return Layout(column, frozenset(seen), _classes(schema.metadata or {}), said)


def _kind(type_: pa.DataType) -> str:
    """'struct' for {bytes, path}, 'bytes' for bytes alone, in lists too; '' for anything else."""
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return _kind(type_.value_type)
    if pa.types.is_struct(type_):
        names = {type_.field(at).name for at in range(type_.num_fields)}
        return "struct" if "bytes" in names and _is_bytes(type_.field("bytes").type) else ""
    return "bytes" if _is_bytes(type_) else ""


def _is_bytes(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _likely(seen: list[str], kinds: dict[str, str]) -> str | None:
    """By name first; {bytes, path} under any name; bytes alone where they are called pictures."""
    lower = {name.strip().lower(): name for name in reversed(seen)}
    for name in FILES:
        if name in lower:
            return lower[name]
    structs = [name for name in seen if kinds[name] == "struct"]
    called = [name for name in seen if any(word in name.lower() for word in FILES[2:7])]
    return next(iter([*structs, *called]), None)


def _classes(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """The names of classes that the ``datasets`` library writes into a file's notes."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            column: [str(name).replace("_", " ") for name in about["names"]]
            for column, about in features.items()
            if isinstance(about, dict) and isinstance(about.get("names"), list)
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def entries(
    one: Input, layout: Layout, tick: Callable[[int], None], scratch: Path
) -> Iterator[Entry]:
    """The file's rows; what is wrong with the file itself goes to its report."""
    if layout.too_big:
        one.report.add("archive-too-big", 0, detail=layout.too_big)
        return
    for line, raw in narrow(one.raw_records(tick, scratch, ROWS), one.report):
        one.report.line = line
        plain = {name: value for name, value in raw.items() if name not in layout.bare}
        row = one.columns.rename(plain) if one.columns else plain
        caption = caption_column(row, layout.column)
        cells = list(_cells(raw.get(layout.column)))
        said = captions_in(_named(row.get(caption), layout.classes.get(caption))) if caption else []
        if caption is None:
            said = captions_in(next((caption_of_name(cell.name) for cell in cells), ""))
        lower = {str(name).lower(): name for name in row}
        id = next((lower[name] for name in ("image_id", *IDS) if name in lower), None)
        used: set[str | None] = {caption, id}
        yield Entry(line, cells, said, identifier(row.get(id)) if id else None, row, used)


def _named(value: Any, names: list[str] | None) -> Any:
    """A class's name in place of its number."""
    if names and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return value


def _cells(value: Any) -> Iterator[Cell]:
    for one in value if isinstance(value, list) else [value]:
        data = one.get("bytes") if isinstance(one, dict) else one
        name = one.get("path") if isinstance(one, dict) else ""
        yield Cell(data if isinstance(data, bytes) else None, name if isinstance(name, str) else "")


def file_name(cell: Cell) -> str:
    """What a picture's file is called: as its row says, else by its format."""
    if is_picture(cell.name):
        return PurePosixPath(cell.name.replace("\\", "/")).name
    start = (cell.data or b"")[:32]
    # Of another format, whoever opens it says what is wrong.
    found = (suffix for suffix, begins in _BEGINNINGS.items() if begins.match(start))
    return f"picture{next(found, '.img')}"
