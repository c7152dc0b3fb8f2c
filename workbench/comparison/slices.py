"""One metric by kinds of queries: length, language, script, how many documents answer.

For looking, not for deciding: nothing is tested here, and among many slices one will always look
remarkable. Hence the number of queries and the interval of each.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.languages import UNKNOWN, languages
from workbench.comparison.significance import bootstrap_interval

Floats = NDArray[np.float64]

#: Characters, since words are no unit where none are spaced.
LENGTHS = (20, 50, 100, 200)
RELEVANT = (1, 2, 5, 10)
DRAWS = 1_000
#: Of long texts this much tells the script.
LOOKED_AT = 200

#: First word of a character's Unicode name -> the script as people call it.
_SCRIPTS = {
    "LATIN": "Latin",
    "CJK": "Chinese characters",
    "HIRAGANA": "Japanese kana",
    "KATAKANA": "Japanese kana",
    "HANGUL": "Korean",
    "CYRILLIC": "Cyrillic",
    "ARABIC": "Arabic",
    "HEBREW": "Hebrew",
    "GREEK": "Greek",
    "DEVANAGARI": "Devanagari",
    "THAI": "Thai",
    "BENGALI": "Bengali",
    "TAMIL": "Tamil",
    "TELUGU": "Telugu",
}


@dataclass(frozen=True, slots=True)
class Slice:
    """Queries of one kind, and for each model the metric's mean over them with its interval."""

    name: str
    queries: int
    values: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Slicing:
    """All slices of one way to divide the queries."""

    by: str
    models: tuple[str, ...]
    metric: str
    slices: tuple[Slice, ...]


def slicings(
    texts: Sequence[str],
    relevant: Sequence[int],
    values: Mapping[str, Floats],
    *,
    metric: str,
    seed: int,
) -> list[Slicing]:
    """``texts`` and ``relevant`` (how many documents answer) of n queries, and ``values`` (n,)
    by model.

    A division that puts all queries into one slice says nothing and is left out.
    """
    lengths = [bucket(len(text), LENGTHS) for text in texts]
    answers = [bucket(count, RELEVANT) for count in relevant]
    ways: list[tuple[str, Sequence[str], Callable[[str], int]]] = [
        ("length", lengths, _first_number),
        ("language", spoken := languages(texts), _rarest_last(spoken, UNKNOWN)),
        ("script", scripts := [script(text) for text in texts], _rarest_last(scripts)),
        ("relevant", answers, _first_number),
    ]
    found = []
    for by, labels, order in ways:
        names = sorted(set(labels), key=order)
        # One language beside queries that are too short to tell is no division by language.
        if len({*names} - {UNKNOWN}) > 1:
            slices = tuple(_slice(name, labels, values, seed) for name in names)
            found.append(Slicing(by, tuple(values), metric, slices))
    return found


def bucket(number: int, edges: Sequence[int]) -> str:
    """'1', '3–5', '11 and more': the range between edges (upper ends) that a number lies in."""
    low = min(1, number)
    for edge in edges:
        if number <= edge:
            return str(edge) if low == edge else f"{low}–{edge}"
        low = edge + 1
    return f"{low} and more"


def script(text: str) -> str:
    """The script that most letters are of; 'mixed' where a second one has a fifth of them.

    Chinese characters beside kana are Japanese.
    """
    found = Counter(filter(None, map(_script, text[:LOOKED_AT])))
    if not found:
        return "no letters"
    if found["Japanese kana"]:
        found["Japanese kana"] += found.pop("Chinese characters", 0)
    (first, most), *others = found.most_common(2)
    return "mixed" if others and 4 * others[0][1] >= most else first


@lru_cache(maxsize=50_000)
def _script(character: str) -> str:
    if not character.isalpha():
        return ""
    word = unicodedata.name(character, "").split(" ")[0].split("-")[0]
    return _SCRIPTS.get(word, word.capitalize() or "other")


def _slice(name: str, labels: Sequence[str], values: Mapping[str, Floats], seed: int) -> Slice:
    inside = np.array([label == name for label in labels])
    found = []
    for one in values.values():
        low, high = bootstrap_interval(one[inside], seed=seed, draws=DRAWS)
        found.append((float(one[inside].mean()), low, high))
    return Slice(name, int(inside.sum()), tuple(found))


def _first_number(name: str) -> int:
    return int(name.replace("–", " ").split()[0])


def _rarest_last(labels: Sequence[str], last: str = "") -> Callable[[str], int]:
    counts = Counter(labels)
    return lambda name: 1 if name == last else -counts[name]
