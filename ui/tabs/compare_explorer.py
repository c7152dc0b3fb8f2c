"""Query by query: a scatter, the biggest gains and losses, and two rankings side by side.

From a ranking, an unjudged hit can be judged right: a new version of the data set.
"""

from functools import lru_cache
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.choices import update
from ui.feedback import on
from ui.markup import EMPTY, badge, join, pick, piece, table
from ui.plots_matrix import NAMED, scatter
from ui.services import Services
from ui.tabs.compare_rankings import rankings_html
from ui.tabs.compare_sections import Section, measured
from ui.words import t
from ui.words.amounts import count
from workbench.comparison.explore import (
    SAME,
    Pairing,
    changes,
    pairing,
    rankings,
    row_name,
    rows_of,
)
from workbench.comparison.judge import judge
from workbench.errors import BadInput, NotFound
from workbench.records import Job

PAGE = 10
GAINS, LOSSES, UNCHANGED = "gains", "losses", "unchanged"
#: A click on a dot, told as what it carries. The chart is drawn anew with each pair of rows, so it
#: is listened to when a pointer comes to it, which is before it can be clicked.
DOTS_JS = """
const heard = new WeakSet();
const listen = (event) => {
  const chart = event.target.closest?.('#explore-plot .js-plotly-plot');
  if (!chart?.on || heard.has(chart)) return;
  heard.add(chart);
  chart.on('plotly_click', ({points}) => {
    if (points[0]?.customdata !== undefined) {
      trigger('select', {value: String(points[0].customdata)});
    }
  });
};
for (const name of ['pointerover', 'pointerdown']) document.addEventListener(name, listen, true);
"""
_CLIP = 90


