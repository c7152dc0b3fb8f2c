"""Rows out of Arrow's record batches: Parquet, and Arrow's own files (Feather, and what the
``datasets`` library saves to disk). The 'line' of a problem is the row's number. Columns of texts
are read as they are: no text of them becomes a Python object.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.data.batch import Array
from workbench.data.formats.fileformat import FileFormat, Head, Look, OpenFile, Part
from workbench.data.formats.jsonrows import Record
from workbench.data.formats.tables import MISSING, BadList, join, listed, same_names
from workbench.data.problems import Report, shorten
from workbench.data.shapes.blocks import Doubt
from workbench.data.text_counts import bytes_of

# Rows that are Arrow's columns already: no text of them becomes a Python object.

#: Bytes that a text of blanks only can begin with: ASCII's, and those of U+0085 to U+3000.
_MAY_BE_BLANK = np.zeros(256, bool)
_MAY_BE_BLANK[[*range(0x21), 0xC2, 0xE1, 0xE2, 0xE3]] = True
#: Bytes that a cell with a list can begin with.
_MAY_BE_LIST = _MAY_BE_BLANK.copy()
_MAY_BE_LIST[[*b"[(a{s"]] = True
_LONGEST_MISSING = max(map(len, MISSING))
#: Texts that keep so many times their own size in memory are copied out of it.
_FAR_MORE = 16


@dataclass(frozen=True, slots=True)
class ArrowBlock:
    """``cells``: the columns are texts out of a table's cells, which may stand for other things."""

    lines: Array
    table: pa.RecordBatch
    cells: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.table.schema.names)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def without(self, name: str) -> "ArrowBlock":
        return replace(self, table=self.table.drop_columns([name]))

    def values(self, name: str) -> Sequence[Any]:
        column = self.table.column(name)
        try:
            found: list[Any] = column.to_pylist()
        except (ValueError, OverflowError) as error:  # It is beyond Python, or not UTF-8.
            raise Doubt from error
        if self.cells:
            odd = self._odd(name, column).tolist()
            meant = {one: self._meant(name, one) for one in {found[place] for place in odd}}
            for place in odd:
                found[place] = meant[found[place]]
        return found

    def text(self, name: str) -> pa.StringArray:
        if name not in self.names:
            raise Doubt
        array = _strings(self.table.column(name))
        if array.null_count:
            raise Doubt
        self._check(name, array)
        return self._apart(array)

    def texts(self, names: Sequence[str]) -> tuple[pa.StringArray, Array]:
        columns = [self._column(name) for name in names]
        counts = np.array([count for _, count in columns])
        if len(columns) == 1:
            return columns[0][0], counts
        owner = np.concatenate([np.repeat(np.arange(len(self)), count) for count in counts])
        order = np.argsort(owner, kind="stable")
        return pa.concat_arrays([texts for texts, _ in columns]).take(pa.array(order)), counts

    def _column(self, name: str) -> tuple[pa.StringArray, Array]:
        """The texts of a column of texts or lists of texts, and how many each row has."""
        array = self.table.column(name)
        kind = array.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
            texts = _strings(array.flatten())
            if texts.null_count:
                raise Doubt
        else:
            texts = _strings(array)
            filled = pc.fill_null(pc.greater(pc.binary_length(texts), 0), False)
            counts = filled.to_numpy(zero_copy_only=False)
            texts = texts if counts.all() else texts.filter(filled)
        self._check(name, texts)
        return self._apart(texts), counts.astype(np.int64)

    def _apart(self, texts: pa.StringArray) -> pa.StringArray:
        """The texts without the rest of the table. All of a record batch of Arrow's own files is
        one piece of memory, which stays for as long as a part of it is held: with the pictures."""
        if self.table.get_total_buffer_size() <= _FAR_MORE * texts.nbytes:
            return texts
        return texts.take(pa.array(np.arange(len(texts))))

    def _check(self, name: str, texts: pa.StringArray) -> None:
        """Raise :class:`Doubt` for a text that is blank, broken, or stands for something else."""
        if not len(texts):
            return
        ends, held = bytes_of(texts)
        if (ends[1:] == ends[:-1]).any():
            raise Doubt
        if held[ends[0] : ends[-1]].max() >= 0x80:
            try:
                texts.validate(full=True)
            except pa.ArrowException as error:
                raise Doubt from error
        for one in texts.take(pa.array(self._odd(name, texts))).to_pylist():
            if one.isspace() or (self.cells and self._meant(name, one) is not one):
                raise Doubt

    def _odd(self, name: str, texts: pa.StringArray) -> Array:
        """The places of texts that may be blank or stand for something else."""
        ends, held = bytes_of(texts)
        filled = np.flatnonzero(ends[1:] > ends[:-1])
        starts = ends[filled]
        firsts = held[starts]
        if not self.cells:
            return np.asarray(filled[_MAY_BE_BLANK[firsts]])
        odd = _MAY_BE_LIST[firsts]
        # Many words begin as 'array(' and 'set()' do.
        odd &= (firsts != ord("a")) | (held[np.minimum(starts + 1, len(held) - 1)] == ord("r"))
        odd &= (firsts != ord("s")) | (held[np.minimum(starts + 1, len(held) - 1)] == ord("e"))
        if not _is_id(name):
            odd |= ends[filled + 1] - starts <= _LONGEST_MISSING
        return np.asarray(filled[odd])

    @staticmethod
    def _meant(name: str, cell: str) -> Any:
        """The list that a cell holds, or the cell itself. Raises :class:`Doubt`."""
        if not _is_id(name) and len(cell) <= _LONGEST_MISSING and cell.strip() in MISSING:
            raise Doubt
        try:
            return listed(cell)
        except BadList as error:
            raise Doubt from error


