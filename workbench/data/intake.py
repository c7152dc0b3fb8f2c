"""What each file is, found by looking at its beginning before the first row is read: what it holds,
how its rows are recognised, and which corpus, queries and qrels belong together.

Rows of too many columns are refused one by one, so that no file is worked on for hours.
"""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from workbench.data.formats import fileformat
from workbench.data.formats.fileformat import HEAD, FileFormat, Head, OpenFile, Part
from workbench.data.formats.jsonrows import Record
from workbench.data.lines import Block, Decoding, Encoding, read_blocks
from workbench.data.mapping import ColumnMap
from workbench.data.pieces import Cutter, Piece
from workbench.data.problems import ProblemLog, Report
from workbench.data.shapes import beir
from workbench.data.shapes.beir import looks_like_texts
from workbench.data.shapes.recognise import recognise
from workbench.data.shapes.row import Plan
from workbench.data.shapes.scored import are_grades
from workbench.data.shapes.shape import judged_shape
from workbench.data.sources import Source, packed
from workbench.data.splits import part_of, split_of
from workbench.errors import BadInput

# Rows of too many columns: refused one by one, so that no file is worked on for hours.

#: Whoever drops a table of measurements with a text in it has some thousand; each is looked at for
#: what it may mean, and kept with each row.
MOST_COLUMNS = 10_000


def narrow(records: Iterator[Record], report: Report) -> Iterator[Record]:
    """The rows that have no more columns than are read; the others go to the report."""
    for line, row in records:
        if len(row) > MOST_COLUMNS:
            report.add("too-many-columns", line, detail=f"{len(row):,}")
        else:
            yield line, row


def first_columns(sample: dict[str, Any]) -> dict[str, Any]:
    """The columns of a row by which a file is recognised: as many as are read."""
    if len(sample) <= MOST_COLUMNS:
        return sample
    return dict(islice(sample.items(), MOST_COLUMNS))


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

    def parts(self, tick: Callable[[int], None], scratch: Path) -> Iterator[Part]:
        """The file's rows in parts, many at once where its format and its columns allow it."""
        if self.format.parts is None or self.columns:
            yield Part(None, partial(self.records, tick, scratch))
            return
        for part in self.format.parts(self._opened(tick, scratch)):
            wide = part.rows is not None and len(part.rows.names) > MOST_COLUMNS
            yield Part(None if wide else part.rows, partial(self._narrow, part))

    def _narrow(self, part: Part) -> Iterator[Record]:
        return narrow(part.records(), self.report)

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
    form, look = fileformat.format_of(head)
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


# How the rows of one file are recognised, decided before the first is read.

Find = Callable[[dict[str, Any]], Plan]
#: So many rows tell whether the numbers of a file are grades or scores, and what columns hold.
_LOOKED_AT, _SEEN = 1_000, 20


def finder(
    one: Input, scores: str, log: ProblemLog, look: Callable[[int], None], scratch: Path
) -> tuple[Find, bool]:
    """What recognises the file's rows, and whether each is one grade of a query.

    What a number beside two texts means is decided once for a file, by its first rows.
    """
    silent = replace(one, report=Report(log, one.source.label, quiet=True))
    first = silent.records(look, scratch)
    seen = [row for _, row in islice(first, _SEEN)]
    sample = seen[0] if seen else one.sample
    plan = recognise(sample, scores, seen)
    if plan.family in ("graded", "pairs") and plan.score is not None:
        # Only the numbers are kept of the rows that follow.
        rest = islice(first, _LOOKED_AT - len(seen))
        seen += [{plan.score: row.get(plan.score)} for _, row in rest]
        if scores == "auto":
            values = [row[plan.score] for row in seen if row.get(plan.score) is not None]
            scores = "grades" if are_grades(values) else "pairs"
    find = partial(recognise, scores=scores, seen=seen)
    return find, find(sample).family == "graded"


# Which corpus, queries and qrels belong together: those that lie nearest to each other.

_TEXTS = ("corpus", "queries")


def name_corpus(inputs: Sequence[Input]) -> None:
    """Where there are judgments and no file that is called a corpus: the files of texts with ids,
    as MS MARCO calls them 'msmarco_passage_00.jsonl', are it."""
    parts = {one.part for one in inputs}
    if "qrels" in parts and "corpus" not in parts:
        for one in inputs:
            if (
                one.part == "rows"
                and looks_like_texts(one.sample)
                and not split_of(one.source.label)
            ):
                one.part = "corpus"


def groups(inputs: Sequence[Input]) -> Iterator[list[Input]]:
    """For each set that has judgments: its files, and those that lie beside them.

    Qrels belong to the nearest folder above them that holds a corpus and queries, at any depth:
    ``qrels/test.tsv``, and ``data/test-00000-of-00001.parquet`` as hubs have it.
    """
    folders = {id(one): PurePosixPath(one.source.label).parent for one in inputs}
    qrels = [one for one in inputs if one.part == "qrels"]
    homes: dict[PurePosixPath, list[Input]] = {}
    for one in qrels:
        homes.setdefault(_home(folders[id(one)], inputs, folders), []).append(one)
    taken: set[int] = set()
    # The deepest first: what lies in one set is no part of another around it.
    for home in sorted(homes, key=lambda path: (-len(path.parts), str(path))):
        texts = [one for one in inputs if one.part in _TEXTS and id(one) not in taken]
        own = homes[home] + [one for one in texts if folders[id(one)].is_relative_to(home)]
        taken |= {id(one) for one in own}
        places = {home, *(folders[id(one)] for one in own)}
        others = [one for one in inputs if one.part not in ("qrels", *_TEXTS)]
        yield own + [one for one in others if folders[id(one)] in places]


def _home(
    folder: PurePosixPath, inputs: Sequence[Input], folders: dict[int, PurePosixPath]
) -> PurePosixPath:
    """The nearest folder with all that judgments need; their own where there is none."""
    for place in (folder, *folder.parents):
        below = {one.part for one in inputs if folders[id(one)].is_relative_to(place)}
        if below.issuperset(_TEXTS):
            return place
    return folder