def section(services: Services) -> Section:
    workspace = services.workspace
    with gr.Accordion(
        t("explore.title"), open=False, visible=False, elem_id="compare-explorer"
    ) as box:
        with gr.Row(equal_height=False):
            before = gr.Dropdown(
                [], label=t("explore.before"), interactive=True, elem_id="explore-before"
            )
            after = gr.Dropdown(
                [], label=t("explore.after"), interactive=True, elem_id="explore-after"
            )
        plot = gr.Plot(label=t("explore.title"), show_label=False, elem_id="explore-plot")
        dots = gr.HTML(
            Markup('<p class="rw-quiet rw-small">{}</p>').format(t("explore.dots")),
            js_on_load=DOTS_JS,
            apply_default_css=False,
        )
        order = gr.Radio(
            [
                (t("explore.gains"), GAINS),
                (t("explore.losses"), LOSSES),
                (t("explore.unchanged"), UNCHANGED),
            ],
            value=GAINS,
            label=t("explore.order"),
            interactive=True,
            elem_id="explore-order",
        )
        listed = piece(elem_id="explore-list", picks=True)
        with gr.Row(elem_classes="rw-actions"):
            earlier = gr.Button(t("explore.earlier"), size="sm", elem_id="explore-earlier")
            later = gr.Button(t("explore.later"), size="sm", elem_id="explore-later")
        offset = gr.Number(0, visible=False, label=t("explore.order"))
        query = gr.Number(-1, visible=False, label=t("explore.query"))
        said = piece(elem_id="explore-said")
        sides = piece(elem_id="explore-rankings", picks=True)
    page = [listed, earlier, later, offset, query]
    below = [*page, said, sides]

    @lru_cache(maxsize=16)
    def pair_of(job: str, model: str, against: str) -> Pairing:
        # What was measured never changes, so it is read once.
        return pairing(workspace, job, model, against)

    def page_of(pair: Pairing, wanted: str, start: int, shown: int = -1) -> list[Any]:
        same = wanted == UNCHANGED
        places = pair.unchanged if same else pair.sorted(losses=wanted == LOSSES)
        start = min(max(0, start), max(0, (len(places) - 1) // PAGE * PAGE))
        found = changes(workspace, pair, places[start : start + PAGE].tolist())
        return [
            list_html(pair, found, start, len(places), shown),
            gr.Button(visible=start > 0),
            gr.Button(visible=start + PAGE < len(places)),
            start,
            shown,
        ]

    def look(pair: Pairing, wanted: str) -> list[Any]:
        """The scatter and the first page; no rankings yet."""
        return [gr.Plot(value=chart(services, pair)), *page_of(pair, wanted, 0), EMPTY, EMPTY]

    def show(job: Job | None) -> list[Any]:
        try:
            return offer(job) if job and measured(job) else hidden()
        except (BadInput, NotFound):
            # Scored pairs have no rankings; files, or the data set, may be gone: nothing to offer.
            return hidden()

    def offer(job: Job) -> list[Any]:
        rows = rows_of(workspace, job.id)
        if len(rows) < 2:
            return hidden()
        choices = [(name, name) for name in map(row_name, rows)]
        first, second = row_name(rows[0]), _other(rows)
        menus = [update(choices, first), update(choices, second)]
        return [
            gr.Accordion(visible=True),
            *menus,
            *look(pair_of(job.id, second, first), GAINS),
            GAINS,
        ]

    def hidden() -> list[Any]:
        menus = [update([], None), update([], None), gr.Plot(value=None)]
        nothing = [gr.Button(visible=False)] * 2
        return [gr.Accordion(visible=False), *menus, EMPTY, *nothing, 0, -1, EMPTY, EMPTY, GAINS]

    def choose(shown: dict[str, Any], one: str, other: str, wanted: str) -> list[Any]:
        return look(pair_of(shown["job"], other, one), wanted)

    def turn(step: int) -> Any:
        def turned(
            shown: dict[str, Any], one: str, other: str, wanted: str, start: float, at: float
        ) -> list[Any]:
            pair = pair_of(shown["job"], other, one)
            return page_of(pair, wanted, int(start) + step, int(at))

        return turned

    def open_query(
        shown: dict[str, Any],
        one: str,
        other: str,
        wanted: str,
        start: float,
        event: gr.EventData,
    ) -> list[Any]:
        pair, row = pair_of(shown["job"], other, one), int(str(event.value))
        drawn = rankings_html(rankings(workspace, pair, row), one, other)
        return [*page_of(pair, wanted, int(start), row), EMPTY, drawn]

    def judge_right(
        shown: dict[str, Any], one: str, other: str, at: float, event: gr.EventData
    ) -> list[Any]:
        pair, row = pair_of(shown["job"], other, one), int(at)
        dataset, version = judge(workspace, pair, row, int(str(event.value)))
        words = t("explore.judged", dataset=dataset, version=count(version))
        card = Markup('<article class="rw-card" role="status"><p>{}</p></article>').format(words)
        return [card, rankings_html(rankings(workspace, pair, row), one, other)]

    def wire(compare: Any) -> None:
        chosen = [compare.shown, before, after]
        for menu in (before, after):
            on(menu.input, choose, [*chosen, order], [plot, *below])
        on(order.input, lambda *raw: choose(*raw)[1:], [*chosen, order], below)
        on(earlier.click, turn(-PAGE), [*chosen, order, offset, query], page)
        on(later.click, turn(PAGE), [*chosen, order, offset, query], page)
        for picked in (listed.select, dots.select):
            on(picked, open_query, [*chosen, order, offset], below, queue=True)
        on(sides.select, judge_right, [*chosen, query], [said, sides], queue=True)

    return Section([box, before, after, plot, *below, order], show, wire)


def _other(rows: list[Any]) -> str:
    """What the first row is most likely to be set against: the next that searched the same."""
    like = (
        one for one in rows[1:] if one.settings.get("searched") == rows[0].settings.get("searched")
    )
    return row_name(next(like, rows[1]))


def chart(services: Services, pair: Pairing) -> Any:
    places = range(len(pair.queries))
    names = [""] * len(places)
    if len(places) <= NAMED:
        every = changes(services.workspace, pair, list(places))
        names = [_short(one.text) for one in every]
    axes = (row_name(pair.before), row_name(pair.after))
    return scatter(pair.against, pair.values, names, axes, pair.queries.tolist())


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _CLIP else text[: _CLIP - 1] + "…"


def list_html(pair: Pairing, found: list[Any], start: int, all: int, shown: int) -> Markup:
    """One page of queries; each can be picked."""
    gains, losses, same = pair.counted
    counted = t(
        "explore.counted",
        gains=count(gains),
        losses=count(losses),
        same=count(same),
        queries=count(len(pair.queries)),
    )
    quiet = Markup('<p class="rw-quiet rw-small">{}</p>')
    if not found:
        return join([quiet.format(counted), quiet.format(t("explore.none"))])
    rows = [_line(one, one.query == shown) for one in found]
    chosen = next((at for at, one in enumerate(found) if one.query == shown), None)
    heads = [t("explore.change"), t("explore.before"), t("explore.after"), t("explore.query")]
    drawn = table(heads, rows, caption=t("explore.caption"), numeric=[1, 2], chosen=chosen)
    place = t("explore.page", first=start + 1, last=start + len(found), all=count(all))
    return join([quiet.format(counted), drawn, quiet.format(place)])


def _line(one: Any, chosen: bool) -> list[str]:
    tone = "good" if one.delta > SAME else "bad" if one.delta < -SAME else ""
    change = badge(f"{one.delta:+.3f}", tone)
    query = pick(str(one.query), _short(one.text), chosen)
    return [change, f"{one.before:.3f}", f"{one.after:.3f}", query]
