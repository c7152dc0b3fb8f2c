"""Hard negatives on the Data tab: ask for a proposal, look through it, leave some out, accept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import choices, form
from ui.kit.events import on, on_busy
from ui.kit.job_slot import JobSlot, card_html, find, newest
from ui.kit.markup import EMPTY, badge, clipped, facts, heading, join, pick, piece, table
from ui.kit.pager import Pager, last_start
from ui.tabs.data.section import Section, Shown
from ui.words import t
from ui.words.amounts import count
from workbench.errors import BadInput
from workbench.mining.proposal import Judged, Proposal, ProposedRow, accept, proposals
from workbench.recipes.mine import MineRecipe
from workbench.records import Dataset

TASKS = (MineRecipe.task,)
PAGE = 5
#: Rules that are off while nothing is typed.
_OFF = ("relative_margin", "absolute_margin", "max_score", "min_score")
_SKIP = ("dataset", "dataset_version", "model")


class MineSection(Section):
    """Hard negatives of the data set, proposed and accepted."""

    job: JobSlot

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(
            t("mine.title"), open=False, visible=False, elem_id="data-mine"
        ) as self.box:
            piece(heading(t("mine.heading"), t("mine.about")))
            self.model = choices.open_menu(
                value=choices.PACKAGED,
                label=t("mine.model"),
                info=t("mine.model_help"),
                elem_id="mine-model",
            )
            self.form = form.render(MineRecipe, skip=_SKIP, prefix="mine")
            for name in _OFF:
                field = self.form.components[name]
                if isinstance(field, gr.Textbox):
                    field.placeholder = t("mine.off")
            self.start = gr.Button(t("mine.start"), elem_id="mine-start", elem_classes="rw-fit")
            self.job = JobSlot("mine-job")
            self.proposal = piece(elem_id="mine-proposal")
            #: The id of the job whose proposal is shown, on which the buttons below act.
            self.proposed = gr.Textbox("", visible=False, label=t("mine.heading"))
            with gr.Column(visible=False) as self.pages:
                self._draw_pages()
        self.place = [self.above, self.pager.start]
        #: What shows a proposal.
        self.result = [
            *(self.proposal, self.proposed, self.pages, self.above, self.table),
            *(*self.pager.outputs, self.leave, self.accept),
        ]
        menus = [self.model, self.form.components["reranker"]]
        self.outputs = [self.box, *menus, *self.job.outputs, *self.result]

    def _draw_pages(self) -> None:
        self.above = gr.Checkbox(
            label=t("mine.filter"),
            info=t("mine.filter_help"),
            interactive=True,
            elem_id="mine-above",
        )
        self.table = piece(elem_id="mine-table", picks=True)
        self.pager = Pager(PAGE, "mine")
        with gr.Row(elem_classes="rw-actions"):
            self.accept = gr.Button(t("mine.accept"), variant="primary", elem_id="mine-accept")
            self.leave = gr.Button(t("mine.leave_above"), elem_id="mine-leave")

    def listen(self) -> None:
        own = [*self.job.outputs, *self.result]
        on_busy(
            self.start,
            self._start,
            [self.shown.id, self.model, *self.form.inputs],
            [*own, *self.form.inputs],
            says=t("mine.starting"),
            then=t("mine.start"),
        )
        self.job.listen(self.services, self._stopped, [self.shown.id, *self.place], own)
        where = [self.proposed, *self.place]
        on(self.table.select, self._tick, where, self.result, queue=True)
        on(self.leave.click, self._leave_out, where, self.result)
        on(self.above.input, self._page, where[:2], self.result)
        self.pager.listen(self._page, where[:2], self.result)
        accepted = on_busy(
            self.accept,
            self._accept,
            self.proposed,
            None,
            says=t("mine.accepting"),
            then=t("mine.accept"),
        )
        self.shown.refill(accepted)
        method = self.form.components["method"]
        on(method.change, lambda one: gr.update(visible=one == "model"), method, self.model)
        form.listen_depends(self.form)

    def _start(self, id: str, model: str, *raw: Any) -> dict[Any, Any]:
        def act() -> dict[Any, Any]:
            values = {**self.form.values(raw), "model": model or "", "dataset": self.dataset(id)}
            self.workspace.jobs.submit(MineRecipe.read(values))
            return self._own(self.dataset(id))

        return self.form.answer(act)

    def _stopped(self, _job: str, id: str, above: bool, start: float) -> dict[Any, Any]:
        return self._own(self.dataset(id), above, int(start))

    def _tick(self, id: str, above: bool, start: float, event: gr.EventData) -> dict[Any, Any]:
        query, _, document = str(event.value).partition(":")
        found = self._wanted(id)
        found.tick(int(query), int(document))
        return self.show(found, above, int(start))

    def _leave_out(self, id: str, above: bool, start: float) -> dict[Any, Any]:
        found = self._wanted(id)
        found.leave_out_above()
        return self.show(found, above, int(start))

    def _accept(self, id: str) -> None:
        accept(self.workspace, self._wanted(id).job.id)

    def _page(self, id: str, above: bool, start: int = 0) -> dict[Any, Any]:
        return self.show(self._wanted(id), above, start)

    def changed(self, name: str, place: Sequence[Any], card: str) -> dict[Any, Any]:
        job = newest(self.services, TASKS, name)
        changed = self.job.changed(card, card_html(job), job)
        if not changed or (job is not None and not job.status.finished):
            return changed
        return self._own(name, place[0])

    def view(self, dataset: Dataset | None, place: Sequence[Any] | None) -> dict[Any, Any]:
        """``place``: what of the proposal is looked at."""
        if dataset is None or not dataset.summary.get("queries"):
            return {self.box: gr.Accordion(visible=False)}
        above, start = place or (False, 0)
        pairs = [(name, name) for name in choices.model_names(self.workspace)]
        return {
            self.box: gr.Accordion(visible=True),
            self.model: gr.update(choices=pairs),
            self.form.components["reranker"]: gr.update(choices=[("", ""), *pairs]),
            **self._own(dataset.name, above, int(start)),
        }

    def _own(self, name: str, above: bool = False, start: int = 0) -> dict[Any, Any]:
        """The data set's last job and proposal."""
        job = newest(self.services, TASKS, name)
        last = next(proposals(self.workspace, name), None)
        return {**self.job.show(card_html(job), job), **self.show(last, above, start)}

    def show(self, found: Proposal | None, above: bool = False, start: int = 0) -> dict[Any, Any]:
        """A page of a proposal; ``above``: only negatives that score above a positive."""
        if found is None:
            hidden = gr.Column(visible=False)
            return {self.proposal: EMPTY, self.proposed: "", self.pages: hidden, self.table: EMPTY}
        page = ProposalPage.read(found, above, start, PAGE)
        version = found.accepted
        open_ = version is None and not found.outdated
        return {
            self.proposal: str(proposal_html(found, version)),
            self.proposed: found.job.id,
            self.pages: gr.Column(visible=True),
            self.above: gr.update(visible=bool(found.result["teacher"]), value=above),
            self.table: str(page_html(page, open_)),
            **self.pager.at(page.start, page.start + PAGE < page.total),
            self.leave: gr.Button(visible=open_ and bool(found.result["above_positive"])),
            self.accept: gr.Button(value=t("mine.accept"), visible=open_),
        }

    def _wanted(self, id: str) -> Proposal:
        """The proposal that is shown, while it is on disk."""
        job = find(self.services, id, TASKS)
        found = Proposal(self.workspace, job) if job and job.result else None
        if found is None or not found.there:
            raise BadInput(t("mine.gone"))
        return found


