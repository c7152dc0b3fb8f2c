"""What each file is and what it is for, found by looking at its beginning; and its rows."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from workbench.data.encoding import Encoding
from workbench.data.formats import delimited, jsonlines, jsonwhole, parquet, prose
from workbench.data.formats.jsonlines import Record
from workbench.data.lines import Block, Decoding, Stream, read_blocks
from workbench.data.mapping import ColumnMap
from workbench.data.parts import part_of, split_of
from workbench.data.pieces import Cutter
from workbench.data.problems import ProblemLog
from workbench.data.report import Report
from workbench.data.shapes import beir, llamaindex
from workbench.data.shapes.recognise import recognise
from workbench.data.sources import TEXT, Source
from workbench.data.wide import first_columns, narrow
from workbench.errors import BadInput

_HEAD = 1 << 18
#: JSON of one value: many programs write it on one line, however long.
_UNLINED = ("json", "llamaindex")
#: Kinds of file that are texts and not rows.
PROSE = {"text", "markdown", "pdf"}


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
    """One file and how it will be read. ``kind``: jsonl, json, llamaindex, delimited, trec,
    parquet, text, markdown or pdf; ``part``: rows, corpus, queries, qrels or texts."""

    source: Source
    kind: str
    part: str
    split: str | None
    report: Report
    encoding: str = "auto"
    #: The first row, or its columns with empty values where that is all that is known.
    sample: dict[str, Any] = field(default_factory=dict)
    #: Its columns as the file calls them.
    names: tuple[str, ...] = ()
    found: Encoding | None = None
    rows: int = 0
    columns: ColumnMap | None = None
    mapped: bool = False

    def blocks(self, tick: Callable[[int], None]) -> Iterator[Block]:
        """The file's lines, for the formats that are made of lines."""
        decoding = Decoding(self.encoding, on_found=self._settle)
        with self.source.open() as stream:
            yield from read_blocks(Counted(stream, tick), decoding, parts=self.kind in _UNLINED)

    def _settle(self, encoding: Encoding) -> None:
        self.found = encoding
        self.report.encoding = encoding.label

    def records(self, tick: Callable[[int], None], scratch: Path) -> Iterator[Record]:
        """The file's rows; problems with the file's form go to its report."""
        rows = narrow(self.raw_records(tick, scratch), self.report)
        if self.columns:
            return ((line, self.columns.rename(row)) for line, row in rows)
        return rows

    def raw_records(self, tick: Callable[[int], None], scratch: Path) -> Iterator[Record]:
        """The rows as the file has them."""
        if self.kind == "parquet":
            yield from self.few_records(tick, scratch, parquet.BATCH)
            return
        blocks = self.blocks(tick)
        if self.kind == "trec":
            yield from beir.trec(delimited.numbered(blocks, self.report), self.report)
        elif self.kind == "delimited":
            yield from delimited.read(blocks, self.report)
        elif self.kind == "json":
            yield from jsonwhole.read(blocks, self.report)
        else:
            yield from jsonlines.read(blocks, self.report)

    def pieces(
        self, tick: Callable[[int], None], scratch: Path, cutter: Cutter
    ) -> Iterator[prose.Piece]:
        """The documents of a file that is a text."""
        if self.kind == "pdf":
            with self.source.open() as stream, _seekable(stream, self.source.size, scratch) as file:
                yield from prose.read_pdf(file, self.source.label, cutter, self.report)
            tick(self.source.size)
            return
        lines = prose.text_lines(self.blocks(tick), self.report)
        yield from prose.read(self.kind, lines, self.source.label, cutter)

    def few_records(
        self, tick: Callable[[int], None], scratch: Path, rows: int
    ) -> Iterator[Record]:
        """The rows of a Parquet file as it has them, so many in memory at a time."""
        told = 0

        def done(share: float) -> None:
            nonlocal told
            now = int(share * self.source.size)
            tick(now - told)
            told = now

        with self.source.open() as stream, _seekable(stream, self.source.size, scratch) as file:
            yield from parquet.read(file, self.report, done, rows)


@contextmanager
def _seekable(stream: BinaryIO, size: int, scratch: Path) -> Iterator[Any]:
    """Parquet is read from its end: a member of a zip is copied out first."""
    if not isinstance(stream, zipfile.ZipExtFile):
        yield stream
        return
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / "member"
    left = size
    with path.open("wb") as copy:
        while left > 0 and (data := stream.read(min(1 << 20, left))):
            copy.write(data)
            left -= len(data)
    with path.open("rb") as whole:
        yield whole


def inspect(
    source: Source, encoding: str, log: ProblemLog, columns: ColumnMap | None = None
) -> Input:
    """Look at the beginning of a file. Raises OSError where it cannot be read."""
    report = Report(log, source.label)
    with source.open() as stream:
        head = stream.read(_HEAD)
    if source.suffix == ".parquet" or (head[:4] == b"PAR1" and source.suffix not in TEXT):
        kind, sample = "parquet", _parquet_columns(source)
    elif prose.KINDS.get(source.suffix) in ("markdown", "pdf"):
        kind, sample = prose.KINDS[source.suffix], {}
    else:
        kind, sample = _text_kind(source, head, encoding)
        named = columns.rename(sample) if columns else sample
        if source.suffix in prose.KINDS and kind != "trec" and not _is_table(kind, named):
            kind, sample = "text", {}
    sample = first_columns(sample)
    mapped = columns is not None and columns.applies(sample)
    raw, sample = sample, columns.rename(sample) if columns else sample
    part, split = _part(source.label, kind, sample), split_of(source.label)
    return Input(
        source,
        kind,
        part,
        split,
        report,
        encoding,
        sample,
        tuple(raw),
        columns=columns,
        mapped=mapped,
    )


