"""A filter on the documents' own fields: one line to type, and the fields and values there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import on
from ui.kit.markup import EMPTY, join, pick, piece
from ui.services import Services
from ui.words import t
from ui.words.amounts import count
from workbench.errors import BadInput
from workbench.search.client import MOST_HITS
from workbench.search.fields import Condition, joined, parse
from workbench.search.results import CANDIDATES

#: Values of a field that are offered.
VALUES = 8


@dataclass(frozen=True)
class Filter:
    box: gr.Accordion
    where: gr.Textbox
    fields: gr.HTML


def render() -> Filter:
    with gr.Accordion(t("filter.title"), open=False, elem_id="search-filter") as box:
        where = gr.Textbox(
            label=t("filter.where"),
            info=t("filter.help"),
            placeholder=t("filter.hint"),
            max_lines=1,
            interactive=True,
            elem_id="search-where",
        )
        fields = piece(elem_id="search-fields", picks=True)
    return Filter(box, where, fields)


def listen(services: Services, filter: Filter, index: gr.Dropdown) -> None:
    """Unfolding it looks which fields the chosen index has; a value pressed becomes a condition."""

    def look(name: str | None) -> str:
        if not name or services.search is None:
            return EMPTY
        return fields_html(services.search.fields(name))

    def add(where: str | None, event: gr.EventData) -> str:
        return with_condition(where or "", str(event.value))

    on(filter.box.expand, look, index, filter.fields, queue=True)
    on(filter.fields.select, add, filter.where, filter.where)


def with_condition(where: str, condition: str) -> str:
    """The filter with one more condition; one that stands there already is taken away."""
    conditions = [str(one) for one in parse(where)]
    if condition in conditions:
        return joined([one for one in conditions if one != condition])
    return joined([*conditions, condition])


def fields_html(menu: Mapping[str, Sequence[tuple[str, int]]]) -> Markup:
    """Every field with its most frequent values, each to be pressed."""
    if not menu:
        return Markup('<p class="rw-quiet rw-small">{}</p>').format(t("filter.none"))
    return join(_field(name, values) for name, values in menu.items())


def _field(name: str, values: Sequence[tuple[str, int]]) -> Markup:
    chips = join(
        pick(
            str(Condition(name, "=", (value,))),
            t("filter.value", value=_short(value), count=count(documents)),
        )
        for value, documents in values[:VALUES]
    )
    more = t("filter.more") if len(values) > VALUES else ""
    return Markup('<p class="rw-quiet rw-small">{}</p><div class="rw-chips">{} {}</div>').format(
        name, chips, more
    )


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


# How many documents a search shows, and how many of them a second stage re-ranks.

HITS = 10


@dataclass(frozen=True)
class Amounts:
    hits: gr.Number
    candidates: gr.Number

    @property
    def inputs(self) -> list[Any]:
        return [self.hits, self.candidates]


def render_amounts() -> Amounts:
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
