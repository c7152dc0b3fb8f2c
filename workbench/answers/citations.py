"""Finds the citations in an answer while it is written: [1], [2, 3], [4-6], also 【1】 and ［１］.

A model cites what it likes; a number that no passage has is told apart, never shown as a source.
What stands in backticks is code: ``rows[0]`` cites nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "cite", "wrong"]

_OPEN, _CLOSE = "[【［", "]】］"
#: Numbers with what joins them: commas of both scripts, semicolons, dashes for ranges.
_INSIDE = re.compile(r"\s*\^?\d{1,4}(?:\s*[,，、;；\-–—~]\s*\d{1,4})*\s*")
#: What could still become such a citation.
_SO_FAR = re.compile(r"[\s\^\d,，、;；\-–—~]*")
_NUMBER = re.compile(r"(\d{1,4})(?:\s*[\-–—~]\s*(\d{1,4}))?")
_TICK = "`"
#: A bracket that is not closed by then was none.
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer. ``numbers``: those of a citation's passages that are there ('cite'),
    or are not ('wrong', with the text as it was written)."""

    kind: Kind
    text: str
    numbers: tuple[int, ...] = ()


@dataclass
class Citations:
    """Reads an answer in pieces of any size; ``passages`` is how many there are to cite."""

    passages: int
    #: Numbers cited, in the order of their first mention.
    cited: list[int] = field(default_factory=list)
    #: Numbers cited that no passage has, each as often as it was cited.
    wrong: list[int] = field(default_factory=list)
    _held: str = ""
    #: How many backticks began the code we are in; 0 outside.
    _code: int = 0
    _ticks: int = 0

    def feed(self, text: str) -> list[Piece]:
        """What can be shown now; an open bracket is held back until it is known what it is."""
        found: list[Piece] = []
        for one in text:
            found += self._take(one)
        return joined(found)

    def close(self) -> list[Piece]:
        """What was held back, at the end."""
        held, self._held = self._held, ""
        return [Piece("text", held)] if held else []

    def _take(self, one: str) -> list[Piece]:
        self._count(one)
        return self._inside(one) if self._held else self._outside(one)

    def _inside(self, one: str) -> list[Piece]:
        if one in _CLOSE:
            held, self._held = self._held + one, ""
            return self._cited(held)
        if _SO_FAR.fullmatch(one) and len(self._held) < _LONGEST:
            self._held += one
            return []
        held, self._held = self._held, ""
        return [Piece("text", held), *self._outside(one)]

    def _outside(self, one: str) -> list[Piece]:
        if one in _OPEN and not self._code:
            self._held = one
            return []
        return [Piece("text", one)]

    def _cited(self, written: str) -> list[Piece]:
        inside = written[1:-1]
        if not _INSIDE.fullmatch(inside):
            return [Piece("text", written)]
        right: list[int] = []
        wrong: list[int] = []
        for number in _numbers(inside):
            (right if 1 <= number <= self.passages else wrong).append(number)
        self.cited += [one for one in right if one not in self.cited]
        self.wrong += wrong
        found = [Piece("cite", f"[{', '.join(map(str, right))}]", tuple(right))] if right else []
        if wrong:
            found.append(Piece("wrong", f"[{', '.join(map(str, wrong))}]", tuple(wrong)))
        return found

    def _count(self, one: str) -> None:
        """Backticks: as many as began a code end it."""
        if one == _TICK:
            self._ticks += 1
            return
        if self._ticks:
            if not self._code:
                self._code = self._ticks
            elif self._ticks == self._code:
                self._code = 0
            self._ticks = 0
        if one == "\n" and self._code == 1:
            # Code within a line ends with it: one stray backtick does not swallow the rest.
            self._code = 0


def parse(text: str, passages: int) -> tuple[list[Piece], Citations]:
    """A whole answer at once."""
    found = Citations(passages)
    return joined([*found.feed(text), *found.close()]), found


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Texts that stand beside each other as one."""
    found: list[Piece] = []
    for piece in pieces:
        if found and piece.kind == "text" == found[-1].kind:
            found[-1] = Piece("text", found[-1].text + piece.text)
        else:
            found.append(piece)
    return found


def plain(pieces: Iterable[Piece]) -> str:
    """The answer with its citations as '[1]' and '[1, 2]', those of no passage left out."""
    said = ""
    for piece in pieces:
        said = said.rstrip(" ") if piece.kind == "wrong" else said + piece.text
    return said


def _numbers(inside: str) -> list[int]:
    """'1, 3-5' -> [1, 3, 4, 5]. A range that runs backwards, or on and on, is its two ends."""
    found: list[int] = []
    for first, last in _NUMBER.findall(inside):
        low, high = int(first), int(last or first)
        whole = range(low, high + 1) if 0 <= high - low <= 50 else (low, high)
        found += [one for one in whole if one not in found]
    return found
