"""Two rows of something measured, query by query: a scatter, a list to sort, two rankings side by
side. From a ranking, an unjudged hit can be judged right: a new version of the data set.

The comparison has one, and the pipeline matrix another: ``prefix`` tells their elements apart.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from numpy.typing import NDArray

from ui.kit.charts import dress, plain
from ui.kit.choices import update
from ui.kit.events import QUICK, on
from ui.kit.hits import rankings_html
from ui.kit.live import scripts
from ui.kit.markup import EMPTY, badge, join, pick, piece, table
from ui.kit.pager import Pager, last_start, place_html
from ui.services import Services
from ui.tabs.compare.section import Section, Shown
from ui.words import sentences, t
from ui.words.amounts import count
from workbench.comparison.explore import (
    SAME,
    Change,
    Pairing,
    changes,
    judge,
    ordered,
    pairing,
    rankings,
    read_version,
    row_name,
    rows_of,
)
from workbench.comparison.names import ALL, GAINED, LOST, UNCHANGED, first_order
from workbench.errors import BadInput, NotFound
from workbench.records import Evaluation, Job

PAGE = 10
#: What a click on a head of the list says before the column's name.
SORT = "sort:"
#: A click on a dot, told as what it carries. The chart is drawn anew with each pair of rows, so it
#: is listened to when a pointer comes to it, which is before it can be clicked.
DOTS_JS = """
const heard = new WeakSet();
const listen = (event) => {
  const chart = event.target.closest?.('#PLOT .js-plotly-plot');
  if (!chart?.on || heard.has(chart)) return;
  heard.add(chart);
  chart.on('plotly_click', ({points}) => {
    if (points[0]?.customdata !== undefined) {
      trigger('select', {value: String(points[0].customdata)});
    }
  });
};
const { hear } = window.Workbench.tools;
for (const name of ['pointerover', 'pointerdown']) hear(element, name, listen, true);
"""
#: The rankings lie below the list: who opened a query is taken there.
SHOW_JS = """
() => document.querySelector('#RANKINGS section')?.closest('#RANKINGS')
  .scrollIntoView({block: 'start', behavior: 'smooth'})
