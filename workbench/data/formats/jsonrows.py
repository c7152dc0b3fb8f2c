"""Rows of JSON: an object a line, or one value over many lines."""

import json
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from workbench.data.lines import LONGEST_LINE, Block
from workbench.data.problems import Report

Record = tuple[int, dict[str, Any]]
#: What a backslash begins in JSON: two halves of one character, half a character, anything else.
_ESCAPED = re.compile(
    r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>u[dD][89a-fA-F]..)|.)", re.DOTALL
)


def read(blocks: Iterator[Block], report: Report) -> Iterator[Record]:
    """The good objects with their line numbers; everything else goes to the report."""
    loads = orjson.loads
    for block in blocks:
        number = block.first - 1
        odd = bool(block.bad or block.long)
        for line in block.lines:
            number += 1
            if odd and _told(block, number, report):
                continue
            try:
                value = loads(line)
            except orjson.JSONDecodeError:
                for value in _second_look(line, number, report):
                    yield number, value
                continue
            if type(value) is dict:
                tell_doubled(line, value, number, report)
                yield number, value
            else:
                report.add("not-object", number, detail=describe(value))


def _told(block: Block, number: int, report: Report) -> bool:
    position = number - block.first
    if position in block.bad:
        report.add("not-utf8", number, detail=report.encoding)
    elif position in block.long:
        report.add("line-too-long", number, detail=f"{LONGEST_LINE >> 20} MB")
    return position in block.bad or position in block.long


def _second_look(line: bytes, number: int, report: Report) -> Iterator[dict[str, Any]]:
    """What orjson refuses but people send: blank lines, NaN, lone surrogates, a lone CR."""
    if line.isspace() or not line:
        return
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        if b"\r" in line.rstrip():
            yield from _by_cr(line, number, report)
        else:
            report.add("not-utf8", number, detail=report.encoding)
        return
    try:
        value = lenient(text)
    except ValueError as error:
        # In valid JSON a CR can only stand between tokens: what it parts may be whole rows.
        if "\r" in text.rstrip():
            yield from _by_cr(line, number, report)
        else:
            report.add("not-json", number, detail=_where(error))
        return
    if isinstance(value, dict):
        tell_doubled(line, value, number, report)
        yield whole_characters(value, text, number, report)
    else:
        report.add("not-object", number, detail=describe(value))


