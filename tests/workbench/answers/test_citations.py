"""Citations are found in whatever a model writes, in pieces of any size."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.answers.citations import Citations, Piece, joined, parse, plain

#: What answers are made of, bad brackets included.
PARTS = st.lists(
    st.sampled_from(
        [
            "[1]",
            "[2, 3]",
            "[9]",
            "[1-3]",
            "【2】",
            "[",
            "]",
            "`",
            "``",
            "\n",
            " tea ",
            "好",
            "[x",
            "1",
        ]
    ),
    max_size=30,
).map("".join)


def cites(text: str, passages: int = 5) -> list[tuple[int, ...]]:
    return [piece.numbers for piece in parse(text, passages)[0] if piece.kind == "cite"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Tea steeps [1].", [(1,)]),
        ("Tea steeps.[1][2]", [(1,), (2,)]),
        ("Tea [1, 2], milk [3; 4] and [1、5]", [(1, 2), (3, 4), (1, 5)]),
        ("Ranges [2-4] and [2–3]", [(2, 3, 4), (2, 3)]),
        ("茶要泡三分钟【1】，水要开［２］。", [(1,), (2,)]),
        ("A footnote [^3]", [(3,)]),
        ("[ 1 ]", [(1,)]),
        ("twice [1, 1]", [(1,)]),
        ("backwards [4-2]", [(4, 2)]),
        ("no [one], [1.5], [], [a1], (1)", []),
        ("[[1]]", [(1,)]),
        ("code `rows[1]` and ``a`[2]`` but [3]", [(3,)]),
        ("a stray ` tick [1]\nnext line [2]", [(2,)]),
        ("```\nrows[1]\nx = y[2]\n```\n[3]", [(3,)]),
        ("unclosed [1", []),
    ],
)
def test_what_is_a_citation(text: str, found: list[tuple[int, ...]]) -> None:
    assert cites(text) == found


def test_a_passage_that_is_not_there_is_told_apart() -> None:
    pieces, found = parse("Tea [1, 7] grows [0] on hills [9-10].", 3)
    assert [piece for piece in pieces if piece.kind != "text"] == [
        Piece("cite", "[1]", (1,)),
        Piece("wrong", "[7]", (7,)),
        Piece("wrong", "[0]", (0,)),
        Piece("wrong", "[9, 10]", (9, 10)),
    ]
    assert (found.cited, found.wrong) == ([1], [7, 0, 9, 10])
    assert plain(pieces) == "Tea [1] grows on hills."


def test_an_endless_range_is_its_ends() -> None:
    _, found = parse("[1-9999]", 3)
    assert (found.cited, found.wrong) == ([1], [9999])


@given(PARTS | st.text(), st.lists(st.integers(1, 7)), st.integers(0, 6))
def test_pieces_of_any_size_say_the_same(text: str, sizes: list[int], passages: int) -> None:
    whole, at_once = parse(text, passages)
    read, found, at = Citations(passages), [], 0
    for size in [*sizes, len(text)]:
        found += read.feed(text[at : at + size])
        at += size
    assert joined([*found, *read.close()]) == whole
    assert (read.cited, read.wrong) == (at_once.cited, at_once.wrong)


@given(PARTS, st.integers(0, 6))
def test_nothing_but_citations_is_changed(text: str, passages: int) -> None:
    """Without what stands in brackets, the text comes back as it was."""
    pieces, found = parse(text, passages)
    kept = "".join(piece.text for piece in pieces if piece.kind == "text")
    assert re.sub(r"[\[\]【】［］\d, \-]", "", text) == re.sub(r"[\[\]【】［］\d, \-]", "", kept)
    assert all(1 <= number <= passages for number in found.cited)
    assert not [number for number in found.wrong if 1 <= number <= passages]
    assert len(set(found.cited)) == len(found.cited)


@given(st.text(st.sampled_from("ab[] .")))
def test_a_text_without_numbers_is_all_text(text: str) -> None:
    pieces, _ = parse(text, 5)
    assert pieces == ([Piece("text", text)] if text else [])
