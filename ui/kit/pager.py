"""Paging through what is too long to be shown at once: where a page begins, and the way to others.

What a page shows is read when it is turned to, so a million rows open as quickly as ten.
"""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import on
from ui.words import t
from ui.words.amounts import count


class Pager:
    """'Previous' and 'Next', drawn below a list of ``size`` rows a page.

    Where one page is all there is they are hidden; else both are there, the one that leads nowhere
    switched off, so that neither moves under the pointer of who turns page after page.
    """

    def __init__(self, size: int, prefix: str) -> None:
        self.size = size
        with gr.Row(elem_classes="rw-actions"):
            about: dict[str, Any] = {"size": "sm", "visible": False}
            self.previous = gr.Button(t("pager.previous"), elem_id=f"{prefix}-previous", **about)
            self.next = gr.Button(t("pager.next"), elem_id=f"{prefix}-next", **about)
        #: The number of the page's first row, from 0.
        self.start = gr.Number(0, visible=False, label=t("pager.start"))
        self.outputs = [self.previous, self.next, self.start]

    def at(self, start: int, more: bool) -> dict[Any, Any]:
        """The page from ``start`` on is shown; ``more``: there are rows after it."""
        several = start > 0 or more
        return {
            self.previous: gr.Button(visible=several, interactive=start > 0),
            self.next: gr.Button(visible=several, interactive=more),
            self.start: start,
        }

    def listen(
        self, page: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any]
    ) -> None:
        """``page(*inputs, start)`` answers for ``outputs`` with the page from ``start`` on."""

        def turned(step: int) -> Callable[..., Any]:
            return lambda *raw: page(*raw[:-1], max(0, int(raw[-1]) + step))

        given = [*inputs, self.start]
        on(self.previous.click, turned(-self.size), given, outputs)
        on(self.next.click, turned(+self.size), given, outputs)


def last_start(start: int, size: int, total: int) -> int:
    """Where a page begins: at ``start``, or, beyond the end, where the last page does."""
    return min(max(0, start), max(0, (total - 1) // size * size))


def place_html(start: int, shown: int, total: int) -> Markup:
    """'11 to 20 of 29', below a page of ``shown`` rows."""
    words = t("pager.place", first=start + 1, last=start + shown, all=count(total))
    return Markup('<p class="rw-quiet rw-small">{}</p>').format(words)
