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

from workbench.comparison.significance import mean_interval
from workbench.data_check.languages import NO_LANGUAGE, SURE, likelihoods

# In which language queries are, by the data check's classifier: named only where it is sure.

#: Where a text is too short to tell, or is mostly names, numbers or code.
UNKNOWN = "unknown"
#: Fewer queries than this, or than this share of all, are one group: many of them are mistakes.
FEW, RARE = 3, 0.01
OTHERS = "other languages"
#: Characters of a text that are looked at.
_START = 400
#: So many of the likeliest languages are looked at.
_LIKELY = 20
#: Little writing tells these apart: they are one.
_CHINESE = {"zh", "wuu", "yue"}

#: ISO 639 codes as people call them; others are shown as they are.
_NAMES = {
    "af": "Afrikaans", "am": "Amharic", "ar": "Standard Arabic", "az": "Azerbaijani",
    "be": "Belarusian", "bg": "Bulgarian", "bn": "Bengali", "bs": "Bosnian", "ca": "Catalan",
    "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German", "el": "Modern Greek",
    "en": "English", "eo": "Esperanto", "es": "Spanish", "et": "Estonian", "eu": "Basque",
    "fa": "Persian", "fi": "Finnish", "fr": "French", "ga": "Irish", "gl": "Galician",
    "gu": "Gujarati", "he": "Modern Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese",
    "ka": "Georgian", "kk": "Kazakh", "km": "Khmer", "kn": "Kannada", "ko": "Korean",
    "la": "Latin language", "lt": "Lithuanian", "lv": "Latvian", "mk": "Macedonian",
    "ml": "Malayalam", "mn": "Mongolian", "mr": "Marathi", "ms": "Malay", "my": "Burmese",
    "ne": "Nepali", "nl": "Dutch", "nn": "Norwegian", "no": "Norwegian", "pa": "Punjabi",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak",
    "sl": "Slovenian", "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili",
    "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "vi": "Vietnamese", "wuu": "Chinese",
    "yue": "Chinese", "zh": "Chinese",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Guess:
    """What the classifier says of one text: languages (by name) with how likely they are."""

    likely: tuple[tuple[str, float], ...]
    #: All letters are Chinese characters, and the likeliest language is a kind of Chinese: then
    #: even a short text is no other language's, whichever kind it is.
    chinese: bool

    @property
    def surely(self) -> str:
        name, sure = self.likely[0]
        return name if sure >= SURE or self.chinese else UNKNOWN

    def among(self, shares: Mapping[str, float]) -> str:
        """The language, given which ones the data set surely has, and their shares: a short
        question in one of two languages can be told where among a hundred it could not."""
        weights = {name: sure * shares[name] for name, sure in self.likely if name in shares}
        first = self.likely[0][0]
        total = sum(weights.values())
        if first in weights and first != UNKNOWN and weights[first] >= SURE * total:
            return first
        return UNKNOWN


def languages(texts: Sequence[str]) -> list[str]:
    """A name for each text: 'German', 'unknown' where it cannot be told, 'other languages' where
    hardly any of them is in its language."""
    guesses = [_guess(text[:_START]) for text in texts]
    sure = Counter(one.surely for one in guesses)
    sure.pop(UNKNOWN, None)
    few = max(FEW, RARE * len(texts))
    shares = {name: n / sure.total() for name, n in sure.items() if n >= few}
    found = [one.surely if one.surely != UNKNOWN else one.among(shares) for one in guesses]
    return [OTHERS if name not in shares and name != UNKNOWN else name for name in found]


@lru_cache(maxsize=20_000)
def _guess(text: str) -> _Guess:
    ranked = likelihoods()(text)
    named: dict[str, float] = {}
    for code, sure in ranked[:_LIKELY]:
        name = UNKNOWN if code == NO_LANGUAGE else _NAMES.get(code, code)
        named[name] = named.get(name, 0.0) + sure
    letters = [sign for sign in text if sign.isalpha()]
    chinese = ranked[0][0] in _CHINESE and all("\u3400" <= one <= "\u9fff" for one in letters)
    return _Guess(tuple(sorted(named.items(), key=lambda one: -one[1])), chinese and bool(letters))


Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Characters, since words are no unit where none are spaced.
LENGTHS = (20, 50, 100, 200)
RELEVANT = (1, 2, 5, 10)
DRAWS = 1_000
#: Of long texts this much tells the script.
LOOKED_AT = 200

#: First word of a character's Unicode name -> the script as people call it.
_SCRIPTS = {
    "LATIN": "Latin", "CJK": "Chinese characters", "HIRAGANA": "Japanese kana",
    "KATAKANA": "Japanese kana", "HANGUL": "Korean", "CYRILLIC": "Cyrillic", "ARABIC": "Arabic",
    "HEBREW": "Hebrew", "GREEK": "Greek", "DEVANAGARI": "Devanagari", "THAI": "Thai",
    "BENGALI": "Bengali", "TAMIL": "Tamil", "TELUGU": "Telugu",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slice:
    """Queries of one kind, and for each model the metric's mean over them with its interval."""

    name: str
    queries: int
    #: Groups of these queries that share relevant documents: what intervals rest on.
    clusters: int
    #: Mean and interval; None where there are too few groups for any.
    values: tuple[tuple[float, float | None, float | None], ...]


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
    clusters: Ints | None = None,
) -> list[Slicing]:
    """``texts`` and ``relevant`` (how many documents answer) of n queries, and ``values`` (n,)
    by model. ``clusters`` (n,): numbers of queries that share relevant documents.

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
    if clusters is None:
        clusters = np.arange(len(texts))
    found = []
    for by, labels, order in ways:
        names = sorted(set(labels), key=order)
        # One language beside queries that are too short to tell is no division by language.
        if len({*names} - {UNKNOWN}) > 1:
            slices = tuple(_slice(name, labels, values, clusters, seed) for name in names)
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


def _slice(
    name: str, labels: Sequence[str], values: Mapping[str, Floats], clusters: Ints, seed: int
) -> Slice:
    inside = np.array([label == name for label in labels])
    found = []
    for one in values.values():
        interval = mean_interval(one[inside], seed=seed, draws=DRAWS, clusters=clusters[inside])
        found.append((float(one[inside].mean()), *(interval or (None, None))))
    together = len(np.unique(clusters[inside]))
    return Slice(name, int(inside.sum()), together, tuple(found))


def mean_text(mean: float, low: float | None, high: float | None) -> str:
    """'0.683 [0.601, 0.745]'; '0.683 [-]' where there is no interval."""
    limits = "-" if low is None or high is None else f"{low:.3f}, {high:.3f}"
    return f"{mean:.3f} [{limits}]"


def _first_number(name: str) -> int:
    return int(name.replace("–", " ").split()[0])


def _rarest_last(labels: Sequence[str], last: str = "") -> Callable[[str], int]:
    counts = Counter(labels)
    return lambda name: 1 if name == last else -counts[name]
