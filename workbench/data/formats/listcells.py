"""Lists in the cells of a table, as JSON, Python and numpy spell them.

``["a", "b"]`` is JSON, ``['a', "it's b"]`` Python, ``['a' "it's b"]`` numpy, which is what pandas
and ``datasets.to_csv`` write of a column of arrays. A text that merely begins with a bracket, such
as ``[citation needed]``, stays a text.
"""

import ast
import json
import re
from typing import Any

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
