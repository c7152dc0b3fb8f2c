"""Hard negatives on the Data tab: ask for a proposal, look through it, leave some out, accept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui import choices, form
from ui.choices import shown_dataset
from ui.feedback import on, on_busy
from ui.job_slot import JobSlot, card_html, find, newest, updates
from ui.markup import EMPTY, heading, piece
from ui.refusals import told_at_fields
from ui.services import Services
from ui.tabs.data_proposal import Page, page_html, proposal_html
from ui.words import t
from workbench.errors import BadInput
from workbench.mining.proposal import Proposal, accept, proposals
from workbench.recipes.mine import MineRecipe
from workbench.records import Dataset

TASKS = (MineRecipe.task,)
PAGE = 5
#: Rules that are off while nothing is typed.
_OFF = ("relative_margin", "absolute_margin", "max_score", "min_score")
_SKIP = ("dataset", "dataset_version", "model")


@dataclass(frozen=True)
class Mine:
    box: gr.Accordion
    form: form.Form
    model: gr.Dropdown
    start: gr.Button
    job: JobSlot
    proposal: gr.HTML
    #: The id of the job whose proposal is shown, on which the buttons below act.
    proposed: gr.Textbox
    shown: gr.Column
    above: gr.Checkbox
    table: gr.HTML
    before: gr.Button
    after: gr.Button
    offset: gr.Number
    leave: gr.Button
    accept: gr.Button

    @property
    def own(self) -> list[Any]:
        """What a job or a click on the proposal changes."""
        first = [*self.job.outputs, self.proposal, self.proposed, self.shown]
        return [
            *first,
            self.above,
            self.table,
            self.before,
            self.after,
            self.offset,
            self.leave,
            self.accept,
        ]

    @property
    def outputs(self) -> list[Any]:
        return [self.box, self.model, self.form.components["reranker"], *self.own]


def render() -> Mine:
    """Draw it inside the current block."""
    with gr.Accordion(t("mine.title"), open=False, visible=False, elem_id="data-mine") as box:
        piece(heading(t("mine.heading"), t("mine.about")))
        model = choices.open_menu(
            value=choices.PACKAGED,
            label=t("mine.model"),
            info=t("mine.model_help"),
            elem_id="mine-model",
        )
        drawn = form.render(MineRecipe, skip=_SKIP, prefix="mine")
        for name in _OFF:
            field = drawn.components[name]
            if isinstance(field, gr.Textbox):
                field.placeholder = t("mine.off")
        start = gr.Button(t("mine.start"), elem_id="mine-start", elem_classes="rw-fit")
        job = JobSlot("mine-job")
        proposal = piece(elem_id="mine-proposal")
        proposed = gr.Textbox("", visible=False, label=t("mine.heading"))
        with gr.Column(visible=False) as shown:
            above = gr.Checkbox(
                label=t("mine.filter"),
                info=t("mine.filter_help"),
                interactive=True,
                elem_id="mine-above",
            )
            table = piece(elem_id="mine-table", picks=True)
            with gr.Row(elem_classes="rw-actions"):
                before = gr.Button(t("rows.before"), size="sm", interactive=False)
                after = gr.Button(
                    t("rows.after"), size="sm", interactive=False, elem_id="mine-after"
                )
            offset = gr.Number(0, visible=False, label=t("rows.offset"))
            with gr.Row(elem_classes="rw-actions"):
                accepting = gr.Button(t("mine.accept"), variant="primary", elem_id="mine-accept")
                leave = gr.Button(t("mine.leave_above"), elem_id="mine-leave")
    return Mine(
        box=box,
        form=drawn,
        model=model,
        start=start,
        job=job,
        proposal=proposal,
        proposed=proposed,
        shown=shown,
        above=above,
        table=table,
        before=before,
        after=after,
        offset=offset,
        leave=leave,
        accept=accepting,
    )


def listen(
    services: Services,
    mine: Mine,
    chosen: gr.Textbox,
    again: Callable[[Any], None],
) -> None:
    """``chosen`` holds the data set's id; ``again`` has the whole tab filled after an event."""
    jobs = services.workspace.jobs
    helps = {spec.name: spec.help for spec in mine.form.specs}

    def start(name: str, model: str, *raw: Any) -> list[Any]:
        def act() -> list[Any]:
            values = {**mine.form.values(raw), "model": model or ""}
            jobs.submit(
                MineRecipe.read({**values, "dataset": shown_dataset(services.workspace, name)})
            )
            return own(services, name)

        return told_at_fields(act, helps, len(mine.own))

    def toggle(id: str, above: bool, offset: float, event: gr.EventData) -> list[Any]:
        query, _, document = str(event.value).partition(":")
        found = wanted(services, id)
        found.tick(int(query), int(document))
        return proposed(found, above, int(offset))

    def leave(id: str, above: bool, offset: float) -> list[Any]:
        found = wanted(services, id)
        found.leave_out_above()
        return proposed(found, above, int(offset))

    def accepted(id: str) -> None:
        accept(services.workspace, wanted(services, id).job.id)

    def filtered(id: str, above: bool) -> list[Any]:
        return proposed(wanted(services, id), above)

    def turn(step: int) -> Any:
        def turned(id: str, above: bool, offset: float) -> list[Any]:
            return proposed(wanted(services, id), above, max(0, int(offset) + step * PAGE))

        return turned

    fields = mine.form.inputs
    on_busy(
        mine.start,
        start,
        [chosen, mine.model, *fields],
        [*mine.own, *fields],
        says=t("mine.starting"),
        then=t("mine.start"),
    )
    stopped = lambda _id, name, above, offset: own(services, name, above, int(offset))  # noqa: E731
    mine.job.listen(services, stopped, [chosen, mine.above, mine.offset], mine.own)
    where, shown = [mine.proposed, mine.above, mine.offset], mine.own[len(mine.job.outputs) :]
    on(mine.table.select, toggle, where, shown, queue=True)
    on(mine.leave.click, leave, where, shown)
    on(mine.above.input, filtered, where[:2], shown)
    on(mine.before.click, turn(-1), where, shown)
    on(mine.after.click, turn(+1), where, shown)
    says = t("mine.accepting")
    again(on_busy(mine.accept, accepted, mine.proposed, None, says=says, then=t("mine.accept")))
    on(
        mine.form.components["method"].change,
        lambda method: gr.update(visible=method == "model"),
        mine.form.components["method"],
        mine.model,
    )
    form.listen_depends(mine.form)