# -- what is shown ---------------------------------------------------------------------------

#: Characters of a document that are shown before it unfolds.
SHORT = 120
_SPREAD = {
    "min": "mine.lowest",
    "p25": "mine.quarter",
    "median": "mine.median",
    "p75": "mine.three_quarters",
    "max": "mine.highest",
}
_REASONS = {
    "judged": "mine.reason.judged",
    "query_itself": "mine.reason.query_itself",
    "equal_text": "mine.reason.equal_text",
    "repeated": "mine.reason.repeated",
    "absolute_margin": "mine.reason.absolute_margin",
    "relative_margin": "mine.reason.relative_margin",
    "max_score": "mine.reason.max_score",
    "min_score": "mine.reason.min_score",
    "range_min": "mine.reason.range_min",
}


@dataclass(frozen=True)
class ProposalPage:
    """Some queries of a proposal, and how many there are."""

    rows: list[ProposedRow]
    start: int
    total: int

    @classmethod
    def read(cls, proposal: Proposal, above: bool, start: int, limit: int) -> "ProposalPage":
        total = len(proposal.queries(above))
        # What is filtered may have fewer pages than the one that was open.
        start = last_start(start, limit, total)
        return cls(proposal.page(start, limit, above), start, total)


def proposal_html(proposal: Proposal, version: int | None) -> Markup:
    """What was found, by whom, what was left out, and whether it was accepted."""
    result = proposal.result
    named = result["origin"].partition(":")[2]
    marks = [badge(t("mine.found_by", name=named)), badge(_version(result))]
    if result["teacher"] not in ("", named):
        marks.append(badge(t("mine.scored_by", name=result["teacher"])))
    marks.append(_standing(proposal, version))
    title = t("mine.proposed", n=count(result["negatives"]), queries=count(result["queries"]))
    return Markup(
        '<article class="rw-card" data-proposal="{}"><header><h3>{}</h3>{}</header>{}{}{}</article>'
    ).format(
        proposal.job.id, title, join(marks), facts(_facts(proposal)), _none(result), _scores(result)
    )


