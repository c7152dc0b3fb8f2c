"""Counts with the right form of what is counted."""

import pytest
from babel import Locale

from workbench.plurals import counted, form

NUMBERS = (0, 1, 2, 5, 21, 101, 1_000_000, 1.0, 1.5)


@pytest.mark.parametrize("number", NUMBERS)
def test_english_is_counted_by_its_own_rule(number: float) -> None:
    rule = Locale.parse("en").plural_form
    assert form(number, ("one", "other")) == rule(number)


def test_a_count() -> None:
    assert counted(1, "query", "queries") == "1 query"
    assert counted(1_200, "query", "queries") == "1,200 queries"
    assert counted(2, "row") == "2 rows"


def test_chinese_has_one_form() -> None:
    assert {form(number, ("个",), "zh") for number in NUMBERS} == {"个"}
