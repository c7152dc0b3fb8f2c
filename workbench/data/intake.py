"""What each file is and what it is for, found by looking at its beginning; and its rows."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from workbench.data.formats import known
from workbench.data.formats.fileformat import HEAD, FileFormat, Head, OpenFile
from workbench.data.formats.jsonlines import Record
from workbench.data.lines import Block, Decoding, Encoding, read_blocks
from workbench.data.mapping import ColumnMap
from workbench.data.pieces import Cutter, Piece
from workbench.data.problems import ProblemLog
from workbench.data.report import Report
from workbench.data.shapes import beir
from workbench.data.shapes.shape import judged_shape
from workbench.data.sources import Source, packed
from workbench.data.splits import part_of, split_of
from workbench.data.wide import first_columns, narrow
from workbench.errors import BadInput

_ROWS_AT_ONCE = 1_000


class Counted:
    """A stream that says how many bytes were taken from it."""

    def __init__(self, stream: BinaryIO, tick: Callable[[int], None]) -> None:
        self._stream = stream
        self._tick = tick

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._tick(len(data))
        return data


@dataclass(slots=True)
class Input:
    """One file and how it will be read. ``part``: rows, corpus, queries, qrels, texts, or
    llamaindex for all three in one."""

    source: Source
    format: FileFormat
    part: str
    split: str | None
    report: Report
    encoding: str = "auto"
    #: What its format wants to know when it reads the file.
    memo: Any = None
    #: The first row, or its columns with empty values where that is all that is known.
    sample: dict[str, Any] = field(default_factory=dict)
    #: Its columns as the file calls them.
    names: tuple[str, ...] = ()
    #: What is to be said of it once it is read: (code, line, detail).
    problems: tuple[tuple[str, int, str], ...] = ()
    found: Encoding | None = None
    rows: int = 0
    columns: ColumnMap | None = None
    mapped: bool = False

    @property
    def kind(self) -> str:
        """The format's name."""
        return self.format.name

    def blocks(self, tick: Callable[[int], None]) -> Iterator[Block]:
        """The file's lines, for the formats that are made of lines."""
        decoding = Decoding(self.encoding, on_found=self._settle)
        with self.source.open() as stream:
            yield from read_blocks(Counted(stream, tick), decoding, parts=self.format.one_value)

    def _settle(self, encoding: Encoding) -> None:
        self.found = encoding
        self.report.encoding = encoding.label

    def records(self, tick: Callable[[int], None], scratch: Path) -> Iterator[Record]:
        """The file's rows; problems with the file's form go to its report."""
        rows = narrow(self.raw_records(tick, scratch), self.report)
        if self.columns:
            return ((line, self.columns.rename(row)) for line, row in rows)
        return rows

    def raw_records(
        self, tick: Callable[[int], None], scratch: Path, rows: int = _ROWS_AT_ONCE
    ) -> Iterator[Record]:
        """The rows as the file has them; ``rows`` are in memory at a time where a format reads so
        many at once."""
        if self.format.rows is None:
            return iter(())
        return self.format.rows(self._opened(tick, scratch, rows))

    def pieces(self, tick: Callable[[int], None], scratch: Path, cutter: Cutter) -> Iterator[Piece]:
        """The documents of a file that is a text."""
        if self.format.pieces is None:
            return iter(())
        return self.format.pieces(self._opened(tick, scratch), cutter)

    def tell(self) -> None:
        """Report what its beginning left in doubt."""
        for code, line, detail in self.problems:
            self.report.add(code, line, detail=detail)

    def _opened(
        self, tick: Callable[[int], None], scratch: Path, rows: int = _ROWS_AT_ONCE
    ) -> OpenFile:
        def blocks() -> Iterator[Block]:
            return self.blocks(tick)

        def whole() -> AbstractContextManager[Any]:
            return _whole(self.source, scratch)

        source = self.source
        return OpenFile(
            source.label, source.size, self.report, self.memo, blocks, whole, tick, rows
        )


@contextmanager
def _whole(source: Source, scratch: Path) -> Iterator[Any]:
    """A file that can be read at any place: a member of a zip is copied out first."""
    with source.open() as stream:
        if not isinstance(stream, zipfile.ZipExtFile):
            yield stream
            return
        scratch.mkdir(parents=True, exist_ok=True)
        path = scratch / "member"
        left = source.size
        with path.open("wb") as copy:
            while left > 0 and (data := stream.read(min(1 << 20, left))):
                copy.write(data)
                left -= len(data)
        with path.open("rb") as whole:
            yield whole


def inspect(
    source: Source,
    encoding: str,
    log: ProblemLog,
    columns: ColumnMap | None = None,
    header: str = "auto",
) -> Input | None:
    """Look at the beginning of a file; None for one that is packed, after saying so. Raises OSError
    where it cannot be read."""
    with source.open() as stream:
        start = stream.read(HEAD)
    head = Head(source.label, start, source.open, encoding, header, columns)
    form, look = known.format_of(head)
    if not start.startswith(tuple(form.first_bytes)) and (told := packed(start)):
        log.add("unsupported-shape", source.label, detail=told[0], hint=told[1])
        return None
    raw = first_columns(dict(look.sample))
    sample = head.renamed(raw)
    return Input(
        source,
        form,
        look.part or _part(source.label, sample),
        split_of(source.label),
        Report(log, source.label),
        encoding,
        look.memo,
        sample,
        tuple(raw),
        look.problems,
        columns=columns,
        mapped=columns is not None and columns.applies(raw),
    )


def none_mapped(columns: ColumnMap, inputs: list[Input]) -> BadInput:
    """No file has any of the columns that were named."""
    wanted = ", ".join(f"'{column}'" for _, column in columns.pairs)
    have = list(dict.fromkeys(name for one in inputs for name in one.names))
    listed = ", ".join(f"'{name}'" for name in have[:12]) or "none"
    return BadInput(f"No file has the columns {wanted}.", f"The columns there are: {listed}.")


def _part(label: str, sample: dict[str, Any]) -> str:
    if judged_shape(sample) is not None:
        return "qrels"
    named = part_of(label)
    if named in ("corpus", "queries") and beir.looks_like_texts(sample):
        return named
    return "rows"
