"""Pages of a list that is too long to be shown at once."""

from typing import Any

import gradio as gr
import pytest

from ui.kit.markup import piece
from ui.kit.pager import Pager, last_start, place_html

LETTERS = "abcdefghijk"
SIZE = 4


def drawn() -> tuple[gr.Blocks, Pager, gr.HTML]:
    with gr.Blocks() as blocks:
        wanted, shown = gr.Textbox("x"), piece()
        pager = Pager(SIZE, "letters")

        def page(prefix: str, start: int) -> dict[Any, Any]:
            start = last_start(start, SIZE, len(LETTERS))
            found = LETTERS[start : start + SIZE]
            return {shown: prefix + found, **pager.at(start, start + SIZE < len(LETTERS))}

        pager.listen(page, [wanted], [shown, *pager.outputs])
    return blocks, pager, shown


def test_pages_are_turned_and_the_ends_lead_nowhere() -> None:
    blocks, pager, shown = drawn()
    back, ahead = (
        next(one for one in blocks.fns.values() if (button._id, "click") in one.targets).fn
        for button in (pager.previous, pager.next)
    )
    assert back is not None and ahead is not None
    for turn, start, page, ways in (
        (ahead, 0, "xefgh", (True, True)),
        (ahead, 4, "xijk", (True, False)),
        (ahead, 8, "xijk", (True, False)),
        (back, 8, "xefgh", (True, True)),
        (back, 2, "xabcd", (False, True)),
    ):
        found = turn("x", float(start))
        assert found[shown] == page
        assert (found[pager.previous].interactive, found[pager.next].interactive) == ways


def test_where_one_page_is_all_there_is_nothing_to_press() -> None:
    _, pager, _ = drawn()
    assert not pager.at(0, more=False)[pager.next].visible
    assert pager.at(0, more=True)[pager.previous].visible


@pytest.mark.parametrize(
    ("start", "total", "found"), [(8, 11, 8), (99, 11, 8), (-4, 11, 0), (4, 0, 0)]
)
def test_beyond_the_end_is_the_last_page(start: int, total: int, found: int) -> None:
    assert last_start(start, SIZE, total) == found


def test_the_place_is_counted_from_one() -> None:
    assert "5 to 8 of 1,100" in place_html(4, 4, 1100)
