"""Filters: what is typed, and which documents are left, against brute force."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import BadInput
from workbench.search.fields import OPERATORS, Condition, Fields, joined, number, parse


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        ("lang = en", [Condition("lang", "=", ("en",))]),
        ("year>=2020", [Condition("year", ">=", ("2020",))]),
        ("lang in en,de", [Condition("lang", "in", ("en", "de"))]),
        ("lang in en , de AND year == 3", [
            Condition("lang", "in", ("en", "de")), Condition("year", "=", ("3",))
        ]),
        ('place = New York and "a field" != "x, \\"y\\" and z"', [
            Condition("place", "=", ("New York",)),
            Condition("a field", "!=", ('x, "y" and z',)),
        ]),
        ("date > 2024-05-01", [Condition("date", ">", ("2024-05-01",))]),
        ("price = -1.5e3", [Condition("price", "=", ("-1.5e3",))]),
    ],
)  # fmt: skip
def test_what_is_typed_is_understood(text: str, wanted: list[Condition]) -> None:
    assert list(parse(text)) == wanted


@pytest.mark.parametrize(
    "text", ["year", "= 3", "year >=", "a = b c = d", "a = 1 and", "a in ,", "a = 1, 2", 'a = "b']
)
def test_what_is_not_understood_is_a_sentence(text: str) -> None:
    with pytest.raises(BadInput, match="is not understood"):
        parse(text)


TEXT = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=8).filter(
    lambda text: text.strip() == text and text
)
NAMES = st.sampled_from(["lang", "year", "a field", "and"])
VALUES = st.one_of(
    st.sampled_from(["en", "de", "2020", "2020-01-02", "1_0", "", " x "]),
    st.integers(-5, 5),
    st.floats(-3, 3, width=16),
    st.booleans(),
    st.none(),
    st.lists(st.sampled_from(["en", "fr", 3]), max_size=3),
)
DOCUMENTS = st.lists(
    st.one_of(st.none(), st.dictionaries(NAMES, VALUES, max_size=3)), min_size=1, max_size=12
)


@given(st.lists(st.tuples(TEXT, st.sampled_from(OPERATORS), TEXT, TEXT), min_size=1, max_size=3))
def test_a_condition_written_out_is_read_back(parts: list[tuple[str, str, str, str]]) -> None:
    conditions = [
        Condition(field, operator, (one, other) if operator == "in" else (one,))
        for field, operator, one, other in parts
    ]
    assert list(parse(joined([str(one) for one in conditions]))) == conditions


@given(
    DOCUMENTS, NAMES, st.sampled_from(OPERATORS), st.sampled_from(["en", "3", "2020", "x", "-1"])
)
@settings(max_examples=300)
def test_a_filter_leaves_what_brute_force_leaves(
    documents: list[Any], name: str, operator: str, wanted: str
) -> None:
    fields = Fields(None if one is None else orjson.dumps(one).decode() for one in documents)
    condition = Condition(name, operator, (wanted,))
    expected = [plainly(one or {}, name, operator, wanted) for one in documents]
    if not any(values((one or {}).get(name)) for one in documents):
        with pytest.raises(BadInput, match="no field"):
            fields.mask([condition])
        return
    assert fields.mask([condition]).tolist() == expected
    both = Condition(name, "in", (wanted, "en"))
    assert fields.mask([condition, both]).tolist() == [
        one and plainly(document or {}, name, "in", wanted, "en")
        for one, document in zip(expected, documents, strict=True)
    ]


def values(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    texts = [item if isinstance(item, str) else orjson.dumps(item).decode() for item in items]
    return [text for text, item in zip(texts, items, strict=True) if item is not None]


def plainly(document: dict[str, Any], name: str, operator: str, *wanted: str) -> bool:
    """The rules as a person would apply them, document by document."""
    have = values(document.get(name))
    same = [any(one == other or is_number(one, other) for other in wanted) for one in have]
    if operator in ("=", "in"):
        return any(same)
    if operator == "!=":
        return bool(have) and not any(same)
    right = number(wanted[0])
    pairs: list[tuple[Any, Any]] = [
        (year_or_number(one), right) if right is not None else (one, wanted[0]) for one in have
    ]
    compare = {
        ">": lambda a, b: a > b,
        "<": lambda a, b: a < b,
        ">=": lambda a, b: a >= b,
        "<=": lambda a, b: a <= b,
    }
    return any(left is not None and compare[operator](left, other) for left, other in pairs)


def year_or_number(text: str) -> float | None:
    return 2020.0 if text == "2020-01-02" else number(text)


def test_a_date_meets_a_year_and_a_word_no_number() -> None:
    made = Fields(['{"at":"2020-05-01"}', '{"at":"2019-12-31"}', '{"at":"unknown"}', '{"at":2021}'])
    assert made.mask(parse("at >= 2020")).tolist() == [True, False, False, True]
    assert made.mask(parse("at <= 2020")).tolist() == [True, True, False, False]
    assert made.mask(parse("at > 2020-01-01")).tolist() == [True, False, True, True]
    assert number("1_2") is None and number("1e400") is None and number(" -1.5e3 ") == -1500


def is_number(one: str, other: str) -> bool:
    left, right = number(one), number(other)
    return left is not None and left == right


def test_fields_within_fields_and_the_menu() -> None:
    made = Fields(['{"meta":{"lang":"en"},"tags":["a","b"]}', '{"tags":["b"]}', None])
    assert made.menu() == {"meta.lang": [("en", 1)], "tags": [("b", 2), ("a", 1)]}
    assert made.mask(parse("meta.lang = en")).tolist() == [True, False, False]
    with pytest.raises(BadInput, match="Did you mean 'tags'"):
        made.mask(parse("tag = a"))
    with pytest.raises(BadInput, match="no fields of their own"):
        Fields([None]).mask(parse("tag = a"))