def _is_id(name: str) -> bool:
    return name.lower().endswith("id")


def _strings(array: Any) -> pa.StringArray:
    """A column of texts as what everything here reads. Raises :class:`Doubt` for other columns."""
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise Doubt
    try:
        return array.cast(pa.string())
    except pa.ArrowException as error:
        raise Doubt from error


#: A file can be read at any place; a stream, which ``datasets`` writes, from its beginning.
_FILE, _STREAM = b"ARROW1\0\0", b"\xff\xff\xff\xff"
_OLD = b"FEA1"


def rows_of(batch: Any, before: int, report: Report) -> Iterator[Record]:
    """The batch's rows with their numbers; ``before``: rows that came before it."""
    names = list(batch.schema.names)
    doubled = len(set(same_names(names))) < len(names)
    if doubled:
        batch = batch.rename_columns([str(place) for place in range(len(names))])
    for number, row in enumerate(_rows(batch, before, report), before + 1):
        if row is not None and doubled:
            yield number, join(same_names(names), list(row.values()), number, report)
        elif row is not None:
            yield number, row


def _rows(batch: Any, before: int, report: Report) -> Iterator[dict[str, Any] | None]:
    try:
        yield from batch.to_pylist()
        return
    except (UnicodeDecodeError, ValueError, OverflowError):
        pass  # A value in it is beyond Python: find the row, and keep the others.
    for position in range(batch.num_rows):
        try:
            yield batch.slice(position, 1).to_pylist()[0]
        except (ValueError, OverflowError) as error:
            code = "not-utf8" if isinstance(error, UnicodeDecodeError) else "wrong-type"
            detail = "UTF-8" if code == "not-utf8" else "a value out of range"
            report.add(code, before + position + 1, detail=detail)
            yield None


#: A part has about so many bytes, and rows between these two numbers.
_PART_BYTES, _LEAST_ROWS, _MOST_ROWS = 1 << 20, 100, 10_000
#: So much of a column is read at a time, and not all of a row group.
_BUFFER = 1 << 18
Batches = Callable[[OpenFile], Iterator[tuple[int, Any]]]


def _rows_of_all(batches: Batches, file: OpenFile) -> Iterator[Record]:
    for before, batch in batches(file):
        yield from rows_of(batch, before, file.report)


def _parts(batches: Batches, file: OpenFile) -> Iterator[Part]:
    for before, batch in batches(replace(file, rows_at_once=_MOST_ROWS)):
        names = batch.schema.names
        lines = np.arange(before + 1, before + 1 + batch.num_rows)
        plain = len(set(same_names(names))) == len(names) and len(lines)
        block = ArrowBlock(lines, batch) if plain else None
        yield Part(block, partial(rows_of, batch, before, file.report))


def _in_parquet(file: OpenFile) -> Iterator[tuple[int, Any]]:
    """Batches of rows, each with how many rows stand before it."""
    number = 0
    try:
        with (
            file.whole() as stream,
            file.sharing() as done,
            # Else whole row groups are read ahead.
            pq.ParquetFile(stream, buffer_size=_BUFFER, pre_buffer=False) as table,
        ):
            total = max(1, table.metadata.num_rows)
            rows = _rows_at_once(file, table.metadata)
            for batch in table.iter_batches(batch_size=rows, use_threads=False):
                yield number, batch
                number += batch.num_rows
                done(number / total)
    except (pa.ArrowException, OSError, ValueError) as error:
        file.report.add("unreadable", 0, detail=shorten(str(error), 200))


def _rows_at_once(file: OpenFile, footer: Any) -> int:
    """How many rows are in memory at a time: fewer of long ones."""
    groups = range(footer.num_row_groups)
    size = sum(footer.row_group(group).total_byte_size for group in groups)
    fits = _PART_BYTES * footer.num_rows // max(1, size)
    return min(file.rows_at_once, max(_LEAST_ROWS, fits))


def _look_at_parquet(head: Head, format: FileFormat) -> Look | None:
    if head.suffix not in format.suffixes and not head.data.startswith(b"PAR1"):
        return None
    try:
        with head.open() as stream:
            # In a zip it can be read from its end only once it is copied out.
            return Look(dict.fromkeys(pq.read_schema(stream).names) if stream.seekable() else {})
    except (pa.ArrowException, OSError, ValueError):
        return Look()  # The reader says what is wrong with it.


_PARQUET = FileFormat(
    "parquet",
    "Parquet",
    (".parquet",),
    partial(_rows_of_all, _in_parquet),
    order=10,
    first_bytes=(b"PAR1",),
    look=_look_at_parquet,
    parts=partial(_parts, _in_parquet),
)


def _in_arrow(file: OpenFile) -> Iterator[tuple[int, Any]]:
    """Batches of rows, each with how many rows stand before it."""
    number = 0
    try:
        with file.whole() as stream, file.sharing() as done:
            for batch in _batches(stream):
                # A damaged file must not be read beyond its ends.
                batch.validate(full=True)
                for start in range(0, batch.num_rows, min(file.rows_at_once, _LEAST_ROWS)):
                    part = batch.slice(start, min(file.rows_at_once, _LEAST_ROWS))
                    yield number, part
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


def _look_at_arrow(head: Head, format: FileFormat) -> Look | None:
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


_ARROW = FileFormat(
    "arrow",
    "Arrow/Feather",
    (".arrow", ".feather", ".ipc"),
    partial(_rows_of_all, _in_arrow),
    order=20,
    first_bytes=(_FILE, _STREAM, _OLD),
    look=_look_at_arrow,
    parts=partial(_parts, _in_arrow),
)


FORMATS = (_PARQUET, _ARROW)