"""


class Explorer:
    """Drawn where it is made; hidden until ``show`` is given a job that kept two rankings."""

    def __init__(self, services: Services, prefix: str, box_id: str) -> None:
        self._services = services
        self._prefix = prefix
        with gr.Accordion(
            t("explore.title"), open=False, visible=False, elem_id=box_id
        ) as self.box:
            self._draw()
        self._page = [self.listed, *self.pager.outputs, self.sort, self.query]
        self._below = [*self._page, self.said, self.sides]
        self.outputs = [self.box, self.before, self.after, self.plot, *self._below, self.which]
        # What was measured never changes, so it is read once.
        self._pair = lru_cache(maxsize=8)(self._read_pair)

    def _id(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _draw(self) -> None:
        with gr.Row(equal_height=False):
            self.before = self._menu("before", t("explore.before"))
            self.after = self._menu("after", t("explore.after"))
        self.plot = gr.Plot(label=t("explore.title"), show_label=False, elem_id=self._id("plot"))
        self.dots = gr.HTML(
            Markup('<p class="rw-quiet rw-small">{}</p>').format(t("explore.dots")),
            js_on_load=DOTS_JS.replace("PLOT", self._id("plot")),
            head=scripts(self._services, "common.js"),
            apply_default_css=False,
        )
        self.which = gr.Radio(
            [
                (t("explore.gains"), GAINED),
                (t("explore.losses"), LOST),
                (t("explore.unchanged"), UNCHANGED),
                (t("explore.all"), ALL),
            ],
            value=GAINED,
            label=t("explore.order"),
            interactive=True,
            elem_id=self._id("order"),
        )
        self.listed = piece(elem_id=self._id("list"), picks=True)
        self.pager = Pager(PAGE, self._prefix)
        #: By which column the list is sorted, and which way: 'before:down'.
        self.sort = gr.Textbox(visible=False, label=t("explore.order"))
        #: The row of the query that is open; -1: none.
        self.query = gr.Number(-1, visible=False, label=t("explore.query"))
        self.said = piece(elem_id=self._id("said"))
        self.sides = piece(elem_id=self._id("rankings"), picks=True)

    def _menu(self, name: str, label: str) -> gr.Dropdown:
        return gr.Dropdown([], label=label, interactive=True, elem_id=self._id(name))

    # -- what it shows ------------------------------------------------------------------------

    def show(self, job: Job | None, stays: bool = False) -> dict[Any, Any]:
        """Updates of ``outputs``. ``job``: one that was measured, or nothing is offered; ``stays``:
        it is shown already, and what is chosen, sorted and opened stays."""
        try:
            found = self._offer(job) if job else self._hidden()
        except (BadInput, NotFound):
            # Scored pairs have no rankings; files, or the data set, may be gone: nothing to offer.
            found = self._hidden()
        return {} if stays and found[self.box].visible else found

    def _offer(self, job: Job) -> dict[Any, Any]:
        rows = rows_of(self._services.workspace, job.id)
        if len(rows) < 2:
            return self._hidden()
        # What was read before is kept; whether the data set is still there is asked each time.
        read_version(self._services.workspace, rows[0])
        choices = [(sentences.row_said(name), name) for name in map(row_name, rows)]
        first, second = row_name(rows[0]), other_row(rows)
        return {
            self.box: gr.Accordion(visible=True),
            self.before: update(choices, first),
            self.after: update(choices, second),
            self.which: GAINED,
            **self._choose(job.id, first, second, GAINED),
        }

    def _hidden(self) -> dict[Any, Any]:
        return {
            self.box: gr.Accordion(visible=False),
            self.before: update([], None),
            self.after: update([], None),
            self.plot: gr.Plot(value=None),
            self.which: GAINED,
            self.listed: EMPTY,
            **self.pager.at(0, more=False),
            self.sort: "",
            self.query: -1,
            self.said: EMPTY,
            self.sides: EMPTY,
        }

    def _read_pair(self, job: str, before: str, after: str) -> tuple[Pairing, list[Change]]:
        workspace = self._services.workspace
        pair = pairing(workspace, job, after, before)
        return pair, changes(workspace, pair, list(range(len(pair.queries))))

    def _list(
        self,
        pair: Pairing,
        every: Sequence[Change],
        which: str,
        sort: str,
        start: int = 0,
        query: int = -1,
    ) -> dict[Any, Any]:
        """A page of the queries. ``sort``: '' is how the choice is first shown."""
        by, down = sorting(which, sort)
        places = ordered(pair, every, which, by, down)
        start = last_start(start, PAGE, len(places))
        found = [every[at] for at in places[start : start + PAGE]]
        return {
            self.listed: list_html(pair, found, start, len(places), query, (by, down)),
            **self.pager.at(start, start + PAGE < len(places)),
            self.sort: f"{by}:{'down' if down else 'up'}",
            self.query: query,
        }

    # -- what can be pressed ---------------------------------------------------------------------

    def listen(self, job: gr.Textbox) -> None:
        """``job`` holds the id of the job shown."""
        chosen = [job, self.before, self.after]
        for menu in (self.before, self.after):
            on(menu.input, self._choose, [*chosen, self.which], [self.plot, *self._below])
        on(self.which.input, self._choose_which, [*chosen, self.which], self._below)
        state = [*chosen, self.which, self.sort, self.query]
        self.pager.listen(self._turn, state, self._page)
        js = SHOW_JS.replace("RANKINGS", self._id("rankings"))
        for picked in (self.listed.select, self.dots.select):
            wanted = [*state, self.pager.start]
            opened = on(picked, self._pick, wanted, self._below, queue=True)
            opened.success(None, None, None, js=js, **QUICK)
        inputs = [*chosen, self.query]
        on(self.sides.select, self._judge, inputs, [self.said, self.sides], queue=True)

    def _choose(self, job: str, before: str, after: str, which: str) -> dict[Any, Any]:
        """The scatter and the first page; no rankings yet."""
        pair, every = self._pair(job, before, after)
        plot = gr.Plot(value=chart(pair, every))
        return {self.plot: plot, **self._choose_which(job, before, after, which)}

    def _choose_which(self, job: str, before: str, after: str, which: str) -> dict[Any, Any]:
        pair, every = self._pair(job, before, after)
        return {**self._list(pair, every, which, ""), self.said: EMPTY, self.sides: EMPTY}

    def _turn(
        self, job: str, before: str, after: str, which: str, sort: str, query: float, start: int
    ) -> dict[Any, Any]:
        pair, every = self._pair(job, before, after)
        return self._list(pair, every, which, sort, start, int(query))

    def _pick(
        self,
        job: str,
        before: str,
        after: str,
        which: str,
        sort: str,
        query: float,
        start: float,
        event: gr.EventData,
    ) -> dict[Any, Any]:
        """A click on a head of the list sorts by it, one on a query or a dot opens the query."""
        pair, every = self._pair(job, before, after)
        value = str(event.value)
        if value.startswith(SORT):
            wanted = turned_over(which, sort, value.removeprefix(SORT))
            return self._list(pair, every, which, wanted, 0, int(query))
        row = int(value)
        found = rankings(self._services.workspace, pair, row)
        return {
            **self._list(pair, every, which, sort, int(start), row),
            self.said: EMPTY,
            self.sides: rankings_html(found, before, after),
        }

    def _judge(
        self, job: str, before: str, after: str, query: float, event: gr.EventData
    ) -> dict[Any, Any]:
        workspace = self._services.workspace
        pair, _ = self._pair(job, before, after)
        row = int(query)
        dataset, version = judge(workspace, pair, row, int(str(event.value)))
        words = t("explore.judged", dataset=dataset, version=count(version))
        card = Markup('<article class="rw-card" role="status"><p>{}</p></article>').format(words)
        found = rankings(workspace, pair, row)
        return {self.said: card, self.sides: rankings_html(found, before, after)}


class ExplorerSection(Section):
    """The comparison's rows, query by query."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        self.explorer = Explorer(self.services, "explore", "compare-explorer")
        self.outputs = self.explorer.outputs

    def view(self, job: Job | None, stays: bool) -> dict[Any, Any]:
        return self.explorer.show(job, stays)

    def listen(self) -> None:
        self.explorer.listen(self.shown.id)


