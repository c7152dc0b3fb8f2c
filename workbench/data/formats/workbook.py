"""Excel's workbooks and their kin: the rows of the first sheet that has any."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import orjson

from workbench.data.formats import sheet_rows
from workbench.data.formats.fileformat import FileFormat, Head, Look, OpenFile
from workbench.data.formats.headers import LOOKED_AT, header_of
from workbench.data.formats.jsonrows import Record
from workbench.data.formats.tables import Columns

SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
#: Memory that a workbook may take while it is read.
_MEGABYTES = 2_048
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: What stands near the beginning of a workbook that is a zip: the name of one of its parts.
_INSIDE = re.compile(
    rb"PK\x03\x04.{26}xl/|application/vnd\.oasis\.opendocument\.spreadsheet", re.DOTALL
)
#: A spreadsheet program's own limit: rows that come after so many bytes are told of by size.
_ROW_BYTES = 200


def is_workbook(start: bytes) -> bool:
    """Whether a file that begins so is a workbook, whatever it is called."""
    return start.startswith(_ZIP) and _INSIDE.search(start) is not None


def read(file: OpenFile) -> Iterator[Record]:
    """The rows, with their numbers in the sheet. Blank ones are passed over."""
    report, head = file.report, file.memo
    with file.whole() as stream, _process(stream, 0) as lines, file.sharing() as done:
        about = _about(lines)
        if "error" in about:
            report.add("unreadable", 0, detail=about["error"])
            return
        others = [name for name in about["sheets"] if name != about["read"]]
        if others:
            report.add("other-sheets", 0, detail=", ".join(f"'{name}'" for name in others))
        rows = _cells(lines)
        first = list(islice(rows, LOOKED_AT))
        header = header_of(head, [cells for _, cells in first])
        names = list(header.names)
        first = first[header.above :]
        if not names and first:
            names = [cell.strip() for cell in first.pop(0)[1]]
        columns = Columns(names, report)
        try:
            for number, cells in chain(first, rows):
                done(number * _ROW_BYTES / max(1, file.size))
                row = columns.row(number, cells)
                if row is not None:
                    yield number, row
        finally:
            columns.finish()
        done(1.0)


def _look(head: Head, format: FileFormat) -> Look | None:
    named = head.suffix in format.suffixes
    if not named and not is_workbook(head.data):
        return None
    if not head.data.startswith((_ZIP, _OLE)):
        return None  # Excel opens a text of that name too, and so do we: as what it is.
    with head.open() as stream, _on_disk(stream) as file, _process(file, LOOKED_AT) as lines:
        about = _about(lines)
        first = [cells for _, cells in _cells(lines)] if "error" not in about else []
    header = header_of(head, first)
    names = header.names or tuple(cell.strip() for row in first[header.above :][:1] for cell in row)
    said = ((header.problem[0], 1, header.problem[1]),) if header.problem else ()
    return Look(dict.fromkeys(names, ""), memo=head, problems=said)


@contextmanager
def _on_disk(stream: Any) -> Iterator[Any]:
    """A file that a process can read: a member of a zip is copied out."""
    try:
        stream.fileno()
    except OSError:
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy)
            copy.flush()
            yield copy
    else:
        yield stream


@contextmanager
def _process(stream: Any, most: int) -> Iterator[Iterator[bytes]]:
    """The lines that the reading process writes about an open file."""
    command = [sys.executable, "-P", sheet_rows.__file__, str(_MEGABYTES), str(most)]
    child = subprocess.Popen(
        command, stdin=stream, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert child.stdout is not None
        with child.stdout as lines:
            yield iter(lines)
    finally:
        child.kill()
        child.wait()


def _about(lines: Iterator[bytes]) -> dict[str, Any]:
    said = next(lines, b"")
    if not said:
        return {"error": f"it unpacks to more than {_MEGABYTES:,} MB"}
    found: dict[str, Any] = orjson.loads(said)
    return found


def _cells(lines: Iterator[bytes]) -> Iterator[tuple[int, list[str]]]:
    for line in lines:
        number, cells = orjson.loads(line)
        if any(cell.strip() for cell in cells):
            yield number, cells


FORMAT = FileFormat(
    "workbook",
    "Excel/OpenDocument",
    SUFFIXES,
    read,
    order=30,
    first_bytes=(_ZIP, _OLE),
    look=_look,
    headed=True,
)
