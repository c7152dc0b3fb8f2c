"""What the engine says, in the language spoken: its sentences, which are English and stand in
records, its metrics' names and its kinds of model.

A translation is found by the English sentence itself, with ``{}`` where the engine fills something
in, ``{n}`` where that is a count in digits: 'There is no {} named '{}'.' The other language's
sentence names these places by number. So a record, a log or an error of an earlier day is read in
any language, and what has no translation is shown as it is. The files
``sentences/<language>.*.json`` hold the pairs; a test fails where the engine has a sentence that
they lack.
"""

import json
import re
from functools import cache, lru_cache
from inspect import getdoc
from pathlib import Path

from ui.words import LANGUAGE, known, language, load, t
from workbench.comparison import names
from workbench.model_kinds import MODEL_KINDS

FOLDER = Path(__file__).parent / "sentences"
PLACE = re.compile(r"{\w*}")
#: A place for a count: takes digits only, so that short sentences fit nothing else.
_COUNT = "{n}"
_PIECES = {_COUNT: r"(\d[\d,.]*)"}
#: Between two sentences.
_GAP = re.compile(r"(?<=[.?!])\s+(?=\S)")
#: A place in quotation marks or braces holds a name: those stay as they are.
_NAMED = re.compile(r"('|\\{|\"|`|)\((?:\.\*\?|\\d\[\\d,\.\]\*)\)")
#: What is filled in can be a sentence with places itself.
_DEEPEST = 3


def said(text: str) -> str:
    """The text in the language spoken; as it is where there is no translation."""
    if language() == LANGUAGE or not text:
        return text
    return _said(language(), text, _DEEPEST)


@cache
def pairs(wanted: str) -> dict[str, str]:
    """English sentence, with ``{}`` for places -> the same with numbered places."""
    found: dict[str, str] = {}
    for path in sorted(FOLDER.glob(f"{wanted}.*.json")):
        found |= json.loads(path.read_text(encoding="utf-8"))
    return found


@cache
def _patterns(wanted: str) -> list[tuple[re.Pattern[str], str]]:
    """Sentences with places, those that say the most first."""
    with_places = [(key, words) for key, words in pairs(wanted).items() if PLACE.search(key)]
    with_places.sort(key=lambda one: -len(PLACE.sub("", one[0])))
    return [(_pattern(key), _numbered(key, words)) for key, words in with_places]


def _pattern(key: str) -> re.Pattern[str]:
    first, *rest = map(re.escape, PLACE.split(key))
    places = (_PIECES.get(place, "(.*?)") for place in PLACE.findall(key))
    after = "".join(place + text for place, text in zip(places, rest, strict=True))
    return re.compile(first + after, re.DOTALL)


def _numbered(key: str, words: str) -> str:
    """Named places ('{detail}') as numbers, as the pattern's groups are."""
    for at, place in enumerate(PLACE.findall(key)):
        if place != "{}":
            words = words.replace(place, f"{{{at}}}")
    return words


@lru_cache(maxsize=4096)
def _said(wanted: str, text: str, deep: int) -> str:
    whole = text.strip()
    exact = pairs(wanted).get(whole)
    if exact is not None:
        return exact
    if deep == 0:
        return text
    parts = _GAP.split(whole)
    found = [_one(wanted, part, deep) for part in parts]
    if len(parts) > 1 and None in found:
        # A stop within a sentence ('README.md', 'e. g.') makes no two of it.
        at_once = _one(wanted, whole, deep)
        if at_once is not None:
            return at_once
    return _joined([text if one is None else one for text, one in zip(parts, found, strict=True)])


def _one(wanted: str, text: str, deep: int) -> str | None:
    """One sentence, or None."""
    exact = pairs(wanted).get(text)
    if exact is not None:
        return exact
    for pattern, words in _patterns(wanted):
        if match := pattern.fullmatch(text):
            named = _NAMED.findall(pattern.pattern)
            places = [
                one if mark else _said(wanted, one, deep - 1)
                for mark, one in zip(named, match.groups(), strict=True)
            ]
            return _filled(words, places)
    return _about_field(wanted, text, deep)


def _filled(words: str, places: list[str]) -> str:
    return PLACE.sub(lambda place: places[int(place[0][1:-1])], words)


def _about_field(wanted: str, text: str, deep: int) -> str | None:
    """What a recipe says against a field: 'epochs: It must be greater than 0.'"""
    name, _, rest = text.partition(": ")
    label = load(wanted).get(f"field.{name}")
    against = _one(wanted, rest, deep) if label else None
    return f"{label}: {against}" if against else None


def _joined(parts: list[str]) -> str:
    """Sentences one after the other: no space after a stop that brings its own."""
    text = parts[0]
    for part in parts[1:]:
        text += part if text.endswith(("。", "？", "！")) else f" {part}"
    return text


# What the page calls metrics and kinds of model.


def metric_label(metric: str) -> str:
    """'hit_rate@5' -> 'Hit rate@5', in the language spoken; abbreviations are the same in all."""
    return metric_said(names.label(metric))


def metric_said(written: str) -> str:
    """The same of a label as :mod:`workbench.comparison.names` writes it."""
    name, at, cutoff = written.partition("@")
    return f"{said(name)}{at}{cutoff}"


#: A row of a comparison whose model was read at other lengths than its own, as
#: :func:`workbench.evaluation.same_length.row_name` calls it.
_AT_LENGTHS = re.compile(r"(.+) at (\d[\d,]*(?: / \d[\d,]*)?) tokens")


def row_said(name: str) -> str:
    """What the page calls a row of a comparison: a model's name stays as it is."""
    found = _AT_LENGTHS.fullmatch(name)
    return t("compare.at_tokens", model=found[1], tokens=found[2]) if found else name


# What the page calls a kind of model.


def kind_name(kind: str) -> str:
    """A kind in words: the page's, else its own, else as it is written."""
    key = f"kind.{kind}"
    if known(key):
        return t(key)
    return said(MODEL_KINDS.get(kind).label) if kind in MODEL_KINDS else kind


def about_kind(kind: str) -> str:
    """What such a model is for: the page's words, else those of its recipe."""
    key = f"train.kind_{kind}"
    return t(key) if known(key) else said(getdoc(MODEL_KINDS.get(kind).recipe) or "")