def none_mapped(columns: ColumnMap, inputs: list[Input]) -> BadInput:
    """No file has any of the columns that were named."""
    wanted = ", ".join(f"'{column}'" for _, column in columns.pairs)
    have = list(dict.fromkeys(name for one in inputs for name in one.names))
    listed = ", ".join(f"'{name}'" for name in have[:12]) or "none"
    return BadInput(f"No file has the columns {wanted}.", f"The columns there are: {listed}.")


def _text_kind(source: Source, head: bytes, encoding: str) -> tuple[str, dict[str, Any]]:
    lines = _lines(head, encoding)
    text = b"\n".join(lines).lstrip(b"\xef\xbb\xbf \t\r\n")
    lined = source.suffix in (".jsonl", ".ndjson")
    if text[:1] in (b"{", b"[") or lined or source.suffix == ".json":
        return _json_kind(text, lines, lined)
    if source.suffix not in (".csv", ".tsv", ".tab") and not _tabular(lines):
        return ("jsonl" if text[:1] == b'"' else "delimited"), {}
    first = (
        next((line for line in lines if line.strip()), b"")
        .strip()
        .split(b"\r")[0]
        .decode("utf-8", "replace")
    )
    if _is_trec(first) and part_of(source.label) == "qrels":
        return "trec", {}
    mark = delimited.separator(first)
    return "delimited", {cell.strip(): "" for cell in delimited.cells(first, mark)}


def _is_table(kind: str, sample: dict[str, Any]) -> bool:
    """Whether a .txt holds rows: objects, or lines below a header of which all is known."""
    if kind != "delimited" or not sample or beir.looks_like_qrels(sample):
        return bool(sample)
    plan = recognise(sample)
    known = plan.format and not plan.guessed and not plan.unknown
    # A line of prose may well hold the word 'text'.
    return bool(known) and (plan.family != "documents" or beir.looks_like_texts(sample))


def _tabular(lines: list[bytes]) -> bool:
    return any(mark in line for line in lines[:1] for mark in (b"\t", b",", b";", b"|"))


def _is_trec(line: str) -> bool:
    cells = line.split()
    return len(cells) == 4 and cells[3].lstrip("-").isdigit()


def _lines(head: bytes, encoding: str) -> list[bytes]:
    class Once:
        def __init__(self) -> None:
            self.data = head

        def read(self, _size: int = -1, /) -> bytes:
            data, self.data = self.data, b""
            return data

    stream: Stream = Once()
    return [line for block in read_blocks(stream, Decoding(encoding)) for line in block.lines]


def _json_kind(text: bytes, lines: list[bytes], lined: bool) -> tuple[str, dict[str, Any]]:
    """JSON lines unless the file is one value: an array of objects, or objects over many lines."""
    if text[:1] == b"[" and text[1:].lstrip()[:1] == b"{":
        return "json", _within(text[1:].lstrip())
    for line in lines[:50]:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(value, dict):
            return ("llamaindex" if value.keys() >= llamaindex.KEYS else "jsonl"), value
    if lined or text[:1] != b"{":
        return "jsonl", {}
    # A long object on one line, or an object over many lines.
    sample = _within(text)
    names = set(sample)
    if names & llamaindex.KEYS and not names - llamaindex.KEYS - {"mode"}:
        return "llamaindex", sample
    return ("json" if len(text.split(b"\n", 1)[0].strip()) <= 1 else "jsonl"), sample


def _within(text: bytes) -> dict[str, Any]:
    """The first members of the object that begins here, as far as the file's beginning goes."""
    block = Block(1, text)
    cursor = jsonwhole.Cursor(iter([block]))
    found: dict[str, Any] = {}
    try:
        for _, key in jsonwhole.members(cursor, _nowhere()):
            found[key] = None
            found[key] = cursor.value()[0]
    except ValueError:
        return found  # The sample ends in the middle of the object, or it is broken.
    return found


def _nowhere() -> Report:
    return Report(ProblemLog(Path()), "", quiet=True)


def _parquet_columns(source: Source) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with source.open() as stream:
            if not stream.seekable():
                return {}
            return dict.fromkeys(pq.read_schema(stream).names)
    except (pa.ArrowException, OSError, ValueError):
        return {}  # The reader says what is wrong with it.


def _part(label: str, kind: str, sample: dict[str, Any]) -> str:
    if kind in PROSE:
        return "texts"
    if kind == "llamaindex":
        return "rows"
    if kind == "trec" or beir.looks_like_qrels(sample):
        return "qrels"
    named = part_of(label)
    if named in ("corpus", "queries") and beir.looks_like_texts(sample):
        return named
    return "rows"
