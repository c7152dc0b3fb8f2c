"""Counts with the right form of what is counted, by the plural rules of CLDR (Babel)."""

from collections.abc import Sequence
from functools import cache

from babel import Locale

#: All plural categories, in the order in which a language's forms are written.
_CATEGORIES = ("zero", "one", "two", "few", "many", "other")


def form(number: float, forms: Sequence[str], language: str = "en") -> str:
    """The form for this number: of ('document', 'documents') in English, of one form in Chinese."""
    rule = Locale.parse(language).plural_form
    return forms[_places(language)[rule(number)]]


def counted(number: int, one: str, many: str = "") -> str:
    """'1 query', '1,200 queries'; without ``many`` an s is added."""
    return f"{number:,} {form(number, (one, many or one + 's'))}"


@cache
def _places(language: str) -> dict[str, int]:
    """Each plural category of a language -> the place of its form."""
    used = {*Locale.parse(language).plural_form.tags, "other"}
    return {one: at for at, one in enumerate(each for each in _CATEGORIES if each in used)}
