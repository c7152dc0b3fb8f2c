"""Lines of CSV many at a time: where every quotation mark stands as it should, Arrow reads them.

Whether it does is told by the marks' places alone: each that opens a cell follows a separator or a
line end, each that closes one is followed by one, and two together are a mark inside a cell.
"""

from codecs import BOM_UTF8
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from workbench.data.batch import Array
from workbench.data.formats.arrow import ArrowBlock
from workbench.data.lines import Block
from workbench.data.problems import Report

_QUOTE, _NEWLINE, _RETURN = (ord(one) for one in '"\n\r')


@dataclass(frozen=True, slots=True)
class Dialect:
    """``names``: the columns; ``mark``: what separates cells; ``quotes``: cells may be quoted;
    ``longest``: a row over more lines is none."""

    names: tuple[str, ...]
    mark: str
    quotes: bool
    longest: int


def numbered(blocks: Iterator[Block], report: Report) -> Iterator[tuple[int, str]]:
    for block in blocks:
        for position, line in enumerate(block.lines):
            number = block.first + position
            try:
                if position in block.bad or position in block.long:
                    raise UnicodeError
                yield number, line.decode("utf-8") + "\n"
            except UnicodeError:
                code = "line-too-long" if position in block.long else "not-utf8"
                detail = "64 MB" if position in block.long else report.encoding
                report.add(code, number, detail=detail)


class Feed:
    """The lines of blocks, one by one; between two rows whole blocks can be taken."""

    def __init__(self, blocks: Iterator[Block], report: Report) -> None:
        self._blocks = blocks
        self._report = report
        self._lines: deque[tuple[int, str]] = deque()
        self._rest: Block | None = None

    def __iter__(self) -> "Feed":
        return self

    def __next__(self) -> tuple[int, str]:
        while not self._lines:
            block = self.block()
            if block is None:
                raise StopIteration
            self.put(block)
        return self._lines.popleft()

    def __bool__(self) -> bool:
        """Whether lines are left of the block that was begun."""
        return bool(self._lines)

    def put(self, block: Block) -> None:
        """These lines come next."""
        self._lines.extend(numbered(iter([block]), self._report))

    def keep(self, rest: Block | None) -> None:
        """The beginning of a row that goes on in the next block."""
        self._rest = rest

    def block(self) -> Block | None:
        """The next block, None after the last. Asked for where no lines are left."""
        rest, block = self._rest, next(self._blocks, None)
        self._rest = None
        if rest is None or block is None:
            return block or rest
        if block.data:
            before = rest.lines
            return replace(
                block,
                first=rest.first,
                data=rest.data + block.data,
                decoded=None,
                bad=frozenset(one + len(before) for one in block.bad),
                long=frozenset(one + len(before) for one in block.long),
            )
        before = rest.lines
        return replace(
            block,
            first=rest.first,
            decoded=[*before, *block.lines],
            bad=frozenset(one + len(before) for one in block.bad),
            long=frozenset(one + len(before) for one in block.long),
        )


def whole_rows(block: Block, dialect: Dialect) -> tuple[ArrowBlock | None, Block, Block | None]:
    """The rows that the block begins with, their lines, and the lines of a row that goes on in the
    next block. No rows where they have to be read one by one."""
    data = block.data or b"".join(line + b"\n" for line in block.lines)
    # One byte is found much sooner than two.
    escaped = b"\\" in data and b'\\"' in data
    # Arrow would take a mark of UTF-8 off the first cell.
    if block.bad or block.long or block.open or escaped or data.startswith(BOM_UTF8):
        return None, block, None
    data = data if data.endswith(b"\n") else data + b"\n"
    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(text == _NEWLINE)
    quotes = np.flatnonzero(text == _QUOTE) if dialect.quotes else np.zeros(0, np.int64)
    outside = np.searchsorted(quotes, ends) % 2 == 0
    last = np.flatnonzero(outside)
    if not len(last) or not _are_lines(text, ends, data):
        return None, block, None
    kept = int(ends[last[-1]]) + 1
    quotes = quotes[quotes < kept]
    over_lines = len(last) <= last[-1]
    # Between tabs, a line with all cells is a row of its own and not the inside of a quoted cell.
    if not _close(text, quotes, dialect.mark) or (over_lines and dialect.mark == "\t"):
        return None, block, None
    starts = np.concatenate([[0], last[:-1] + 1])
    if (last - starts >= dialect.longest).any():
        return None, block, None
    rest = Block(block.first + int(last[-1]) + 1, data[kept:]) if kept < len(data) else None
    lines = Block(block.first, data[:kept])
    table = _table(lines.data, dialect)
    if table is None or table.num_rows != len(starts):
        return None, block, None
    return ArrowBlock(block.first + starts, table, cells=True), lines, rest


def _are_lines(text: Array, ends: Array, data: bytes) -> bool:
    """Whether no line, of those that end at these places, ends with a lone CR."""
    if b"\r" not in data:
        return True
    return bool((text == _RETURN).sum() == (text[ends - 1] == _RETURN).sum())


def _close(text: Array, quotes: Array, mark: str) -> bool:
    """Whether all quotation marks stand around cells, or in twos inside them."""
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    before = np.where(opening > 0, text[opening - 1], _NEWLINE)
    after = text[closing + 1]
    begins = (before == ord(mark)) | (before == _NEWLINE) | (before == _QUOTE)
    ends = (after == ord(mark)) | (after == _NEWLINE) | (after == _RETURN) | (after == _QUOTE)
    return bool(begins.all() and ends.all())


def _table(data: bytes, dialect: Dialect) -> pa.RecordBatch | None:
    # Arrow's own names, because it takes no two alike.
    names = [name for name, _ in zip(map(str, count()), dialect.names, strict=False)]
    try:
        table = pc.read_csv(
            pa.BufferReader(data),
            pc.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            pc.ParseOptions(
                delimiter=dialect.mark,
                quote_char='"' if dialect.quotes else False,
                newlines_in_values=dialect.quotes,
                ignore_empty_lines=False,
            ),
            pc.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowException:
        return None
    batches = table.combine_chunks().to_batches()
    if len(batches) != 1:
        return None
    return batches[0].rename_columns(list(dialect.names))
