"""JSON that is one value over many lines: an array of objects, objects one after another, or one
object of objects (LlamaIndex). Read through a window, so that the file need not fit in memory."""

import json
import re
from collections.abc import Iterator
from typing import Any

from workbench.data.formats.jsonlines import Record, describe, tell_doubled, whole_characters
from workbench.data.lines import Block
from workbench.data.problems import Report

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
        fresh = _whole(block)
        wanted = max(0, (len(self._text) - self._at) - len(fresh))
        parts = [self._text[self._at :], fresh]
        # Double the window rather than add to it: a long value is then decoded a few times only.
        while wanted > 0 and (block := next(self._blocks, None)) is not None:
            parts.append(_whole(block))
            wanted -= len(parts[-1])
        self._text = "".join(parts)
        self._at = 0
        return True


def _whole(block: Block) -> str:
    """A block as it stands in the file, but for its line ends."""
    text = "\n".join(map(_text, block.lines))
    return text if block.open else text + "\n"


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def read(blocks: Iterator[Block], report: Report) -> Iterator[Record]:
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
