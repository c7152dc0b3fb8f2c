"""What is counted of texts while they are read: their lengths, and those hardly meant as texts."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: Bin edges in characters, each about a third more than the one before; the last bin is open.
EDGES: tuple[int, ...] = (
    0, 10, 20, 30, 40, 55, 75, 100, 135, 180, 240, 320, 430, 570, 760, 1000, 1350, 1800,
    2400, 3200, 4300, 5700, 7600, 10_000, 20_000, 50_000, 100_000,
)  # fmt: skip


class Lengths:
    """Counts of texts by their length in characters."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(EDGES), np.int64)
        self._total = 0
        self._longest = 0

    def add(self, texts: pa.StringArray) -> None:
        if not len(texts):
            return
        lengths = _characters(texts)
        places = np.searchsorted(np.asarray(EDGES), lengths, side="right") - 1
        self._counts += np.bincount(places, minlength=len(EDGES))
        self._total += int(lengths.sum())
        self._longest = max(self._longest, int(lengths.max()))

    def to_dict(self) -> dict[str, Any]:
        """``edges`` (lower edge of each bin) and ``counts`` side by side, unit and summary."""
        count = int(self._counts.sum())
        return {
            "unit": "characters",
            "edges": list(EDGES),
            "counts": self._counts.tolist(),
            "mean": round(self._total / count, 1) if count else 0.0,
            "longest": self._longest,
        }


def _characters(texts: pa.StringArray) -> Any:
    """How many characters each text has: its bytes, where all of them are ASCII."""
    ends, held = bytes_of(texts)
    if held[ends[0] : ends[-1]].max(initial=0) < 0x80:
        return np.diff(ends)
    return pc.utf8_length(texts).to_numpy(zero_copy_only=False)


def bytes_of(texts: pa.StringArray) -> tuple[Any, Any]:
    """Where each text ends in the bytes of all, with the first one's beginning, and those bytes."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    return ends, np.frombuffer(data or b"", np.uint8)


# Texts that are hardly meant as texts: a list written out, a number alone, a placeholder.

#: A list as JSON, Python or numpy writes it: of quoted texts, or empty.
LIST = r"""^\s*\[\s*(\]|["'][^\x00]*["']\s*\])\s*$"""
_LIST = re.compile(LIST)
#: Bytes that a list begins with: its bracket, or a blank before it.
_MAY_BE_LIST = np.zeros(256, bool)
_MAY_BE_LIST[[*b"[ \t\n\r\f\v"]] = True
_NUMBER = re.compile(r"[-+]?\s?\d[\d.,\s]*%?")
_PLACEHOLDERS = frozenset(
    (
        *("nan", "none", "null", "nil", "na", "n/a", "<na>", "#n/a", "#value!", "nat"),
        *("undefined", "[]", "{}", "()", "-", "--", "---", ".", "..", "...", "?", "??", "_"),
        *("todo", "tbd", "fixme", "xxx", "placeholder", "[deleted]", "[removed]"),
    )
)
#: Every kind there is.
ODD_KINDS = ("placeholder", "list", "number")
#: A longer text is none of these but a list.
_LONGEST = 40


def lists_in(texts: pa.StringArray) -> int:
    """How many texts look like a list that was written out: "['a', 'b']", '[]'."""
    ends, held = bytes_of(texts)
    filled = np.flatnonzero(ends[1:] > ends[:-1])
    some = filled[_MAY_BE_LIST[held[ends[filled]]]]
    if not len(some):
        return 0
    picked = texts.take(pa.array(some))
    return int(pc.sum(pc.match_substring_regex(picked, LIST)).as_py() or 0)


def odd_kind(text: str) -> str | None:
    """'placeholder', 'list' or 'number'; None for a text like any other."""
    bare = text.strip()
    if len(bare) <= _LONGEST:
        if bare.casefold().rstrip(":") in _PLACEHOLDERS:
            return "placeholder"
        if _NUMBER.fullmatch(bare):
            return "number"
    return "list" if bare[:1] == "[" and _LIST.match(bare) else None