def _version(result: Mapping[str, Any]) -> str:
    return t("mine.version_of", version=result["version"])


def _standing(proposal: Proposal, version: int | None) -> Markup:
    if version is not None:
        return badge(t("mine.accepted", version=version), "good")
    if proposal.outdated:
        return badge(t("mine.outdated"), "warn")
    return badge(t("mine.not_accepted"))


def _facts(proposal: Proposal) -> dict[str, str]:
    result = proposal.result
    each = result["queries_by_negatives"]
    sizes = ", ".join(t("mine.each", count=count(n), size=size) for size, n in each.items())
    gone = ", ".join(t(_REASONS[one], n=count(n)) for one, n in result["left_out"].items() if n)
    found = {
        t("mine.per_query"): sizes,
        t("mine.left_out"): gone or t("mine.nothing_left_out"),
    }
    if result["teacher"]:
        found[t("mine.above_count")] = count(result["above_positive"])
    if result["earlier"]:
        found[t("mine.earlier_count")] = count(result["earlier"])
    if proposal.unticked:
        found[t("mine.by_hand")] = count(len(proposal.unticked))
    return found


def _none(result: Mapping[str, Any]) -> Markup:
    without = result["queries_by_negatives"].get("0")
    if not without:
        return EMPTY
    return Markup('<p class="rw-quiet">{}</p>').format(t("mine.without", count=count(without)))


def _scores(result: Mapping[str, Any]) -> Markup:
    """Positives and negatives side by side: how far apart they are is what mining is about."""
    rows = [
        [t(name), *(f"{found[one]:.3f}" for one in _SPREAD)]
        for name, found in (
            ("mine.of_positives", result["scores"]["positive"]),
            ("mine.of_negatives", result["scores"]["negative"]),
        )
        if found
    ]
    if not rows:
        return EMPTY
    heads = [t("mine.scores"), *(t(name) for name in _SPREAD.values())]
    return table(heads, rows, caption=t("mine.scores"), numeric=range(1, len(heads)))


def page_html(page: ProposalPage, ticks: bool) -> Markup:
    """The queries of a page; ``ticks``: negatives can be left out and taken back in."""
    if not page.rows:
        return Markup('<p class="rw-quiet">{}</p>').format(t("mine.none"))
    first, last = page.start + 1, page.start + len(page.rows)
    caption = t("mine.caption", first=count(first), last=count(last), total=count(page.total))
    heads = [t("mine.query"), t("mine.positives"), t("mine.negatives")]
    lines = [_line(row, ticks) for row in page.rows]
    place = Markup('<p class="rw-quiet rw-small">{}</p>').format(caption)
    return table(heads, lines, caption=caption) + place


def _line(row: ProposedRow, ticks: bool) -> Sequence[str]:
    wrong = [_negative(row.query, one, ticks) for one in row.negatives]
    nothing = Markup('<span class="rw-quiet">{}</span>').format(t("mine.no_negatives"))
    return [clipped(row.text), join(map(_document, row.positives)), join(wrong) or nothing]


def _document(one: Judged) -> Markup:
    return Markup("<div>{} {}</div>").format(_score(one), clipped(one.text, SHORT))


def _negative(query: int, one: Judged, ticks: bool) -> Markup:
    marks = [_score(one)]
    if one.above:
        marks.append(badge(t("mine.is_above"), "warn"))
    if not one.ticked:
        marks.append(badge(t("mine.is_out"), "bad"))
    if ticks:
        words = t("mine.take_out") if one.ticked else t("mine.put_back")
        marks.append(pick(f"{query}:{one.document}", words, not one.ticked))
    return Markup("<div>{} {}</div>").format(Markup(" ").join(marks), clipped(one.text, SHORT))


def _score(one: Judged) -> Markup:
    return EMPTY if one.score is None else badge(f"{one.score:.3f}")
