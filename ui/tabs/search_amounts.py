"""How many documents a search shows, and how many of them a second stage re-ranks."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.words import t
from workbench.errors import BadInput
from workbench.search.client import MOST_HITS
from workbench.search.results import CANDIDATES

HITS = 10


@dataclass(frozen=True)
class Amounts:
    hits: gr.Number
    candidates: gr.Number

    @property
    def inputs(self) -> list[Any]:
        return [self.hits, self.candidates]


def render() -> Amounts:
    # Without the component's own bounds: it would refuse in Gradio's words, in English.
    with gr.Row(equal_height=False):
        hits = gr.Number(
            HITS,
            precision=0,
            step=1,
            label=t("amounts.hits"),
            info=t("amounts.hits_help"),
            interactive=True,
            min_width=200,
            elem_id="search-hits",
        )
        candidates = gr.Number(
            CANDIDATES,
            precision=0,
            step=1,
            label=t("amounts.candidates"),
            info=t("amounts.candidates_help"),
            interactive=True,
            min_width=200,
            elem_id="search-candidates",
        )
    return Amounts(hits, candidates)


def hits_of(raw: float | None) -> int:
    """Documents to show; an emptied field means the usual number. Raises :class:`BadInput`."""
    return _within(raw, HITS, t("amounts.hits"))


def candidates_of(raw: float | None) -> int:
    """Documents for a second stage; an emptied field means the usual number. Raises
    :class:`BadInput`."""
    return _within(raw, CANDIDATES, t("amounts.candidates"))


def _within(raw: float | None, usual: int, label: str) -> int:
    if raw is None:
        return usual
    if not 1 <= raw <= MOST_HITS:
        raise BadInput(
            t("amounts.range", label=label, most=MOST_HITS), t("amounts.range_hint", usual=usual)
        )
    return int(raw)
