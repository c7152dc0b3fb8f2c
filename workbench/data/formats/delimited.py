"""CSV and its kin: a separator found by looking, quoted cells that may hold line breaks.

An unclosed quote swallows the rest of a file in most readers. Here a row that does not end well is
reported, and reading goes on with the next line. Quotes inside a cell may be doubled, or escaped
with a backslash; files with tabs may not use quotes at all.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from workbench.data.formats.cellblocks import Dialect, Feed, numbered, whole_rows
from workbench.data.formats.fileformat import FileFormat, Head, Look, OpenFile, Part
from workbench.data.formats.headers import LOOKED_AT, Header, header_of, is_named, published
from workbench.data.formats.jsonrows import Record
from workbench.data.formats.tables import Columns
from workbench.data.lines import Block, begun
from workbench.data.problems import ProblemLog, Report
from workbench.data.splits import part_of

_SEPARATORS = "\t,;|"
#: A quoted cell over more lines than this is an unclosed quote.
_LONGEST_ROW = 2_000
#: So many lines tell the separator.
_LOOKED_AT = 20
#: A quotation mark after a backslash that is not itself one of a pair.
_ESCAPED = re.compile(r'(?<!\\)((?:\\\\)*)\\"')
#: Excel's own first line, which names the separator.
_MARK = re.compile(r'\ufeff?"?sep=.?"?\s*\Z', re.IGNORECASE)
csv.field_size_limit(64 << 20)


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written. ``names``: its columns, where no header names them; ``above``: so many
    lines stand above the header; ``quotes``: cells may be quoted; ``backslash``: what may stand
    after one: '' nothing, '"' quotes, '*' anything that means something, backslashes too."""

    mark: str = ","
    names: tuple[str, ...] = ()
    above: int = 0
    quotes: bool = True
    backslash: str = ""


def form_of(lines: Sequence[str], suffix: str = "") -> Form:
    """How a file that begins with these lines is written."""
    told = [line for line in lines if line.strip()][:_LOOKED_AT]
    if told and _MARK.match(told[0]):
        told = told[1:]
    while len(told) > 1 and told[0].startswith("#"):
        told = told[1:]  # A remark says nothing of the separator.
    if not told:
        return Form()
    told[0] = told[0].strip("\r\n").split("\r")[0]
    mark = _separator(told, suffix)
    if mark == "\t" and any(_unquoted(cell) is None for line in told for cell in line.split("\t")):
        # Some quotation mark cannot be one around a cell: where that is no cell over several lines
        # either, the file does not quote at all.
        width = len(told[0].split("\t"))
        if all(len(line.split("\t")) == width for line in told):
            return Form(mark, quotes=False)
    return Form(mark, backslash=_backslash(told, mark))


def _separator(lines: list[str], suffix: str) -> str:
    """The separator that cuts the most lines into as many cells as the first, and that into most
    cells; a comma if none does."""
    first, *others = lines
    if suffix in (".tsv", ".tab") and "\t" in first:
        return "\t"

    def weight(mark: str) -> tuple[bool, int, bool]:
        count = len(cells(first, mark))
        same = sum(len(cells(line, mark)) == count for line in others)
        fits = 2 * same >= len(others)
        return count > 1 and fits, count, mark == ","

    return max(_SEPARATORS, key=weight)


def _backslash(lines: list[str], mark: str) -> str:
    """Whether a file that begins so escapes its quotation marks, and other things."""
    odd = [line for line in lines if '\\"' in line and _strictly(line, mark) is None]
    if not any(_strictly(_ESCAPED.sub(r'\1""', line), mark) for line in odd):
        return ""
    whole = "".join(lines)
    left = whole.replace("\\\\", "").replace('\\"', "").replace(f"\\{mark}", "")
    return "*" if "\\\\" in whole and "\\" not in left else '"'


def _strictly(line: str, mark: str) -> list[str] | None:
    """The line's cells; None where a quotation mark stands where RFC 4180 allows none."""
    line = line.rstrip("\r\n")
    cell = f'(?:"(?:[^"]|"")*"|[^"{re.escape(mark)}]*)'
    if not re.fullmatch(f"{cell}(?:{re.escape(mark)}{cell})*", line):
        return None
    return next(csv.reader([line], delimiter=mark), None)