# -- the list of queries ---------------------------------------------------------------------

_CLIP = 90


def list_html(
    pair: Pairing,
    found: Sequence[Change],
    start: int,
    all: int,
    shown: int,
    sort: tuple[str, bool] = ("change", True),
) -> Markup:
    """``found``: the page's queries, from ``start`` on, of ``all``; ``shown``: the query row that
    is open (-1: none); ``sort``: by which column, and whether from the highest down."""
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
    drawn = table(
        _heads(sort),
        rows,
        beside=list(_columns().values()),
        caption=t("explore.caption"),
        numeric=[1, 2, 3],
        chosen=chosen,
        stacked=True,
        sort=_sorts(sort),
    )
    return join([quiet.format(counted), drawn, place_html(start, len(found), all)])


def _columns() -> dict[str, str]:
    return {
        "change": t("explore.change"),
        "before": t("explore.before"),
        "after": t("explore.after"),
        "length": t("explore.length"),
        "query": t("explore.query"),
    }


def _heads(sort: tuple[str, bool]) -> list[Markup]:
    by, down = sort
    arrow = " ↓" if down else " ↑"
    head = Markup(
        '<button type="button" class="rw-sort" data-pick="sort:{}" title="{}">{}'
        '<span aria-hidden="true">{}</span></button>'
    )
    return [
        head.format(name, t("explore.sort", column=words), words, arrow if name == by else "")
        for name, words in _columns().items()
    ]


def _sorts(sort: tuple[str, bool]) -> dict[int, str]:
    by, down = sort
    return {list(_columns()).index(by): "descending" if down else "ascending"}


def _line(one: Change, chosen: bool) -> list[str]:
    tone = "good" if one.delta > SAME else "bad" if one.delta < -SAME else ""
    change = badge(f"{one.delta:+.3f}", tone)
    query = pick(str(one.query), short(one.text), chosen)
    return [change, f"{one.before:.3f}", f"{one.after:.3f}", count(len(one.text)), query]


def short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _CLIP else text[: _CLIP - 1] + "…"


def sorting(which: str, sort: str) -> tuple[str, bool]:
    """The column, and whether from the highest down."""
    by, _, way = sort.partition(":")
    return (by, way == "down") if by else first_order(which)


