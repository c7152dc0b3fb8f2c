"""Whom a question goes to and how: the indexes, their second stages, a filter, how many hits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.choices import open_menu, update
from ui.kit.events import on
from ui.kit.markup import EMPTY, join, pick, piece
from ui.services import Services
from ui.words import t
from ui.words.amounts import count
from ui.words.sentences import kind_name
from workbench.errors import BadInput
from workbench.model_kinds import scoring
from workbench.records import Index
from workbench.search.client import MOST_HITS
from workbench.search.fields import Condition, joined, parse
from workbench.search.pictures import of_pictures
from workbench.search.protocol import CANDIDATES

HITS = 10
#: Values of a field that are offered.
VALUES = 8


@dataclass(frozen=True, slots=True)
class Side:
    """An index, and the model that orders its hits anew, or ''."""

    index: str
    second: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for with any question."""

    #: Those that were chosen, the left one first.
    sides: Sequence[Side]
    where: str = ""
    hits: int = HITS
    #: Documents that a second stage orders anew.
    candidates: int = CANDIDATES


def read(
    left: str | None,
    right: str | None,
    second: str | None,
    second_right: str | None,
    where: str | None = "",
    hits: float | None = None,
    candidates: float | None = None,
) -> Asked:
    """From the values of ``Options.inputs``. A field that was never unfolded sends nothing at all,
    and an emptied number means the usual one. Raises :class:`BadInput` for a number out of range.
    """
    pairs = ((left, second), (right, second_right))
    return Asked(
        [Side(name, after or "") for name, after in pairs if name],
        where or "",
        _within(hits, HITS, t("amounts.hits")),
        _within(candidates, CANDIDATES, t("amounts.candidates")),
    )


def _within(raw: float | None, usual: int, label: str) -> int:
    if raw is None:
        return usual
    if not 1 <= raw <= MOST_HITS:
        raise BadInput(
            t("amounts.range", label=label, most=MOST_HITS), t("amounts.range_hint", usual=usual)
        )
    return int(raw)


class Options:
    """The menus of both sides, the filter and the numbers."""

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Row(equal_height=False):
            with gr.Column(min_width=260):
                self.index = open_menu(
                    label=t("search.left_index"),
                    info=t("search.left_help"),
                    elem_id="search-indexes",
                )
                self.second = _second(t("search.second"), "search-second")
            with gr.Column(min_width=260):
                self.other = open_menu(
                    label=t("search.other"), info=t("search.other_help"), elem_id="search-other"
                )
                self.second_other = _second(t("search.second_other"), "search-second-other")
        with gr.Accordion(t("filter.title"), open=False, elem_id="search-filter") as self.filter:
            self.where = gr.Textbox(
                label=t("filter.where"),
                info=t("filter.help"),
                placeholder=t("filter.hint"),
                max_lines=1,
                interactive=True,
                elem_id="search-where",
            )
            self.fields = piece(elem_id="search-fields", picks=True)
        with gr.Row(equal_height=False):
            self.hits = _amount(HITS, t("amounts.hits"), t("amounts.hits_help"), "search-hits")
            self.candidates = _amount(
                *(CANDIDATES, t("amounts.candidates"), t("amounts.candidates_help")),
                "search-candidates",
            )
        self.inputs = [
            *(self.index, self.other, self.second, self.second_other),
            *(self.where, self.hits, self.candidates),
        ]
        self.outputs = self.inputs[:4]

    def listen(self) -> None:
        """Unfolding the filter looks which fields the left index has; a value pressed becomes a
        condition. The second stages are loaded when they are chosen."""
        on(self.filter.expand, self._look, self.index, self.fields, queue=True)
        on(self.fields.select, self._add, self.where, self.where)
        for index, second in ((self.index, self.second), (self.other, self.second_other)):
            on(
                second.input,
                lambda name, model: warm(self.services, [name], model),
                [index, second],
            )

    def _look(self, name: str | None) -> str:
        if not name or self.services.search is None:
            return EMPTY
        return fields_html(self.services.search.fields(name))

    def _add(self, where: str | None, event: gr.EventData) -> str:
        return with_condition(where or "", str(event.value))

    def view(
        self, chosen: Sequence[str], second: str | None, second_other: str | None
    ) -> dict[Any, Any]:
        """``chosen``: the names of the indexes on the left and, if any, on the right; the second
        stages as they are chosen."""
        found = self.services.workspace.indexes.list()
        choices = [(index_label(one), one.name) for one in found]
        left, right = [*chosen, "", ""][:2]
        return {
            self.index: update(choices, left or None),
            self.second: second_menu(self.services, second),
            self.other: update([(t("search.other_none"), ""), *choices], right),
            self.second_other: second_menu(self.services, second_other),
        }


def _second(label: str, id: str) -> gr.Dropdown:
    return open_menu(visible=False, label=label, info=t("search.second_help"), elem_id=id)


def _amount(usual: int, label: str, about: str, id: str) -> gr.Number:
    # Without the component's own bounds: it would refuse in Gradio's words, in English.
    return gr.Number(
        usual,
        precision=0,
        step=1,
        label=label,
        info=about,
        interactive=True,
        min_width=200,
        elem_id=id,
    )


def warm(services: Services, names: Sequence[str], second: str | None = None) -> None:
    """Let the search worker load what will be asked, while the question is being typed."""
    if services.search is not None and names:
        services.search.warm(list(names), reranker=second or None)


def second_menu(services: Services, value: str | None) -> dict[str, Any]:
    """None, and the models that can be a second stage; not shown where there is none of these.

    The chosen one stays while it exists, and so does a typed folder or hub id.
    """
    models = [model for model in services.workspace.models.list() if model.kind in scoring()]
    choices = [(f"{model.name} · {kind_name(model.kind)}", model.name) for model in models]
    typed = value is not None and "/" in value
    kept = value if typed or value in [name for _, name in choices] else ""
    none = (t("search.second_none"), "")
    return update([none, *choices], kept, visible=bool(choices) or typed)


def index_label(index: Index) -> str:
    key = "search.index_pictures" if of_pictures(index) else "search.index_one"
    return t(key, name=index.name, model=index.model, documents=count(index.documents))


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
