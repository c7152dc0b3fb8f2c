"""The blind test: two sides hidden and shuffled, a pick, a tally, and the pick made a judgment."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import on, on_busy
from ui.kit.markup import EMPTY, join, pick, piece, table
from ui.services import Services
from ui.tabs.search.hits import Side, gallery_piece, results_html, search_sides, sides_of, tiles
from ui.words import t
from workbench.errors import BadInput
from workbench.records import Pick
from workbench.search.picks import Tally, Winner, judge_pick, keep, tallies, winner_top
from workbench.search.results import SearchResult

#: Questions that wait for an answer, of all pages; the oldest are forgotten.
WAITING = 200
WINNERS: tuple[Winner, ...] = ("left", "tie", "right")
#: Arrow keys pick, unless something is being typed. The container outlives its content.
_KEYS = """
const keys = {ArrowLeft: 'left', ArrowDown: 'tie', ArrowRight: 'right'};
window.Workbench.tools.hear(element, 'keydown', (event) => {
  const busy = event.target.closest('input, textarea, select, [contenteditable], [role=tablist], ' +
    '[role=radiogroup], [role=listbox]');
  const shown = element.offsetParent !== null && element.querySelector('.rw-results');
  if (!keys[event.key] || busy || !shown || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  trigger('select', {value: keys[event.key]});
});
"""


@dataclass(frozen=True)
class Blind:
    box: gr.Accordion
    query: gr.Textbox
    start: gr.Button
    #: Names the question that is shown; what stands behind it is on the server.
    token: gr.Textbox
    shown: gr.HTML
    answers: gr.Row
    picks: dict[Winner, gr.Button]
    revealed: gr.HTML
    tally: gr.HTML


def render(services: Services) -> Blind:
    with gr.Accordion(t("blind.title"), open=False, elem_id="search-blind") as box:
        piece(Markup('<p class="rw-quiet">{}</p>').format(t("blind.about")))
        query = gr.Textbox(
            label=t("blind.query"), max_lines=4, interactive=True, elem_id="blind-query"
        )
        with gr.Row(elem_classes="rw-actions"):
            start = gr.Button(t("blind.start"), elem_id="blind-start")
        token = gr.Textbox(visible=False, label=t("blind.title"))
        with gr.Row(visible=False, elem_classes="rw-actions") as answers:
            says = {"left": t("blind.left"), "tie": t("blind.tie"), "right": t("blind.right")}
            picks = {
                one: gr.Button(says[one], elem_id=f"blind-{one}", size="sm") for one in WINNERS
            }
        shown = gallery_piece(services, "blind-shown", picks=False, more=_KEYS)
        revealed = piece(elem_id="blind-revealed", picks=True)
        tally = piece(elem_id="blind-tally")
    return Blind(box, query, start, token, shown, answers, picks, revealed, tally)


def listen(services: Services, blind: Blind, sides: list[Any], results: gr.HTML) -> None:
    """``sides``: the components of left and right index, left and right second stage, filter,
    numbers of hits and candidates.
    ``results``: where the open answers stand; to the same question they would tell the sides."""
    waiting: OrderedDict[str, tuple[SearchResult, SearchResult]] = OrderedDict()

    def start(query: str | None, *raw: Any) -> list[Any]:
        token, pair = ask(services, query or "", *raw)
        waiting[token] = pair
        while len(waiting) > WAITING:
            waiting.popitem(last=False)
        drawn = results_html(pair, hidden=True, draws=tiles(services, pair, more=False))
        return [token, drawn, gr.Row(visible=True), EMPTY, EMPTY]

    def answered(token: str, winner: Winner) -> list[Any]:
        pair = waiting.get(token)
        if pair is None:
            raise BadInput(t("blind.over"), t("blind.over_hint"))
        index = services.workspace.indexes.get(pair[0].index)
        made = keep(services.workspace, index, *pair, winner)
        # Only now: an answer that could not be kept can be given again.
        waiting.pop(token, None)
        return [
            "",
            results_html(pair, draws=tiles(services, pair, more=False)),
            gr.Row(visible=False),
            revealed_html(made, pair),
            tally_html(services),
        ]

    def key(token: str, event: gr.EventData) -> Any:
        winner = next((one for one in WINNERS if one == event.value), None)
        return answered(token, winner) if token and winner else [gr.skip()] * 5

    def judge(event: gr.EventData) -> str:
        name, version = judge_pick(services.workspace, str(event.value))
        words = t("blind.judged", version=version, dataset=name)
        return Markup('<article class="rw-card" role="status"><p>{}</p></article>').format(words)

    asked = [blind.query, *sides]
    shown = [blind.token, blind.shown, blind.answers, blind.revealed]
    busy: dict[str, Any] = {"says": t("blind.starting"), "then": t("blind.start")}
    begun = [*shown, results]
    on_busy(blind.start, start, asked, begun, **busy)
    on_busy(blind.start, start, asked, begun, listener=blind.query.submit, **busy)
    after = [*shown, blind.tally]
    for winner, button in blind.picks.items():
        on(
            button.click,
            lambda token, winner=winner: answered(token, winner),
            blind.token,
            after,
        )
    on(blind.shown.select, key, blind.token, after, queue=True)
    on(blind.revealed.select, judge, None, blind.revealed, queue=True)
    on(blind.box.expand, lambda: tally_html(services), None, blind.tally)


def ask(
    services: Services,
    query: str,
    left: str | None,
    right: str | None,
    second: str | None,
    second_right: str | None,
    where: str | None,
    hits: float | None = None,
    candidates: float | None = None,
) -> tuple[str, tuple[SearchResult, SearchResult]]:
    """A question's name, and what both sides found, in an order that chance decided."""
    sides = sides_of([left, right], [second, second_right])
    check(services, sides)
    found = search_sides(services, sides, query, where, hits, candidates)
    if secrets.randbelow(2):
        found.reverse()
    return secrets.token_hex(8), (found[0], found[1])


def check(services: Services, sides: list[Side]) -> None:
    """Raise :class:`BadInput` for sides that cannot be told apart, or answer of other documents."""
    if len(set(sides)) < 2:
        raise BadInput(t("blind.two_sides"), t("blind.two_sides_hint"))
    indexes = services.workspace.indexes
    if len({indexes.get(side.index).dataset_id for side in sides}) > 1:
        raise BadInput(t("blind.one_dataset"), t("blind.one_dataset_hint"))


def revealed_html(made: Pick, pair: tuple[SearchResult, SearchResult]) -> Markup:
    """Which side was which, what was picked, and the way to make it a judgment."""
    left = str(made.detail["left"])
    right = made.second if left == made.first else made.first
    won = {"first": made.first, "second": made.second}.get(made.winner)
    words = [
        t("blind.won", name=won) if won else t("blind.tied"),
        t("blind.was", left=left, right=right),
    ]
    lines = [Markup("<p>{}</p>").format(" ".join(words))]
    top = next((hit for one in pair for hit in one.hits if hit.id == winner_top(made)), None)
    if top is not None and not top.relevant:
        text = top.title or top.text
        about = t("blind.top", text=text if len(text) < 160 else text[:158] + "…")
        lines += [
            Markup('<p class="rw-quiet rw-small">{}</p>').format(about),
            Markup("<p>{}</p>").format(pick(made.id, t("blind.judge"))),
        ]
    return Markup('<article class="rw-card" role="status">{}</article>').format(join(lines))


def tally_html(services: Services) -> Markup:
    """Every pair of sides that was compared, with what can be said beyond luck."""
    found = tallies(services.workspace)
    if not found:
        return EMPTY
    heads = [t("blind.pair"), t("blind.wins"), t("blind.ties")]
    heads += [t("blind.share"), t("blind.p"), t("blind.verdict")]
    drawn = table(
        heads, [_row(one) for one in found], caption=t("blind.tally"), numeric=[2, 4], stacked=True
    )
    return Markup('<h4>{}</h4>{}<p class="rw-quiet rw-small">{}</p>').format(
        t("blind.tally"), drawn, t("blind.legend")
    )


def _row(one: Tally) -> list[str]:
    share, chance = "–", "–"
    if one.share is not None and one.low is not None and one.p_value is not None:
        numbers = {"share": one.share, "low": one.low, "high": one.high}
        share = t("blind.interval", **{name: f"{value:.2f}" for name, value in numbers.items()})
        chance = f"{one.p_value:.3f}"
    verdict = t("blind.prefers", name=one.preferred) if one.preferred else t("blind.open")
    names = t("blind.versus", first=one.first, second=one.second)
    if one.earlier:
        about = Markup('{}<br><span class="rw-quiet rw-small">{}</span>')
        names = about.format(names, t("blind.earlier"))
    return [
        names,
        t("blind.counts", wins=one.wins, losses=one.losses),
        str(one.ties),
        share,
        chance,
        verdict,
    ]