def changed(services: Services, mine: Mine, name: str, above: bool, card: str) -> dict[Any, Any]:
    """What a look after the job changes; ``card`` is what stands in ``Mine.job``."""
    job = newest(services, TASKS, name)
    changed = mine.job.changed(card, card_html(job), job)
    if not changed or (job is not None and not job.status.finished):
        return changed
    return dict(zip(mine.own, own(services, name, above), strict=True))


def view(
    services: Services, dataset: Dataset | None, above: bool = False, offset: float = 0
) -> list[Any]:
    """Updates for ``Mine.outputs``; ``above`` and ``offset``: what of the proposal is looked at."""
    if dataset is None or not dataset.summary.get("queries"):
        return [gr.Accordion(visible=False), *[gr.skip()] * 16]
    names = choices.model_names(services.workspace)
    pairs = [(name, name) for name in names]
    return [
        gr.Accordion(visible=True),
        gr.update(choices=pairs),
        gr.update(choices=[("", ""), *pairs]),
        *own(services, dataset.name, above, int(offset)),
    ]


def own(services: Services, name: str, above: bool = False, offset: int = 0) -> list[Any]:
    """Updates for ``Mine.own``."""
    name = shown_dataset(services.workspace, name)
    job = newest(services, TASKS, name)
    last = next(proposals(services.workspace, name), None)
    return [*updates(card_html(job), job), *proposed(last, above, offset)]


def proposed(found: Proposal | None, above: bool = False, offset: int = 0) -> list[Any]:
    """Updates for what of ``Mine.own`` shows a proposal."""
    if found is None:
        return [EMPTY, "", gr.Column(visible=False), gr.skip(), EMPTY, *[gr.skip()] * 5]
    page = Page.read(found, above, offset, PAGE)
    version = found.accepted
    open_ = version is None and not found.outdated
    return [
        str(proposal_html(found, version)),
        found.job.id,
        gr.Column(visible=True),
        gr.update(visible=bool(found.result["teacher"]), value=above),
        str(page_html(page, open_)),
        gr.Button(interactive=page.offset > 0),
        gr.Button(interactive=page.offset + PAGE < page.total),
        page.offset,
        gr.Button(visible=open_ and bool(found.result["above_positive"])),
        gr.Button(value=t("mine.accept"), visible=open_),
    ]


def wanted(services: Services, id: str) -> Proposal:
    """The proposal that is shown, while it is on disk."""
    job = find(services, id, TASKS)
    found = Proposal(services.workspace, job) if job and job.result else None
    if found is None or not found.there:
        raise BadInput(t("mine.gone"))
    return found
