"""Arrow's own files: Feather, and what the ``datasets`` library saves to disk."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from workbench.data.formats.columnar import rows_of
from workbench.data.formats.fileformat import FileFormat, Head, Look, OpenFile
from workbench.data.formats.jsonlines import Record
from workbench.data.problems import shorten

#: A file can be read at any place; a stream, which ``datasets`` writes, from its beginning.
_FILE, _STREAM = b"ARROW1\0\0", b"\xff\xff\xff\xff"
_OLD = b"FEA1"


def read(file: OpenFile) -> Iterator[Record]:
    """The rows, some in memory at a time."""
    number = 0
    try:
        with file.whole() as stream, file.sharing() as done:
            for batch in _batches(stream):
                # A damaged file must not be read beyond its ends.
                batch.validate(full=True)
                for start in range(0, batch.num_rows, file.rows_at_once):
                    part = batch.slice(start, file.rows_at_once)
                    yield from rows_of(part, number, file.report)
                    number += part.num_rows
                done(stream.tell() / max(1, file.size))
            done(1.0)
    except (pa.ArrowException, OSError, ValueError) as error:
        said = str(error) or type(error).__name__
        file.report.add(
            "unreadable", 0, detail=shorten(said[:1].lower() + said[1:], 200).rstrip(".")
        )


def _batches(stream: Any) -> Iterator[Any]:
    start = stream.read(8)
    stream.seek(0)
    if start.startswith(_OLD):
        raise ValueError("it is Feather of the first version, which pandas before 1.0 wrote")
    if start == _FILE:
        with pa.ipc.open_file(stream) as table:
            for place in range(table.num_record_batches):
                yield table.get_batch(place)
    else:
        with pa.ipc.open_stream(stream) as table:
            yield from table


def _look(head: Head, format: FileFormat) -> Look | None:
    known = head.data.startswith((_FILE, _STREAM, _OLD))
    if not known and head.suffix not in format.suffixes:
        return None
    try:
        with head.open() as stream:
            if head.data.startswith(_STREAM):
                return Look(dict.fromkeys(pa.ipc.open_stream(stream).schema.names))
            if stream.seekable():
                return Look(dict.fromkeys(pa.ipc.open_file(stream).schema.names))
    except (pa.ArrowException, OSError, ValueError):
        return Look()  # The reader says what is wrong with it.
    return Look()


FORMAT = FileFormat(
    "arrow",
    "Arrow/Feather",
    (".arrow", ".feather", ".ipc"),
    read,
    order=20,
    first_bytes=(_FILE, _STREAM, _OLD),
    look=_look,
)
