"""CSV and its kin: a header, a separator found by looking, quoted cells that may hold line breaks.

An unclosed quote swallows the rest of a file in most readers. Here a row that does not end well is
reported, and reading goes on with the next line.
"""

import ast
import csv
import json
from collections import deque
from collections.abc import Iterator
from typing import Any

from workbench.data.formats.jsonlines import Record
from workbench.data.lines import Block
from workbench.data.report import Report

_SEPARATORS = "\t,;|"
#: A quoted cell over more lines than this is an unclosed quote.
_LONGEST_ROW = 2_000
csv.field_size_limit(64 << 20)


def separator(header: str) -> str:
    """The separator that cuts the header into most cells; a comma if none does."""
    return max(_SEPARATORS, key=lambda mark: (len(cells(header, mark)), mark == ","))


def cells(line: str, mark: str) -> list[str]:
    """One line's cells, whatever is wrong with its quotes."""
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=mark), [])
    except csv.Error:
        return line.rstrip("\r\n").split(mark)


class Rows:
    """Rows of cells with the line each begins on."""

    def __init__(self, blocks: Iterator[Block], report: Report) -> None:
        self._report = report
        self._lines = numbered(blocks, report)
        self._waiting: deque[tuple[int, str]] = deque()
        self._row: list[tuple[int, str]] = []
        self.mark = ","

    def header(self) -> list[str]:
        """The first line that is not blank, cut by the separator that fits; [] without one."""
        for number, line in self._lines:
            if line.strip():
                # Old programs end lines with a lone CR, which no header holds.
                first, *rest = line.strip().split("\r")
                self._waiting.extend((number, part + "\n") for part in (first, *rest))
                self.mark = separator(first)
                _, cells = next(iter(self), (0, []))
                return [cell.strip().lstrip("\ufeff") for cell in cells]
        return []

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        while self._peek():
            self._row = []
            try:
                cells = next(csv.reader(self._feed(), delimiter=self.mark, strict=True), [])
            except csv.Error:
                number, cells = self._alone()
            else:
                number = self._row[0][0]
            if cells:
                yield number, cells

    def _peek(self) -> bool:
        if not self._waiting and (line := next(self._lines, None)):
            self._waiting.append(line)
        return bool(self._waiting)

    def _feed(self) -> Iterator[str]:
        while self._peek() and len(self._row) < _LONGEST_ROW:
            self._row.append(self._waiting.popleft())
            yield self._row[-1][1]

    def _alone(self) -> tuple[int, list[str]]:
        """The row ended badly: try its first line by itself, and give the others back."""
        (number, line), *others = self._row
        self._waiting.extendleft(reversed(others))
        parts = line.rstrip("\r\n").split("\r")
        if len(parts) > 1:  # Old programs end lines with a lone CR.
            self._waiting.extendleft((number, part + "\n") for part in reversed(parts))
            return number, []
        if self.mark == "\t":  # Tab-separated files are often written without any quoting.
            return number, line.rstrip("\r\n").split("\t")
        if line.count('"') % 2 == 0:
            return number, cells(line, self.mark)
        self._report.add("bad-quotes", number)
        return number, []


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


def read(blocks: Iterator[Block], report: Report) -> Iterator[Record]:
    """Each row as column -> text. Blank rows are passed over."""
    rows = Rows(blocks, report)
    header = rows.header()
    for number, cells in rows:
        if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            report.add("extra-cells", number, detail=str(len(cells)))
            continue
        if any(cell.strip() for cell in cells):
            yield number, dict(zip(header, map(_listed, cells), strict=False))


def _listed(cell: str) -> Any:
    """A cell that holds a list of texts as JSON or Python writes it; else the cell."""
    if cell[:2] not in ("['", '["'):
        return cell
    try:
        found = ast.literal_eval(cell) if cell[1] == "'" else json.loads(cell)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return cell  # A text that only begins like a list.
    texts = isinstance(found, list) and all(isinstance(one, str) for one in found)
    return found if texts else cell
