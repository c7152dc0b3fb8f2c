"""Labels that are words: true and false, yes and no, relevant and irrelevant, entailment.

A label becomes a number: 0 for what is not relevant, 1 and more for what is. 'partially relevant'
moves the labels above it up by one where a file has it.
"""

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

#: Scores beyond this are not kept: they are stored as 32-bit floats.
_LARGEST = 3e38
_ZERO = frozenset(
    (
        *("false", "no", "n", "f", "irrelevant", "not relevant", "non relevant", "nonrelevant"),
        *("unrelated", "not related", "not duplicate", "non duplicate", "no duplicate"),
        *("different", "not paraphrase", "non paraphrase", "not equivalent", "dissimilar"),
        *("not similar", "no match", "mismatch", "negative", "neg", "incorrect", "wrong"),
        *("contradiction", "not entailment", "non entailment", "not answer", "rejected"),
        *("nein", "否", "假", "错", "错误", "不相关", "无关"),
    )
)
_ONE = frozenset(
    (
        *("true", "yes", "y", "t", "relevant", "related", "duplicate", "duplicated", "same"),
        *("paraphrase", "equivalent", "similar", "match", "positive", "pos", "correct", "right"),
        *("entailment", "entailed", "answer", "accepted"),
        *("ja", "是", "真", "对", "正确", "相关"),
    )
)
_PARTLY = ("partially", "partly", "somewhat", "marginally", "slightly")
_MORE = ("highly", "very")
_MOST = ("perfectly",)
NEUTRAL = "neutral"
_INFERENCE = frozenset(("entailment", "contradiction", "not entailment", NEUTRAL))


@dataclass(frozen=True, slots=True)
class Labels:
    """How the labels of one file are read. ``partly``: it has 'partially relevant' too."""

    partly: bool = False

    @classmethod
    def of(cls, values: Iterable[Any]) -> "Labels":
        """As these values of the file ask for."""
        return cls(any(_level(_plain(one)) == "partly" for one in values if isinstance(one, str)))

    def number(self, value: Any) -> float | None:
        """A finite number, also one written as text ('0.5', '0,5') or as a word; else None."""
        found = label_number(value)
        if found is not None or not isinstance(value, str):
            return found
        level = _level(_plain(value))
        levels = {"partly": 1.0, "more": 2.0, "most": 3.0}
        if level is None or (level == "partly" and not self.partly):
            return None
        return levels[level] + (self.partly and level != "partly")

    def grade(self, value: Any) -> float | None:
        """As :meth:`number`, where 'relevant' stands above 'partially relevant'."""
        found = self.number(value)
        lifted = self.partly and found == 1 and isinstance(value, str) and _plain(value) in _ONE
        return 2.0 if lifted else found


#: Where no file says otherwise.
PLAIN = Labels()


def label_number(value: Any) -> float | None:
    """The number a value is, is written as, or means as a word; None for anything else."""
    if isinstance(value, str):
        word = _plain(value)
        if word in _ZERO or word in _ONE:
            return float(word in _ONE)
        with suppress(ValueError):
            value = float(value.strip().replace(",", "."))
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float):
        return None
    with suppress(OverflowError):
        if math.isfinite(value) and abs(float(value)) < _LARGEST:
            return float(value)
    return None


def is_label(value: Any) -> bool:
    """Whether a value says how good something is: a number or a word that stands for one."""
    if label_number(value) is not None:
        return True
    return isinstance(value, str) and (is_neutral(value) or _level(_plain(value)) is not None)


def is_neutral(value: Any) -> bool:
    """NLI's third label: neither relevant nor its opposite."""
    return isinstance(value, str) and _plain(value) == NEUTRAL


def are_inferences(values: Iterable[Any]) -> bool:
    """Whether these are the labels of natural language inference."""
    words = {_plain(one) for one in values if isinstance(one, str)}
    return bool(words & _INFERENCE)


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").replace("-", " ").casefold().split())


def _level(word: str) -> str | None:
    how, _, what = word.partition(" ")
    if what not in ("relevant", "related", "similar", "correct"):
        return None
    for level, words in (("partly", _PARTLY), ("more", _MORE), ("most", _MOST)):
        if how in words:
            return level
    return None