def cells(line: str, mark: str) -> list[str]:
    """One line's cells, whatever is wrong with its quotes."""
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=mark), [])
    except csv.Error:
        return line.rstrip("\r\n").split(mark)


class Rows:
    """Rows of cells with the line each begins on."""

    def __init__(self, lines: Iterator[tuple[int, str]], report: Report, form: Form) -> None:
        self._report = report
        self._lines = lines
        self._waiting: deque[tuple[int, str]] = deque()
        self._row: list[tuple[int, str]] = []
        self._mark = form.mark
        self._quotes = form.quotes
        self._backslash = form.backslash
        self._names = list(form.names)
        #: Cells of a whole row; 0 while that is not known.
        self._width = len(form.names)

    def header(self) -> list[str]:
        """The columns: as the form names them, else the cells of the first line that is not blank;
        [] without one."""
        for number, line in self._lines:
            if not line.strip():
                continue
            # Old programs end lines with a lone CR, which no header holds.
            first, *rest = line.lstrip("\ufeff").strip("\r\n").split("\r")
            self._waiting.extend((number, part + "\n") for part in (first, *rest))
            if not self._names:
                _, found = next(iter(self), (0, []))
                self._names = [cell.strip().lstrip("\ufeff") for cell in found]
            self._width = len(self._names)
            return self._names
        return []

    def dialect(self, columns: Columns) -> Dialect | None:
        """As what many rows can be read at once; None where a backslash may mean something, two
        columns have one name, or lines were taken and not read."""
        if self._backslash or self._waiting or not columns.distinct:
            return None
        return Dialect(tuple(columns.names), self._mark, self._quotes, _LONGEST_ROW)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        while self._peek():
            yield from self.next()

    def within(self, feed: Feed) -> Iterator[tuple[int, list[str]]]:
        """The rows that begin in the lines which the feed has at hand."""
        while self._waiting or feed:
            yield from self.next()

    def next(self) -> Iterator[tuple[int, list[str]]]:
        """The next row, if there is one."""
        if self._peek():
            self._row = []
            number, found = self._quoted() if self._quotes else self._plain()
            if found:
                yield number, found

    def _peek(self) -> bool:
        if not self._waiting and (line := next(self._lines, None)):
            self._waiting.append(line)
        return bool(self._waiting)

    def _plain(self) -> tuple[int, list[str]]:
        number, line = self._waiting.popleft()
        return number, line.rstrip("\r\n").split(self._mark)

    def _quoted(self) -> tuple[int, list[str]]:
        number, line = self._waiting[0]
        tabs = self._mark == "\t" and '"' in line and line.count("\t") == self._width - 1 > 0
        if tabs and (cells := _each_unquoted(line)):
            self._waiting.popleft()
            return number, cells
        other = "" if self._backslash else '"'
        for backslash in (self._backslash, other):
            if (found := self._strict(backslash)) is not None:
                # A line with all cells is a row of its own, not the inside of a quoted cell.
                if not (tabs and any(self._is_row(line) for _, line in self._row[1:])):
                    self._backslash = self._backslash or backslash
                    return number, found
                break
            if not any('\\"' in line for _, line in self._row):
                break
            self._give_back()
        else:
            self._row = [self._waiting.popleft()]
        return self._alone()

    def _strict(self, backslash: str) -> list[str] | None:
        """The cells of the row that begins here, if its quotes are as they should be."""
        escape = "\\" if backslash == "*" else None
        lines = self._feed(backslash == '"')
        try:
            reader = csv.reader(lines, delimiter=self._mark, strict=True, escapechar=escape)
            return next(reader, [])
        except csv.Error:
            return None

    def _feed(self, escaped: bool) -> Iterator[str]:
        self._row = []
        while self._peek() and len(self._row) < _LONGEST_ROW:
            number, line = self._waiting.popleft()
            self._row.append((number, line))
            yield _ESCAPED.sub(r'\1""', line) if escaped and "\\" in line else line

    def _is_row(self, line: str) -> bool:
        return line.count("\t") == self._width - 1

    def _give_back(self) -> None:
        self._waiting.extendleft(reversed(self._row))

    def _alone(self) -> tuple[int, list[str]]:
        """The row ended badly: try its first line by itself, and give the others back."""
        (number, line), *others = self._row
        self._waiting.extendleft(reversed(others))
        parts = line.rstrip("\r\n").split("\r")
        if len(parts) > 1:  # Old programs end lines with a lone CR.
            self._waiting.extendleft((number, part + "\n") for part in reversed(parts))
            return number, []
        if self._mark == "\t":  # Tab-separated files are often written without any quoting.
            return number, line.rstrip("\r\n").split("\t")
        found = _loosely(line.rstrip("\r\n"), self._mark) if line.count('"') % 2 == 0 else []
        if found and len(found) == (self._width or len(found)):
            self._report.add("bad-quotes", number, severity="warning")
            return number, found
        self._report.add("bad-quotes", number)
        return number, []


