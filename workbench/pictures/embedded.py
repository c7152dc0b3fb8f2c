"""Pictures that lie in a Parquet file's rows, as hubs keep picture data sets.

Hugging Face's image columns hold {bytes, path}; others hold the bytes alone, or a list of either.
Beside them stand captions, or the number of a class whose names the file's own notes tell.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.data.intake import Input
from workbench.data.shapes.fields import identifier
from workbench.data.shapes.texts import IDS
from workbench.data.wide import narrow
from workbench.pictures.captions import FILES, caption_column, caption_of_name, captions_in
from workbench.pictures.opening import is_picture

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
