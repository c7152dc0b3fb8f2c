"""What can be wrong with a row or a file, in sentences, and the list of all that was found.

Every problem names its file, its line (1-based; a row number in Parquet), its field, a code and a
severity: 'error' means the row was left out, 'warning' means it was kept. The message says what is
wrong and how to fix it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: How many problems are listed in the data set's file; the counts are always whole.
LISTED = 100_000
#: How many problems a job's result and an error carry along.
SHOWN = 100
_BUFFER = 2_000
#: Characters of a detail inside a sentence, and of one that is the whole sentence.
_DETAIL, _SENTENCE = 80, 320


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in one place. ``line`` is None when the whole file is meant."""

    file: str
    line: int | None
    field: str | None
    code: str
    severity: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What a code means: its usual severity, what happened, what to do.

    ``altered`` marks a warning after which a row is not in the data set just as it was sent:
    'strict' refuses those as it refuses errors.
    """

    severity: str
    what: str
    fix: str
    altered: bool = False
    #: What happened where the severity is 'error' and not the usual one.
    refused: str = ""


PROBLEMS: dict[str, ProblemKind] = {
    "not-json": ProblemKind(
        "error", "This is not valid JSON: {detail}.", "Correct the line or take it out."
    ),
    "not-object": ProblemKind(
        "error",
        "This is {detail}, not an object with named fields.",
        'Write each row as {{"query": ..., "pos": [...]}}.',
    ),
    "missing-field": ProblemKind(
        "error", "The row has no '{detail}'.", "Add the field, or take the row out."
    ),
    "wrong-type": ProblemKind("error", "Here is {detail}.", "Write text (or a list of texts)."),
    "empty-text": ProblemKind("error", "The text is empty.", "Fill it in, or take it out."),
    "no-positive": ProblemKind(
        "error",
        "Nothing is marked as relevant for this query{detail}.",
        "Give at least one positive text.",
    ),
    "positive-equals-negative": ProblemKind(
        "warning",
        "A positive text is also among the negatives; that negative was dropped.",
        "Take it out of one of the two lists.",
        altered=True,
    ),
    "duplicate-query": ProblemKind(
        "warning",
        "This query stood in an earlier row; the two were merged into one query.",
        "Nothing needs to be done if that was meant.",
    ),
    "duplicate-row": ProblemKind(
        "warning",
        "The same row stood earlier; it was read once.",
        "Nothing needs to be done, or take the copy out.",
    ),
    "not-utf8": ProblemKind(
        "error",
        "The line has bytes that are not {detail}.",
        "Save the file as UTF-8, or name its encoding when importing.",
    ),
    "odd-characters": ProblemKind(
        "warning",
        "The text has half a character (a lone surrogate); it was replaced by '\ufffd'.",
        "Correct the text where it was broken off.",
        altered=True,
    ),
    "bad-score": ProblemKind(
        "warning",
        "A score is {detail}; the row was read without it.",
        "Give finite numbers, one per text.",
        altered=True,
        refused="A score or label is {detail}; the row was left out.",
    ),
    "neutral-label": ProblemKind(
        "error",
        "The label is 'neutral', neither relevant nor its opposite; the row was left out.",
        "Nothing needs to be done, or give it another label.",
    ),
    "numbered-inference": ProblemKind(
        "error",
        "These labels of premise and hypothesis are numbers that mean a class: in SNLI and MNLI 0 "
        "is entailment and 2 contradiction.",
        "Write them as words (entailment, neutral, contradiction), or say what they are with "
        "--scores pairs or --scores grades.",
    ),
    "two-grades": ProblemKind(
        "warning",
        "This query and document are judged with two grades ({detail}); the higher one was kept.",
        "Take the wrong one out.",
        altered=True,
    ),
    "id-as-number": ProblemKind(
        "warning",
        "Ids such as '{detail}' are written differently as whole numbers elsewhere; the two were "
        "treated as the same.",
        "Nothing needs to be done if that is right.",
    ),
    "scores-alone": ProblemKind(
        "error",
        "These are a teacher's scores of documents, and nothing says which documents are relevant.",
        "Add judgments (qrels: query-id, corpus-id, score) next to them.",
    ),
    "unknown-columns": ProblemKind("warning", "The column '{detail}' is not known.", "{hint}"),
    "ids-left-out": ProblemKind(
        "warning",
        "The ids do not run side by side with the texts: {detail}.",
        "They were left out; give each text an id, in the same order.",
    ),
    "unsupported-shape": ProblemKind("error", "{detail}", "{hint}"),
    "unknown-id": ProblemKind(
        "error",
        "The judgment names '{detail}', which is not in the files.",
        "Add what is missing, or take the line out.",
    ),
    "duplicate-id": ProblemKind(
        "warning",
        "The id '{detail}' stood earlier with another text; this one got an id of its own.",
        "Give every text its own id.",
        altered=True,
    ),
    "repeated-id": ProblemKind(
        "error",
        "The id '{detail}' stood earlier; the first text with it was kept.",
        "Give every text its own id.",
    ),
    "leaked-test-query": ProblemKind(
        "warning",
        "This query is also in test; it was left out here, so that test stays untouched.",
        "Nothing needs to be done.",
    ),
    "leaked-dev-query": ProblemKind(
        "warning",
        "This query is also in dev; it was left out here, so that dev stays untouched.",
        "Nothing needs to be done.",
    ),
    "queries-alone": ProblemKind(
        "error",
        "These are queries, and no file says which documents are relevant to them.",
        "Import them together with their judgments (qrels), or give each row a positive text.",
    ),
    "instruction-dropped": ProblemKind(
        "warning",
        "Its texts carry the instruction '{detail}'; it was left out.",
        "{hint}",
        altered=True,
    ),
    "passage-key-dropped": ProblemKind(
        "warning",
        "Passages carry '{detail}', said of query and passage together: it was left out.",
        "Name it 'score' to keep it as a teacher's score.",
        altered=True,
    ),
    "no-text": ProblemKind(
        "error",
        "There is no text in this PDF; its pages may be pictures.",
        "Run a text recognition (OCR) over it, and import what that writes.",
    ),
    "no-rows": ProblemKind(
        "error", "The file has no rows.", "Check that it is the file you meant."
    ),
    "too-many-columns": ProblemKind(
        "error",
        "The row has {detail} columns, more than the 10,000 that are read.",
        "Keep the columns with texts and ids, and leave the others out.",
    ),
    "missing-file": ProblemKind(
        "error",
        "There are judgments (qrels), but no {detail} file next to them.",
        "Import corpus, queries and qrels together.",
    ),
    "line-too-long": ProblemKind(
        "error",
        "One line is longer than {detail}.",
        "Check that the file has line breaks between its rows.",
    ),
    "bad-quotes": ProblemKind(
        "error",
        "A quotation mark is opened and not closed as it should be.",
        "Double the quotes inside a quoted cell, or save the file again from its program.",
    ),
    "bad-list": ProblemKind(
        "error",
        "The cell holds a list that cannot be read: {detail}.",
        'Write it as JSON: ["first text", "second text"], and save the file as JSONL or Parquet '
        "where lists are long.",
    ),
    "missing-values": ProblemKind(
        "warning",
        "Cells that hold {detail} were read as empty.",
        "Nothing needs to be done if they are missing values; JSONL keeps such texts.",
    ),
    "doubled-column": ProblemKind(
        "warning",
        "Several columns have this name: {detail}.",
        "Give every column its own name.",
    ),
    "doubled-key": ProblemKind(
        "warning",
        "The name '{detail}' occurs twice in this object: the last value was read.",
        "Take one of them out, or write both values as one list.",
        altered=True,
    ),
    "no-header": ProblemKind(
        "warning",
        "The first line is a row, not a header: the columns were read as {detail}.",
        "If it names the columns, import with 'header' yes; else a line of names above it says "
        "for certain what they are.",
    ),
    "lines-above-header": ProblemKind(
        "warning",
        "The column names are below another line ({detail}), which was left out.",
        "If that line is a row, import with 'header' no.",
        altered=True,
    ),
    "unclear-header": ProblemKind(
        "warning",
        "The first line ({detail}) was read as the names of the columns, which are not known.",
        "If it is a row, import with 'header' no; else name the columns, such as 'query' and "
        "'positive'.",
    ),
    "other-sheets": ProblemKind(
        "warning",
        "Only the first sheet was read; these were not: {detail}.",
        "Save each sheet you want to import as a separate file.",
        altered=True,
    ),
    "extra-cells": ProblemKind(
        "error",
        "The row has {detail} cells, more than there are columns.",
        "Quote cells that contain the separator.",
    ),
    "unsafe-path": ProblemKind(
        "error",
        "The archive holds {detail}; it was not opened.",
        "Pack plain files with plain names.",
    ),
    "nested-archive": ProblemKind(
        "error",
        "This is an archive inside an archive; it was not opened.",
        "Unpack it, and import what is inside.",
    ),
    "archive-too-big": ProblemKind(
        "error",
        "The archive would unpack to {detail}.",
        "Unpack it yourself, and import the files you need.",
    ),
    "picture-unknown": ProblemKind(
        "error",
        "The file is called a picture, but it is {detail}.",
        "Save it again as PNG, JPEG or WebP, or take it out.",
    ),
    "picture-broken": ProblemKind(
        "error",
        "The picture is broken or cut off ({detail}).",
        "Copy it again from where it came from, or take it out.",
    ),
    "picture-too-large": ProblemKind(
        "error",
        "The picture would unpack to {detail}.",
        "Make it smaller: models look at a few hundred pixels.",
    ),
    "picture-too-slow": ProblemKind(
        "error",
        "The picture was not open after {detail}.",
        "Save it again as PNG or JPEG, or take it out.",
    ),
    "picture-missing": ProblemKind(
        "error",
        "The row names the picture '{detail}', which is not among the files.",
        "Add the picture, or take the row out.",
    ),
    "picture-repeated": ProblemKind(
        "warning",
        "The same picture stood earlier as '{detail}'; the two are one document.",
        "Nothing needs to be done, or take the copy out.",
    ),
    "no-caption": ProblemKind(
        "warning",
        "The picture has no caption; it can be searched, and nothing is learnt from it.",
        "Give it a row in metadata.jsonl: file_name and text.",
    ),
    "unreadable": ProblemKind(
        "error", "The file cannot be read: {detail}.", "Check that it is whole, and save it again."
    ),
}


class ProblemLog:
    """Collects problems: all of them counted, the first few kept, many written to a file."""

    def __init__(self, path: Path) -> None:
        self.counts: Counter[str] = Counter()
        self._first: list[Problem] = []
        self._files: dict[str, int] = {}
        self.refusable = 0
        #: Rows that were left out.
        self.refused_rows = 0
        self._last_refused: tuple[str, int] | None = None
        self._path = path
        self._stored = 0
        self._buffer: list[Problem] = []
        self._writer: Any = None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def add(
        self,
        code: str,
        file: str,
        line: int | None = None,
        field: str | None = None,
        *,
        detail: str = "",
        hint: str = "",
        severity: str = "",
        count: int = 1,
    ) -> None:
        """``count``: how many cells or rows the one entry of the list stands for."""
        kind = PROBLEMS[code]
        found = severity or kind.severity
        self._count(code, found, file, line, count)
        if self._stored + len(self._buffer) < LISTED:
            name = _plain(field) if field else None
            message = _message(kind, found, detail, hint)
            self._list(Problem(_plain(file), line, name, code, found, message))

    def add_rows(self, code: str, file: str, lines: Sequence[int], field: str) -> None:
        """The same problem in each of these lines, of its kind's severity and without a detail."""
        kind, name = PROBLEMS[code], _plain(file)
        message = _message(kind, kind.severity, "", "")
        for line in lines:
            self._count(code, kind.severity, file, line, 1)
            if self._stored + len(self._buffer) < LISTED:
                self._list(Problem(name, line, field, code, kind.severity, message))

    def _count(self, code: str, severity: str, file: str, line: int | None, count: int) -> None:
        kind = PROBLEMS[code]
        self.counts[code] += count
        # A warning that is usually an error says that a part of the row was left out.
        if severity == "error" or kind.altered or kind.severity == "error":
            self.refusable += count
        if severity == "error" and line is not None and (file, line) != self._last_refused:
            self._last_refused = (file, line)
            self.refused_rows += 1

    def _list(self, problem: Problem) -> None:
        if len(self._first) < SHOWN:
            self._first.append(problem)
        self._buffer.append(problem)
        if len(self._buffer) >= _BUFFER:
            self._write()

    @property
    def first(self) -> list[Problem]:
        """The first few, by file and line: repetitions are found a batch later than the rest."""
        return self._in_order(self._first)

    def _in_order(self, problems: list[Problem]) -> list[Problem]:
        for problem in problems:
            self._files.setdefault(problem.file, len(self._files))
        return sorted(problems, key=lambda one: (self._files[one.file], one.line or 0))

    def close(self) -> None:
        """Write what is left. The file always exists afterwards, empty or not."""
        self._write()
        self._writer.close()

    def abandon(self) -> None:
        """Let go of the file, because the import failed and its folder is to be removed."""
        if self._writer is not None:
            self._writer.close()

    def _write(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, _SCHEMA, compression="zstd")
        if self._buffer:
            rows = map(attrgetter(*_SCHEMA.names), self._in_order(self._buffer))
            columns = map(pa.array, zip(*rows, strict=True), _SCHEMA.types)
            self._writer.write_table(pa.table(list(columns), schema=_SCHEMA))
        self._stored += len(self._buffer)
        self._buffer = []


