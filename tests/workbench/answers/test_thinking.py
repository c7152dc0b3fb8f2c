"""A thought before an answer is left out, however the text is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.answers.answer import Thinking


def shown(text: str, sizes: list[int] | None = None) -> str:
    read, at, found = Thinking(), 0, ""
    for size in [*(sizes or []), len(text)]:
        found += read.feed(text[at : at + size])
        at += size
    return found + read.close()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Tea.", "Tea."),
        ("<think>Hm.</think>Tea.", "Tea."),
        (" \n<think>Hm.</think>\nTea.", "\nTea."),
        ("<think>Hm.", ""),
        ("<thin", "<thin"),
        ("<b>Tea</b>", "<b>Tea</b>"),
        ("Tea <think>x</think>", "Tea <think>x</think>"),
        ("<think>a</think>b</think>", "b</think>"),
        ("  ", "  "),
        ("", ""),
    ],
)
def test_what_is_left(text: str, left: str) -> None:
    assert shown(text) == left


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "th", "ink>", " ", "tea"])).map("".join),
    st.lists(st.integers(1, 5)),
)
def test_pieces_of_any_size_say_the_same(text: str, sizes: list[int]) -> None:
    assert shown(text, sizes) == shown(text)
