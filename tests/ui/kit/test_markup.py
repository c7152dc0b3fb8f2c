"""What comes from data is text, whatever it looks like."""

import pytest
from markupsafe import Markup

from ui.kit import markup

BAD = '<script>bad()</script><img src=x onerror="bad()">\'{{value}}${value}'


@pytest.mark.parametrize(
    "drawn",
    [
        markup.badge(BAD),
        markup.bar(0.5, BAD),
        markup.bar(None, BAD),
        markup.empty(BAD, BAD),
        markup.pick(BAD, BAD),
        markup.table([BAD], [[BAD]], caption=BAD),
        markup.facts({BAD: BAD}),
        markup.clipped(BAD),
        markup.clipped(BAD * 20),
        markup.heading(BAD, BAD),
        markup.join([BAD]),
    ],
)
def test_tags_are_escaped(drawn: Markup) -> None:
    assert isinstance(drawn, Markup)
    assert "<script" not in drawn
    assert "<img" not in drawn
    assert 'onerror="' not in drawn
    assert "&lt;script&gt;" in drawn


def test_a_table_marks_numbers_and_the_chosen_row() -> None:
    drawn = markup.table(["a", "b"], [["x", "1"], ["y", "2"]], caption="c", numeric=[1], chosen=1)
    assert drawn.count('class="number"') == 3
    assert '<tr class="chosen"><td>y</td>' in drawn


def test_a_bar_says_how_far() -> None:
    assert 'aria-valuenow="25"' in markup.bar(0.25, "x")
    assert 'aria-valuenow="100"' in markup.bar(7.0, "x")
    assert "aria-valuenow" not in markup.bar(None, "x")


def test_long_text_is_cut_and_whole_behind_it() -> None:
    drawn = markup.clipped("a" * 500, 100)
    assert drawn.startswith("<details")
    assert "a" * 500 in drawn
    assert "<details" not in markup.clipped("short")