def tell_doubled(source: bytes, value: dict[str, Any], number: int, report: Report) -> None:
    """Report a name that an object has twice: readers of JSON keep the last value."""
    if not may_be_doubled(source, value):
        return
    doubled: dict[str, None] = {}

    def look(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        doubled.update(dict.fromkeys(name for name in names if names.count(name) > 1))

    json.loads(source, object_pairs_hook=look)
    for name in doubled:
        report.add("doubled-key", number, name, detail=name)


def may_be_doubled(source: bytes, value: dict[str, Any]) -> bool:
    """Whether an object's text may have one of its names twice."""
    if source.count(b'":') == len(value):
        return False  # Nearly always: as many names in it as it has.
    return any(source.count(tight) + source.count(wide) > 1 for tight, wide in map(_named, value))


@lru_cache(1_000)
def _named(key: str) -> tuple[bytes, bytes]:
    """A name as it stands before its value."""
    name = orjson.dumps(key)
    return name + b":", name + b" :"


def _by_cr(line: bytes, number: int, report: Report) -> Iterator[dict[str, Any]]:
    for part in line.split(b"\r"):
        yield from _second_look(part, number, report)


def lenient(text: str) -> Any:
    """JSON with NaN and Infinity; raises ValueError, also where it is nested too deeply."""
    try:
        return json.loads(text.lstrip("\ufeff"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def whole_characters(value: Any, source: str, number: int, report: Report) -> Any:
    """The value with each lone surrogate replaced, which no file of text can hold."""
    if "\\ud" not in source.lower():
        return value
    repaired = _ESCAPED.sub(_whole, source)
    if repaired == source:
        return value
    report.add("odd-characters", number)
    return lenient(repaired)


def _whole(found: re.Match[str]) -> str:
    """An escape as it stands; half a character is none."""
    return "\\ufffd" if found["half"] else found.group()


def _where(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        reason = error.msg[:1].lower() + error.msg[1:]
        return f"{reason.removesuffix(' at')} at character {error.colno}"
    return str(error)


def describe(value: Any) -> str:
    """What a value is, for a sentence: 'a list', 'a number', 'nothing (null)'."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, float) and math.isnan(value):
        return "not a number (NaN)"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    names |= {list: "a list", dict: "an object", bytes: "raw bytes"}
    return names.get(type(value), f"a value of type {type(value).__name__}")


# JSON that is one value over many lines: an array of objects, objects one after another, or one
# object of objects (LlamaIndex). Read through a window, so that the file need not fit in memory.

_SPACE = " \t\r\n\ufeff"
#: An object that begins a line, or follows another.
_NEXT = re.compile(r"\n\s{0,50}[\[,]?\s{0,50}\{|\}\s{0,50},\s{0,50}\{")
#: A value longer than this many characters is not read.
LONGEST_VALUE = 64 << 20


class Cursor:
    """Walks over JSON text that arrives in pieces. ``line`` is that of the next character."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self.line = 1
        self._blocks = blocks
        self._text = ""
        self._at = 0
        self._decode = json.JSONDecoder().raw_decode

    def peek(self, skip: str = _SPACE) -> str:
        """The next character that is not to be skipped; '' at the end."""
        while True:
            while self._at < len(self._text):
                char = self._text[self._at]
                if char not in skip:
                    return char
                self._move(self._at + 1)
            if not self._more():
                return ""

    def take(self) -> None:
        """Step over the character that :meth:`peek` showed."""
        self._move(self._at + 1)

    def value(self) -> tuple[Any, str]:
        """The JSON value here and its source; raises ValueError where there is none."""
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except RecursionError as error:
                raise ValueError("nested too deeply") from error
            except json.JSONDecodeError as error:
                if self._hopeless(error) or not self._more():
                    raise
                continue
            # A number may go on in the next piece.
            if end == len(self._text) and not isinstance(value, dict | list | str) and self._more():
                continue
            source = self._text[self._at : end]
            self._move(end)
            return value, source

    def resync(self) -> bool:
        """After a bad value: go to what looks like the beginning of the next. False at the end."""
        while True:
            found = _NEXT.search(self._text, self._at)
            if found:
                self._move(found.end() - 1)
                return True
            # The beginning may be cut in two by the window's end.
            self._move(max(self._at, len(self._text) - 100))
            if not self._more():
                return False

    def _hopeless(self, error: json.JSONDecodeError) -> bool:
        left = len(self._text) - self._at
        if left > LONGEST_VALUE:
            return True
        # A value cut off by the window's end fails at that end, or in an unfinished text or escape.
        near = error.pos >= len(self._text) - 16
        return not (near or error.msg.startswith(("Unterminated", "Invalid \\")))

    def _move(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self._at = to

    def _more(self) -> bool:
        block = next(self._blocks, None)
        if block is None:
            return False
        fresh = _joined(block)
        wanted = max(0, (len(self._text) - self._at) - len(fresh))
        parts = [self._text[self._at :], fresh]
        # Double the window rather than add to it: a long value is then decoded a few times only.
        while wanted > 0 and (block := next(self._blocks, None)) is not None:
            parts.append(_joined(block))
            wanted -= len(parts[-1])
        self._text = "".join(parts)
        self._at = 0
        return True


def _joined(block: Block) -> str:
    """A block as it stands in the file, but for its line ends."""
    text = "\n".join(map(_text, block.lines))
    return text if block.open else text + "\n"


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def read_value(blocks: Iterator[Block], report: Report) -> Iterator[Record]:
    """The objects of an array (or of a stream of objects), each with the line it begins on."""
    cursor = Cursor(blocks)
    # Brackets are passed over: what stands in a list, before it or after it are rows alike.
    while cursor.peek(_SPACE + ",[]"):
        line = cursor.line
        try:
            value, source = cursor.value()
        except ValueError as error:
            report.add("not-json", line, detail=reason(error))
            if not cursor.resync():
                return
            continue
        if not isinstance(value, dict):
            report.add("not-object", line, detail=describe(value))
        elif _undecoded(source):
            report.add("not-utf8", line, detail=report.encoding)
        else:
            tell_doubled(source.encode("utf-8"), value, line, report)
            yield line, whole_characters(value, source, line, report)


def members(cursor: Cursor, report: Report) -> Iterator[tuple[int, str]]:
    """The keys of the object here, one by one; the caller reads each value before the next."""
    if cursor.peek() != "{":
        raise ValueError("an object was expected")
    cursor.take()
    while (char := cursor.peek(_SPACE + ",")) not in ("", "}"):
        line = cursor.line
        if char != '"':
            raise ValueError("a name in quotes was expected")
        key, source = cursor.value()
        if cursor.peek() != ":":
            raise ValueError("a colon was expected")
        cursor.take()
        cursor.peek()
        yield line, str(whole_characters(key, source, line, report))
    if char != "}":
        raise ValueError("the file ends in the middle")
    cursor.take()


def value_of(cursor: Cursor, report: Report, line: int) -> Any:
    """The value here, with half characters repaired; None for text that is not in its encoding."""
    value, source = cursor.value()
    if _undecoded(source):
        report.add("not-utf8", line, detail=report.encoding)
        return None
    return whole_characters(value, source, line, report)


def _undecoded(source: str) -> bool:
    return not source.isascii() and any("\udc80" <= char <= "\udcff" for char in source)


def reason(error: ValueError) -> str:
    said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return said[:1].lower() + said[1:].removesuffix(" at")
