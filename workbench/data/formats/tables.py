"""What tables of all formats have in common: a row's cells become the values of its columns.

Cells that hold what pandas writes for a missing value are empty; cells that hold a list give its
items; two columns of one name are both read, or both are told.
"""

import ast
import json
import re
from collections.abc import Sequence
from typing import Any

from workbench.data.mapping import role_of
from workbench.data.problems import Report

# Lists in the cells of a table, as JSON, Python and numpy spell them.
#
# ``["a", "b"]`` is JSON, ``['a', "it's b"]`` Python, ``['a' "it's b"]`` numpy, which is what
# pandas and ``datasets.to_csv`` write of a column of arrays. A text that merely begins with a
# bracket, such as ``[citation needed]``, stays a text.

#: What a cell with a list begins with: a list, a tuple, ``array([...])``, a set.
_STARTS = frozenset("[(a{s")
#: A set of texts as Python writes it.
_SET = re.compile(r"\{\s*['\"].*['\"]\s*\}\s*\Z|set\(\)\s*\Z", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>[bBuU]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))
    |(?P<number>[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|inf|nan)(?![\w.]))
    |(?P<more>\.\.\.|…)
    |(?P<call>(?:np\.|numpy\.)?(?:array|str_|bytes_|bool_?|float\d+|int\d+|uint\d+)\()
    |(?P<word>[A-Za-z_]\w*)
    |(?P<mark>[\[\](){},:=])
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS: dict[str, Any] = {"None": None, "null": None, "nan": None, "NaN": None, "NaT": None}
_WORDS |= {"True": True, "true": True, "False": False, "false": False}
_CLOSING = {"[": "]", "(": ")"}
_DEEPEST = 20
#: Nothing else begins and ends like this but a list of texts.
_SURELY = re.compile(r"\[\s*['\"].*['\"]\s*\]\s*\Z", re.DOTALL)
#: Excel cuts cells at this many characters.
_LONGEST_IN_EXCEL = 32_767
#: A backslash that begins no escape of Python's stands for itself.
_BARE_BACKSLASH = re.compile(r"\\(\\|['\"abfnrtv0-7xuUN])|\\")


class BadList(ValueError):
    """A cell holds a list that cannot be read; its text says why."""


class _NoList(ValueError):
    """The cell is a text."""


def listed(cell: str) -> Any:
    """The list that a cell holds, or the cell where it holds a text. Raises :class:`BadList`."""
    if cell[:1] not in _STARTS:
        inner = cell.strip() if cell[:1].isspace() else ""
        found = listed(inner) if inner else cell
        return cell if found == inner else found
    if cell[0] == "a" and not cell.startswith("array("):
        return cell
    if cell[0] in "{s":
        found = _set(cell)
        return cell if found is None else found
    if cell[0] == "[" and (found := _json(cell)) is not None:
        return found
    reading = _Reading(cell)
    try:
        found = reading.all()
    except _NoList:
        if _SURELY.match(cell):
            raise BadList("its quotation marks or commas do not fit together") from None
        if reading.broke_off or (len(cell) >= _LONGEST_IN_EXCEL and cell[1:2] in "'\""):
            raise BadList("it breaks off before its end") from None
        return cell
    if isinstance(found, tuple):
        # '(a)' in brackets is no list, and '(1, 2)' hardly one of texts.
        texts = all(isinstance(one, str) for one in found) and reading.commas | (not found)
        return list(found) if texts else cell
    return found


def _json(cell: str) -> list[Any] | None:
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    return [None if one != one else one for one in found]


def _set(cell: str) -> list[str] | None:
    """The texts of a set, in the order they are written; None where it is none."""
    if not _SET.match(cell):
        return None
    try:
        node = ast.parse(cell.strip(), mode="eval").body
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    if isinstance(node, ast.Call):
        return []
    items = node.elts if isinstance(node, ast.Set) else []
    texts = [one.value for one in items if isinstance(one, ast.Constant)]
    whole = bool(texts) and len(texts) == len(items)
    return [str(one) for one in texts] if whole and all(type(one) is str for one in texts) else None


class _Reading:
    """Reads one cell from its beginning to its end."""

    def __init__(self, cell: str) -> None:
        self._cell = cell
        self._at = 0
        self._cut = False
        #: The outermost list has commas between its items.
        self.commas = False
        #: The cell ended inside a list of texts.
        self.broke_off = False

    def all(self) -> Any:
        found = self._value(0)
        if self._cell[self._at :].strip() or not isinstance(found, list | tuple):
            raise _NoList
        if self._cut:
            raise BadList("it was shortened with '...' when it was written")
        return found

    def _next(self) -> tuple[str, str]:
        match = _TOKEN.match(self._cell, self._at)
        if match is None:
            raise _NoList
        self._at = match.end()
        return str(match.lastgroup), match.group(match.lastgroup or 0)

    def _value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise _NoList
        kind, said = self._next()
        if kind == "text":
            return _text(said)
        if kind == "number":
            return _number(said)
        if kind == "word" and said in _WORDS:
            return _WORDS[said]
        if kind == "call":
            return self._called(depth)
        if kind == "mark" and said in _CLOSING:
            items = self._items(_CLOSING[said], depth)
            return items if said == "[" else tuple(items)
        if kind == "mark" and said == "{":
            return self._object(depth)
        raise _NoList

    def _called(self, depth: int) -> Any:
        """What ``array(...)`` or ``np.str_(...)`` holds; ``dtype=object`` says nothing more."""
        found = self._value(depth + 1)
        while (token := self._next()) != ("mark", ")"):
            if token[0] not in ("word", "text") and token[1] not in (",", "="):
                raise _NoList
        return found

    def _items(self, closing: str, depth: int) -> list[Any]:
        items: list[Any] = []
        commas = gaps = False
        between = True
        while True:
            before = self._at
            char = self._peek()
            if not char:
                self.broke_off |= bool(items) and isinstance(items[0], str)
                raise _NoList
            if char == closing:
                self._at += 1
                break
            if char == ",":
                self._at += 1
                commas = between = True
                continue
            if self._cell.startswith(("...", "…"), self._at) and items:
                self._next()
                self._cut = between = True
                continue
            if not between:
                gaps = True
                if before == self._at:
                    raise _NoList  # ''it''s'': a quote was doubled.
            if char in "'\"" and not _TOKEN.match(self._cell, self._at):
                self.broke_off |= bool(items)
            items.append(self._value(depth + 1))
            between = False
        if commas and gaps:
            raise _NoList
        if depth == 0:
            self.commas = commas
        return items

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while (char := self._peek()) != "}":
            if char == ",":
                self._at += 1
                continue
            kind, key = self._next()
            if kind != "text" or self._next() != ("mark", ":"):
                raise _NoList
            found[_text(key)] = self._value(depth + 1)
        self._at += 1
        return found

    def _peek(self) -> str:
        while self._cell[self._at : self._at + 1].isspace():
            self._at += 1
        return self._cell[self._at : self._at + 1]


def _text(token: str) -> str:
    if "\\" not in token and token[0] in "'\"":
        return token[1:-1]
    source = _BARE_BACKSLASH.sub(lambda found: found.group() if found[1] else "\\\\", token)
    source = source.replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\x00")
    try:
        found = ast.literal_eval(source)
    except (ValueError, SyntaxError) as error:
        raise _NoList from error
    if isinstance(found, bytes):
        return found.decode("utf-8", "replace")
    return str(found).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _number(said: str) -> int | float | None:
    if said.lstrip("+-") == "nan":
        return None
    try:
        return int(said)
    except ValueError:
        return float(said)


#: What pandas writes and reads for a missing value.
MISSING = frozenset({
    *("nan", "NaN", "-nan", "-NaN", "NaT", "None", "null", "NULL", "N/A", "n/a", "NA", "<NA>"),
    *("#N/A", "#N/A N/A", "#NA", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
})  # fmt: skip
_LONGEST = max(map(len, MISSING))


class Columns:
    """Makes rows of cells. Call :meth:`finish` at the end: it tells what was counted."""

    def __init__(self, names: Sequence[str], report: Report) -> None:
        self.names = same_names(names)
        self._report = report
        #: No two columns have the same name.
        self.distinct = len(set(self.names)) == len(self.names)
        # An id may well be called so: NA is Namibia.
        self._ids = {place for place, name in enumerate(self.names) if name.lower().endswith("id")}
        #: Column -> the first line with such a cell, what it says, and how many there are.
        self._missing: dict[str, tuple[int, str, int]] = {}

    def row(self, line: int, cells: Sequence[Any]) -> dict[str, Any] | None:
        """The row; None where it is left out, after telling why."""
        values = []
        for place, cell in enumerate(cells[: len(self.names)]):
            if type(cell) is str:
                if len(cell) <= _LONGEST and cell.strip() in MISSING and place not in self._ids:
                    cell = self._none(line, self.names[place], cell)
                else:
                    try:
                        cell = listed(cell)
                    except BadList as error:
                        self._report.add("bad-list", line, self.names[place], detail=str(error))
                        return None
            values.append(cell)
        if not self.distinct:
            return join(self.names, values, line, self._report)
        return dict(zip(self.names, values, strict=False))

    def finish(self) -> None:
        """Tell how many cells were taken for empty."""
        for name, (line, said, count) in self._missing.items():
            detail = f"'{said}'" if count == 1 else f"'{said}' ({count:,} cells)"
            self._report.add("missing-values", line, name, detail=detail, count=count)
        self._missing = {}

    def _none(self, line: int, name: str, cell: str) -> str:
        first, said, count = self._missing.get(name, (line, cell.strip(), 0))
        self._missing[name] = (first, said, count + 1)
        return ""


def same_names(names: Sequence[str]) -> list[str]:
    """The names as they are, those that differ in case only all as the first of them. A column
    without a name is called by its place, but for the first, where pandas has its row numbers."""
    first: dict[str, str] = {}
    named = [
        name if name.strip() or not place else f"column {place + 1}"
        for place, name in enumerate(names)
    ]
    return [first.setdefault(name.strip().lower(), name) for name in named]


def join(names: Sequence[str], values: Sequence[Any], line: int, report: Report) -> dict[str, Any]:
    """A row of columns of which some have the same name."""
    row: dict[str, Any] = {}
    for name, value in zip(names, values, strict=False):
        if name not in row:
            row[name] = value
        elif role_of(name) in ("positive", "negative"):
            report.once(
                "doubled-column", name, line=line, detail="their texts are read as one list"
            )
            row[name] = [*_many(row[name]), *_many(value)]
        else:
            number = next(n for n in range(2, len(names) + 2) if f"{name} ({n})" not in row)
            kept = f"{name} ({number})"
            report.once("doubled-column", name, line=line, detail=f"another is kept as '{kept}'")
            row[kept] = value
    return row


def _many(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list) else [value]
