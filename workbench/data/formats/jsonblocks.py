"""The fast lane for JSON lines that all have the same plain fields: a block becomes columns.

A block is parsed by pyarrow, beside the thread that works on the one before, and checked as a
whole. Any doubt - a line that is blank, broken or of another shape, an empty text - and the block
is read line by line instead, which says what is wrong and where.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from workbench.data.builder import Batch
from workbench.data.lines import Block
from workbench.data.shapes.lists import ListReader

Array = np.ndarray[Any, Any]
#: After so many blocks with exceptions in a row a file is read line by line to its end.
_MISSES = 4
#: Bytes that a text of blanks only can begin with: ASCII's, and those of U+0085 to U+3000.
_MAY_BE_BLANK = np.zeros(256, bool)
_MAY_BE_BLANK[[*range(0x21), 0xC2, 0xE1, 0xE2, 0xE3]] = True
#: Blocks parsed ahead: one keeps both threads busy, and more would only hold memory.
_AHEAD = 1
_NEWLINE, _OPEN, _CLOSE = 0x0A, 0x7B, 0x7D


@dataclass(frozen=True, slots=True)
class PlainRows:
    """Rows of a query and columns of texts or lists of texts; the first column is the positive."""

    query: str
    columns: tuple[str, ...]
    schema: pa.Schema

    @classmethod
    def like(cls, record: dict[str, Any], reader: Any) -> "PlainRows | None":
        """The lane for rows like this one, if there is one for them."""
        if not isinstance(reader, ListReader):
            return None
        columns = (reader.positive, *reader.negatives)
        kinds = {name: _kind(record.get(name)) for name in columns}
        fields = {reader.query: pa.string(), **kinds}
        if set(record) != set(fields) or None in kinds.values():
            return None
        return cls(reader.query, columns, pa.schema(list(fields.items())))

    def parse(self, block: Block) -> Batch | None:
        """The block's rows, or None if they are to be read one by one."""
        lines = _objects(block.data)
        if not lines or block.bad or block.long:
            return None
        try:
            table = self._table(block.data)
            # In ASCII nothing can be wrong with the encoding.
            table.validate(full=not block.data.isascii())
        except pa.ArrowException:
            return None
        names = (self.query, *self.columns)
        if table.num_rows != lines or not all(_filled(table[name]) for name in names):
            return None
        return self._batch(table, block.first)

    def _table(self, data: bytes) -> pa.Table:
        reading = pj.ReadOptions(use_threads=False, block_size=len(data) + 1)
        parsing = pj.ParseOptions(explicit_schema=self.schema, unexpected_field_behavior="error")
        return pj.read_json(pa.BufferReader(data), read_options=reading, parse_options=parsing)

    def _batch(self, table: pa.Table, first: int) -> Batch | None:
        rows = table.num_rows
        columns = [_flat(_whole(table[name])) for name in self.columns]
        if not columns[0][1].all():
            return None  # Some row has no positive.
        owners, places, before = [], [], np.zeros(rows, np.int64)
        for texts, counts in columns:
            owner = np.repeat(np.arange(rows), counts)
            starts = np.cumsum(counts) - counts
            owners.append(owner)
            places.append(np.arange(len(texts)) - starts[owner] + before[owner])
            before += counts
        texts = pa.concat_arrays([column for column, _ in columns])
        return Batch(
            lines=np.arange(first, first + rows),
            queries=_whole(table[self.query]),
            texts=texts,
            owner=np.concatenate(owners),
            place=np.concatenate(places),
            grades=(np.arange(len(texts)) < len(columns[0][0])).astype(np.int32),
        )


def _objects(data: bytes) -> int:
    """How many lines there are, if each begins and ends with a brace; else 0.

    With as many rows as lines, and no objects inside objects, that is one row on each line.
    """
    if not data.startswith(b"{") or not data.endswith(b"}\n"):
        return 0
    view = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(view == _NEWLINE)
    whole = (view[ends - 1] == _CLOSE).all() and (view[ends[:-1] + 1] == _OPEN).all()
    return len(ends) if whole else 0


def _kind(value: Any) -> Any:
    if isinstance(value, str):
        return pa.string()
    return pa.list_(pa.string()) if isinstance(value, list) else None


def _filled(column: Any) -> bool:
    """Every text is there and not blank. (A list may be empty.)"""
    array = _whole(column)
    if array.null_count:
        return False
    texts = array.flatten() if pa.types.is_list(array.type) else array
    if texts.null_count:
        return False
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    if (ends[1:] == ends[:-1]).any():
        return False
    if not len(texts):
        return True
    firsts = np.frombuffer(data, np.uint8)[ends[:-1]]
    doubtful = np.flatnonzero(_MAY_BE_BLANK[firsts])
    return not (len(doubtful) and pc.any(pc.utf8_is_space(texts.take(pa.array(doubtful)))).as_py())


def _whole(column: Any) -> Any:
    array = column.combine_chunks()
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array


def _flat(column: Any) -> tuple[Any, Array]:
    """All texts of a column, and how many each row has."""
    if pa.types.is_list(column.type):
        return column.flatten(), np.diff(column.offsets.to_numpy())
    return column, np.ones(len(column), np.int64)


def ahead(blocks: Iterator[Block], lane: PlainRows | None) -> Iterator[Batch | Block]:
    """A batch for each block, or the block itself where it has to be read line by line.

    Each is parsed while the one before is being worked on. A block that became a batch is let go
    of at once: it is as large again as what was made of it.
    """
    misses = 0
    waiting: deque[Future[Batch | Block]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="parse") as pool:
        for block in chain(blocks, [None] * _AHEAD):
            if block is not None:
                usable = lane if misses < _MISSES else None
                waiting.append(pool.submit(_parse, usable, block))
            if len(waiting) > _AHEAD or (block is None and waiting):
                ready = waiting.popleft().result()
                misses = misses + 1 if isinstance(ready, Block) else 0
                yield ready


def _parse(lane: PlainRows | None, block: Block) -> Batch | Block:
    return (lane.parse(block) if lane is not None else None) or block
