"""Counts with the right form of what is counted, by the plural rules of CLDR (Babel)."""

from collections.abc import Sequence
from functools import cache

from babel import Locale
from babel.plural import PluralRule

#: All plural categories, in the order in which a language's forms are written.
_CATEGORIES = ("zero", "one", "two", "few", "many", "other")
#: English's own rule, for which no file has to be read.
_ENGLISH = PluralRule({"one": "i = 1 and v = 0"})


def form(number: float, forms: Sequence[str], language: str = "en") -> str:
    """The form for this number: of ('document', 'documents') in English, of one form in Chinese."""
    return forms[_places(language)[_rule(language)(number)]]


def counted(number: int, one: str, many: str = "") -> str:
    """'1 query', '1,200 queries'; without ``many`` an s is added."""
    return f"{number:,} {form(number, (one, many or one + 's'))}"


def _rule(language: str) -> PluralRule:
    return _ENGLISH if language == "en" else Locale.parse(language).plural_form


@cache
def _places(language: str) -> dict[str, int]:
    """Each plural category of a language -> the place of its form."""
    used = {*_rule(language).tags, "other"}
    return {one: at for at, one in enumerate(each for each in _CATEGORIES if each in used)}