def turned_over(which: str, sort: str, column: str) -> str:
    """The list sorted by a column that was clicked: the other way round, where it is already."""
    by, down = sorting(which, sort)
    wanted = not down if by == column else first_order(which, column)[1]
    return f"{column}:{'down' if wanted else 'up'}"


def other_row(rows: Sequence[Evaluation]) -> str:
    """What the first row is most likely to be set against: the next that searched the same."""
    like = (
        one for one in rows[1:] if one.settings.get("searched") == rows[0].settings.get("searched")
    )
    return row_name(next(like, rows[1]))


# -- the chart -------------------------------------------------------------------------------

#: The colours of what was gained, lost and neither.
GAIN, LOSS, GREY = "#0d9488", "#c2410c", "#98a2b3"
#: With more queries than this the points say their values only, and are drawn by WebGL.
NAMED = 2000


def chart(pair: Pairing, every: Sequence[Change]) -> Any:
    names = [short(one.text) if len(every) <= NAMED else "" for one in every]
    axes = (
        sentences.row_said(row_name(pair.before)),
        sentences.row_said(row_name(pair.after)),
    )
    return scatter(pair.against, pair.values, names, axes, pair.queries.tolist())


def scatter(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    names: Sequence[str],
    axes: tuple[str, str],
    queries: Sequence[int] | None = None,
) -> go.Figure:
    """A dot per pair of values: where queries stood before and stand after. Above the diagonal they
    gained.

    Many queries have the very same two values (found first in both, say), and would hide one
    another: they are one dot, larger the more they are. ``before``, ``after``: (n,), of ``names``;
    a dot carries the first of its ``queries`` (rows; else places), for who clicks it.
    """
    figure = go.Figure()
    delta = after - before
    kinds = (
        (delta > 0, GAIN, t("explore.chart_gain")),
        (delta < 0, LOSS, t("explore.chart_loss")),
        (delta == 0, GREY, t("explore.chart_same")),
    )
    for chosen, colour, name in kinds:
        rows = np.flatnonzero(chosen)
        x, y, first, counts = _piles(before[rows], after[rows])
        rows_of_dots = [int(rows[at]) for at in first]
        said = [_pile_words(names[rows[at]], n) for at, n in zip(first, counts, strict=True)]
        # As SVG it is drawn, and can be clicked, where a browser has no WebGL; large dots are whole
        # at the edge, too.
        few = len(x) <= NAMED
        dots = partial(go.Scatter, cliponaxis=False) if few else go.Scattergl
        found = dots(
            x=x,
            y=y,
            name=f"{name} ({len(rows):,})",
            mode="markers",
            # A dot's area grows with its pile, up to a size that does not hide its neighbours.
            marker={
                "color": colour,
                "size": np.minimum(7 * np.sqrt(counts), 34).astype(np.float32),
                "opacity": 0.65,
                "line": {"width": 0},
            },
            text=said,
            customdata=[queries[at] if queries is not None else at for at in rows_of_dots],
            hovertemplate="%{x:.3f} → %{y:.3f}<br>%{text}<extra></extra>",
        )
        figure.add_trace(found)
    figure.add_shape(
        type="line", x0=0, y0=0, x1=1, y1=1, line={"color": GREY, "width": 1, "dash": "dot"}
    )
    dress(figure, t("explore.chart_title"))
    figure.update_layout(height=420, showlegend=True, legend={"y": -0.2})
    figure.update_xaxes(range=[-0.05, 1.05], title={"text": plain(axes[0]), "standoff": 8})
    figure.update_yaxes(range=[-0.05, 1.05], title={"text": plain(axes[1])})
    return figure


def _piles(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[int], NDArray[np.int64]]:
    """Points at the same place (to three decimals): x and y, the first of each, and how many."""
    places = np.round(np.column_stack([x, y]), 3)
    found, first, counts = np.unique(places, axis=0, return_index=True, return_counts=True)
    at = found.astype(np.float32)
    return at[:, 0], at[:, 1], first.tolist(), counts


def _pile_words(name: str, count: int) -> str:
    if count == 1:
        return plain(name)
    many = t("explore.pile", count=f"{count:,}")
    return f"{many}: {plain(name)}, …" if name else many