def _each_unquoted(line: str) -> list[str]:
    """A line's cells between tabs, if each that begins with a quotation mark ends with one too."""
    found = [_unquoted(cell) for cell in line.rstrip("\r\n").split("\t")]
    whole = [cell for cell in found if cell is not None]
    return whole if len(whole) == len(found) else []


def _unquoted(cell: str) -> str | None:
    """A cell without the quotation marks around it; None where they do not fit together."""
    cell = cell.rstrip("\r\n")
    if not cell.startswith('"'):
        return cell
    inner = cell[1:-1]
    if len(cell) < 2 or not cell.endswith('"') or '"' in inner.replace('""', ""):
        return None
    return inner.replace('""', '"')


def _loosely(line: str, mark: str) -> list[str]:
    """Cells in which a quotation mark closes only where a cell may end; else each as it stands."""
    found: list[str] = []
    at = 0
    while at <= len(line):
        if line[at : at + 1] == '"':
            end = line.find('"' + mark, at + 1)
            if end < 0 and line.endswith('"') and len(line) > at + 1:
                end = len(line) - 1
            if end < 0:
                return line.split(mark)
            found.append(line[at + 1 : end].replace('""', '"'))
            at = end + 2
        else:
            end = line.find(mark, at)
            end = len(line) if end < 0 else end
            found.append(line[at:end])
            at = end + 1
    return found