_SCHEMA = pa.schema(
    [(name, pa.int64() if name == "line" else pa.string()) for name in Problem.__slots__]
)


def shorten(text: str, limit: int = _DETAIL) -> str:
    """A text short enough for a sentence, on one line, and safe to print and store."""
    flat = " ".join(_plain(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _message(kind: ProblemKind, severity: str, detail: str, hint: str) -> str:
    """What is said of a problem."""
    sentence = kind.refused if severity == "error" and kind.refused else kind.what
    room = _SENTENCE if sentence == "{detail}" else _DETAIL
    what = sentence.format(detail=shorten(detail, room))
    return f"{what} {kind.fix.format(hint=hint)}".strip()


def _plain(text: str) -> str:
    """File names and texts may carry lone surrogates, which no file of ours can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class Report:
    """Adds problems for one file. ``line`` is the row being read, where none is given."""

    def __init__(self, log: ProblemLog, file: str, *, quiet: bool = False) -> None:
        self.file = file
        self.line = 0
        self.encoding = "UTF-8"
        self.spoken = False
        self._log = log
        self._quiet = quiet
        self._named: set[tuple[str, str]] = set()

    def add(
        self,
        code: str,
        line: int | None = None,
        field: str | None = None,
        *,
        detail: str = "",
        hint: str = "",
        severity: str = "",
        count: int = 1,
    ) -> None:
        if not self._quiet:
            self.spoken = True
            where = self.line if line is None else line
            self._log.add(
                code,
                self.file,
                where or None,
                field,
                detail=detail,
                hint=hint,
                severity=severity,
                count=count,
            )

    def add_rows(self, code: str, lines: Sequence[int], field: str) -> None:
        """The same problem in each of these lines."""
        if lines and not self._quiet:
            self.spoken = True
            self._log.add_rows(code, self.file, lines, field)

    def once(
        self, code: str, field: str, *, detail: str, hint: str = "", line: int | None = None
    ) -> None:
        """Say it for the first row only: a column that is not known is not known in all of them."""
        if (code, field) not in self._named and len(self._named) < 100:
            self._named.add((code, field))
            self.add(code, line, field, detail=detail, hint=hint)

    def unknown(self, columns: Iterable[tuple[str, str]]) -> None:
        for column, hint in columns:
            self.once("unknown-columns", column, detail=column, hint=hint)
