"""The blind test: two sides hidden and shuffled, a pick, a tally, and the pick made a judgment."""

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import on, on_busy
from ui.kit.markup import EMPTY, join, pick, piece, table
from ui.services import Services
from ui.tabs.search.hits import Order, gallery_piece, results_html, search_sides, tiles
from ui.tabs.search.options import Asked, Options, Side, read
from ui.words import t
from workbench.errors import BadInput
from workbench.records import Pick
from workbench.search.picks import Tally, Winner, judge_pick, keep, tallies, winner_top
from workbench.search.protocol import SearchResult

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


Pair = tuple[SearchResult, SearchResult]


class Blind:
    """A question, two hidden answers to it, the pick, and how the picks stand so far."""

    def __init__(self, services: Services) -> None:
        self.services = services
        #: What stands behind the questions that wait, by their names.
        self.waiting: OrderedDict[str, Pair] = OrderedDict()
        with gr.Accordion(t("blind.title"), open=False, elem_id="search-blind") as self.box:
            piece(Markup('<p class="rw-quiet">{}</p>').format(t("blind.about")))
            self.query = gr.Textbox(
                label=t("blind.query"), max_lines=4, interactive=True, elem_id="blind-query"
            )
            with gr.Row(elem_classes="rw-actions"):
                self.start = gr.Button(t("blind.start"), elem_id="blind-start")
            #: Names the question that is shown.
            self.token = gr.Textbox(visible=False, label=t("blind.title"))
            with gr.Row(visible=False, elem_classes="rw-actions") as self.answers:
                says = {"left": t("blind.left"), "tie": t("blind.tie"), "right": t("blind.right")}
                self.picks = {
                    one: gr.Button(says[one], elem_id=f"blind-{one}", size="sm") for one in WINNERS
                }
            self.shown = gallery_piece(services, "blind-shown", picks=False, more=_KEYS)
            self.revealed = piece(elem_id="blind-revealed", picks=True)
            self.tally = piece(elem_id="blind-tally")

    def listen(self, options: Options, order: Order, results: gr.HTML) -> None:
        """``results``: where the open answers stand; to the same question they would tell the
        sides, so they go, and none comes that was asked for before; ``order``: theirs."""

        def start(request: gr.Request, query: str | None, *raw: Any) -> dict[Any, Any]:
            number = order.ask()
            found = self._ask(query or "", read(*raw))
            order.shows(request, number)
            return {**found, results: EMPTY}

        shown = [self.token, self.shown, self.answers, self.revealed]
        given = [self.query, *options.inputs]
        for event in (self.start.click, self.query.submit):
            on_busy(
                *(self.start, start, given, [*shown, results]),
                says=t("blind.starting"),
                then=t("blind.start"),
                listener=event,
            )
        after = [*shown, self.tally]
        for winner, button in self.picks.items():
            on(
                button.click,
                lambda token, winner=winner: self._answered(token, winner),
                self.token,
                after,
            )
        on(self.shown.select, self._key, self.token, after, queue=True)
        on(self.revealed.select, self._judge, None, self.revealed, queue=True)
        on(self.box.expand, lambda: tally_html(self.services), None, self.tally)

    def _ask(self, query: str, asked: Asked) -> dict[Any, Any]:
        token, pair = ask(self.services, query, asked)
        self.waiting[token] = pair
        while len(self.waiting) > WAITING:
            self.waiting.popitem(last=False)
        draws = tiles(self.services, pair, more=False)
        return {
            self.token: token,
            self.shown: results_html(pair, hidden=True, draws=draws),
            self.answers: gr.Row(visible=True),
            self.revealed: EMPTY,
        }

    def _answered(self, token: str, winner: Winner) -> dict[Any, Any]:
        pair = self.waiting.get(token)
        if pair is None:
            raise BadInput(t("blind.over"), t("blind.over_hint"))
        index = self.services.workspace.indexes.get(pair[0].index)
        made = keep(self.services.workspace, index, *pair, winner)
        # Only now: an answer that could not be kept can be given again.
        self.waiting.pop(token, None)
        return {
            self.token: "",
            self.shown: results_html(pair, draws=tiles(self.services, pair, more=False)),
            self.answers: gr.Row(visible=False),
            self.revealed: revealed_html(made, pair),
            self.tally: tally_html(self.services),
        }

    def _key(self, token: str, event: gr.EventData) -> Any:
        winner = next((one for one in WINNERS if one == event.value), None)
        return self._answered(token, winner) if token and winner else gr.skip()

    def _judge(self, event: gr.EventData) -> str:
        name, version = judge_pick(self.services.workspace, str(event.value))
        words = t("blind.judged", version=version, dataset=name)
        return Markup('<article class="rw-card" role="status"><p>{}</p></article>').format(words)


def ask(services: Services, query: str, asked: Asked) -> tuple[str, Pair]:
    """A question's name, and what both sides found, in an order that chance decided."""
    check(services, asked.sides)
    found = search_sides(services, query, asked)
    if secrets.randbelow(2):
        found.reverse()
    return secrets.token_hex(8), (found[0], found[1])


def check(services: Services, sides: Sequence[Side]) -> None:
    """Raise :class:`BadInput` for sides that cannot be told apart, or answer of other documents."""
    if len(set(sides)) < 2:
        raise BadInput(t("blind.two_sides"), t("blind.two_sides_hint"))
    indexes = services.workspace.indexes
    if len({indexes.get(side.index).dataset_id for side in sides}) > 1:
        raise BadInput(t("blind.one_dataset"), t("blind.one_dataset_hint"))


def revealed_html(made: Pick, pair: Pair) -> Markup:
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