def _without_mark(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines without a first one that only names the separator."""
    for number, line in lines:
        if number > 1 or not _MARK.match(line):
            yield number, line


def _below(lines: Iterator[tuple[int, str]], above: int) -> Iterator[tuple[int, str]]:
    """The lines without so many that stand above the header, blank ones not counted."""
    for number, line in lines:
        if above and line.strip():
            above -= 1
        else:
            yield number, line


def read(file: OpenFile) -> Iterator[Record]:
    """Each row as column -> text. Blank rows are passed over."""
    for part in parts(file, together=False):
        yield from part.records()


def parts(file: OpenFile, together: bool = True) -> Iterator[Part]:
    """The rows block by block, ``together`` where a block's quotation marks are as they should be;
    the first is read row by row, for its header."""
    report, form = file.report, file.memo or Form()
    feed = Feed(begun(file.blocks()), report)
    rows = Rows(_below(_without_mark(feed), form.above), report, form)
    columns = Columns(rows.header(), report)
    try:
        yield Part(None, lambda: _records(rows.within(feed), columns, report))
        while (block := feed.block()) is not None:
            found, lines, rest = None, block, None
            if together and (dialect := rows.dialect(columns)):
                found, lines, rest = whole_rows(block, dialect)
            feed.keep(rest)

            def one_by_one(lines: Block = lines) -> Iterator[Record]:
                feed.put(lines)
                return _records(rows.within(feed), columns, report)

            yield Part(found, one_by_one)
    finally:
        columns.finish()


def _records(
    rows: Iterator[tuple[int, list[str]]], columns: Columns, report: Report
) -> Iterator[Record]:
    width = len(columns.names)
    for number, found in rows:
        if len(found) > width and any(cell.strip() for cell in found[width:]):
            report.add("extra-cells", number, detail=str(len(found)))
        elif any(cell.strip() for cell in found):
            row = columns.row(number, found)
            if row is not None:
                yield number, row


def _look(head: Head, format: FileFormat) -> Look | None:
    """Any text that no other format claims is a table; one that is called a text only if it looks
    like one in all ways."""
    lines = head.whole_lines
    named = head.suffix in format.suffixes
    if not named and not any(mark in line for line in lines[:1] for mark in _SEPARATORS):
        return None if head.is_prose else Look()
    form = form_of(lines, head.suffix)
    quiet = Report(ProblemLog(Path()), head.label, quiet=True)
    rows = Rows(_without_mark(enumerate(lines, 1)), quiet, form)
    first = list(islice((cells for _, cells in _all(rows)), LOOKED_AT))
    if not first:
        return None if head.is_prose else Look()
    header = header_of(head, first)
    names = header.names or [cell.strip() for cell in first[header.above]]
    sample = dict.fromkeys(names, "")
    if head.is_prose and not _is_table(head, header, sample):
        return None
    said = ((header.problem[0], 1, header.problem[1]),) if header.problem else ()
    memo = replace(form, names=header.names, above=header.above)
    return Look(sample, memo=memo, problems=said)


def _is_table(head: Head, header: Header, sample: dict[str, str]) -> bool:
    """Whether a file that is called a text is a table: its header says so, or its name."""
    if header.names:
        return published(head.label)
    return is_named(head.renamed(sample))


def _all(rows: Rows) -> Iterator[tuple[int, list[str]]]:
    """The first line too."""
    header = rows.header()
    if header:
        yield 1, header
    yield from rows


DELIMITED = FileFormat(
    "delimited",
    "CSV/TSV",
    (".csv", ".tsv", ".tab"),
    read,
    order=80,
    look=_look,
    headed=True,
    parts=parts,
)


# Qrels as TREC writes them, without a header: ``query 0 document grade``, or without the 0.

TREC_SUFFIXES = (".qrels", ".qrel", ".trec")
#: So many lines are looked at.
_QRELS_LOOKED_AT = 50
#: What stands in the second of four columns, which says nothing any more.
_ITERATIONS = {"0", "q0"}


def _look_like_qrels(head: Head, format: FileFormat) -> Look | None:
    rows = [cells for line in head.whole_lines[:_QRELS_LOOKED_AT] if (cells := line.split())]
    if not rows or head.header == "yes":
        return None
    named = part_of(head.label) == "qrels" or head.suffix in format.suffixes
    width = len(rows[0])
    if (
        width == 4
        and not named
        and any(len(row) < 2 or row[1].lower() not in _ITERATIONS for row in rows)
    ):
        return None
    if width not in ((3, 4) if named else (4,)) or not _is_grade(rows[0]):
        return None
    # A broken line costs that line, and does not make another kind of file of it.
    fits = sum(len(row) == width and _is_grade(row) for row in rows)
    return Look(part="qrels", memo=width) if 2 * fits > len(rows) else None


def _is_grade(cells: Sequence[str]) -> bool:
    try:
        return float(cells[-1]).is_integer()
    except (ValueError, OverflowError):
        return False


def read_qrels(file: OpenFile) -> Iterator[Record]:
    """Each line's query, document and grade."""
    width = file.memo or 4
    for number, line in numbered(file.blocks(), file.report):
        cells = line.split()
        if len(cells) == width:
            yield number, {"query-id": cells[0], "corpus-id": cells[-2], "score": cells[-1]}
        elif cells:
            file.report.add("missing-field", number, None, detail="query, document and grade")


TREC = FileFormat("trec", "TREC qrels", TREC_SUFFIXES, read_qrels, order=70, look=_look_like_qrels)
FORMATS = (DELIMITED, TREC)
