"""Train: forms drawn from the recipes, and beside them the run with its live chart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui import pulse as pulses
from ui.cards import job_badge, job_card, train_text
from ui.choices import PACKAGED, dataset_names, menu, model_menu, model_names, open_menu, update
from ui.feedback import on
from ui.job_slot import JobSlot, find, newest, updates
from ui.live import live_chart, live_log
from ui.markup import empty, heading, piece
from ui.pulse import pulse
from ui.services import Services
from ui.tabs import fitting, train_check, train_clone, train_command, train_form, train_sweep
from ui.words import t
from ui.words.amounts import ago
from workbench.models.resolve import listed
from workbench.recipes.base import SMALL_CLIP
from workbench.recipes.kinds import KINDS
from workbench.records import Job, JobStatus

#: Runs in the menu, newest first.
LISTED = 50


@dataclass(frozen=True)
class Train:
    services: Services
    tab: gr.Tab
    beat: gr.HTML
    #: The id of the job that is shown.
    chosen: gr.BrowserState
    command: train_command.OldCommand
    forms: train_form.Forms
    no_data: gr.HTML
    to_data: gr.Button
    run: gr.Dropdown
    job: JobSlot
    box: gr.Column
    to_compare: gr.Button
    to_search: gr.Button
    clone: gr.Button
    sweep: train_sweep.SweepForm
    check: train_check.Check
    #: What to do about a run that ran out of memory.
    fitting: gr.HTML
    chart: gr.HTML
    log: gr.HTML
    refresh: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]

    @property
    def shown(self) -> list[Any]:
        """What shows one run."""
        buttons = [self.to_compare, self.to_search]
        live = [self.chart, self.log]
        return [*self.job.outputs, self.box, *buttons, *live, self.clone, self.fitting]

    def listen(self) -> None:
        listen(self.services, self)


def render(services: Services) -> Train:
    with gr.Tab(t("tab.train"), id="train") as tab:
        beat = pulse(services)
        chosen = gr.BrowserState("", storage_key="workbench-run", secret="workbench")
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                piece(heading(t("train.title"), t("train.about")))
                no_data = piece(visible=False)
                to_data = gr.Button(t("train.to_data"), visible=False)
                command = train_command.render()
                forms = train_form.render()
                check = train_check.render()
            with gr.Column(scale=6, min_width=320):
                piece(heading(t("train.run_title")))
                run = open_menu(
                    label=t("train.run"),
                    visible=False,
                    elem_id="train-run",
                )
                job = JobSlot("train-job")
                with job.actions:
                    to_compare = gr.Button(t("train.to_compare"), visible=False)
                    to_search = gr.Button(t("train.to_search"), visible=False)
                    clone = train_clone.button()
                fits = fitting.render("train-fitting")
                # Hidden, not absent: Gradio loses a component's settings when it is first drawn
                # by the same update that gives it a value.
                with gr.Column(visible="hidden") as box:
                    chart = live_chart(services, elem_id="train-chart")
                    with gr.Accordion(t("train.log"), open=False):
                        log = live_log(services, elem_id="train-log")
                    sweep = train_sweep.render(services)
    part = Train(
        services=services,
        tab=tab,
        beat=beat,
        chosen=chosen,
        command=command,
        forms=forms,
        no_data=no_data,
        to_data=to_data,
        run=run,
        job=job,
        box=box,
        to_compare=to_compare,
        to_search=to_search,
        clone=clone,
        sweep=sweep,
        check=check,
        fitting=fits,
        chart=chart,
        log=log,
        refresh=lambda picked, *menus: fill(services, picked, menus),
        inputs=[chosen, *forms.menus],
        outputs=[],
    )
    part.outputs.extend([no_data, to_data, *forms.menus, run, *part.shown])
    return part


def listen(services: Services, train: Train) -> None:
    workspace = services.workspace

    def wire(one: train_form.KindForm) -> None:
        outputs = [train.chosen, train.run, *train.shown]

        def start(*raw: Any) -> list[Any]:
            def act() -> list[Any]:
                job = workspace.jobs.submit(one.form.read(*raw))
                return [job.id, runs_menu(services, job.id), *view(job)]

            return one.form.told(act, len(outputs))

        on(one.start.click, start, one.form.inputs, [*outputs, *one.form.inputs])

    def show(id: str | None) -> list[Any]:
        return [id or "", *view(shown_job(services, id))]

    def tick(id: str, card: str | None, swept: str | None, check: str, measured: str | None) -> Any:
        found: dict[Any, Any] = {}
        job = shown_job(services, id)
        if card_html(job) != (card or ""):
            found = {train.run: runs_menu(services, job.id if job else None)}
            found |= zip(train.shown, view(job), strict=True)
        found |= train_sweep.changed(services, train.sweep, job, swept or "")
        found |= train_check.changed(services, train.check, check, measured)
        return found or gr.skip()

    train_form.listen(services, train.forms)
    train_command.listen(train.command, train.forms)
    for one in train.forms.each:
        wire(one)

    def clone(id: str) -> list[Any]:
        return train_clone.fill(services, train.forms, workspace.jobs.get(id))

    def fitted(id: str, event: gr.EventData) -> list[Any]:
        return chosen(fitting.start(services, id, event).id)

    def chosen(id: str) -> list[Any]:
        return [id, runs_menu(services, id), *view(workspace.jobs.get(id))]

    train_sweep.listen(services, train, chosen)
    train_check.listen(services, train)
    # Queued, like a click: it may be refused.
    shown = [train.chosen, train.run, *train.shown]
    on(train.fitting.select, fitted, train.job.shown, shown, queue=True)
    on(train.clone.click, clone, train.job.shown, train.forms.filled)
    on(train.run.input, show, train.run, [train.chosen, *train.shown])
    train.job.listen(services, chosen, [], shown)
    # One look after all that goes on here: each event costs the page, even if it changes nothing.
    ticked = [
        train.chosen,
        train.job.card,
        train.sweep.shown,
        train.check.chosen,
        train.check.measured.card,
    ]
    changing = [train.run, *train.shown, *train.sweep.result, *train.check.measured.outputs]
    pulses.listen(train.beat, tick, ticked, changing)


def fill(services: Services, picked: str, menus: Sequence[str | None]) -> list[Any]:
    """Menus (data set and model of each form, in turn) and the chosen run, as they are now."""
    kinds = list(KINDS)
    names = dataset_names(services.workspace)
    job = shown_job(services, picked)
    none = not names
    return [
        gr.HTML(value=empty(t("train.no_data"), t("train.no_data_hint")), visible=none),
        gr.Button(visible=none),
        *(
            _bases(services, kinds[at // 2], chosen) if at % 2 else menu(names, chosen)
            for at, chosen in enumerate(menus)
        ),
        runs_menu(services, job.id if job else None),
        *view(job),
    ]


def _bases(services: Services, kind: str, chosen: str | None) -> dict[str, Any]:
    """Base models to choose: those that see pictures for the kind that needs it, else the rest."""
    seeing = {one.name for one in services.workspace.models.list() if one.kind == "image-text"}
    # What is in the workspace, and what the catalogue has of the form's kind.
    names = [*model_names(services.workspace), *listed(kind)]
    if kind == "image-text":
        # The sample's model is offered once it is there.
        there = chosen != SMALL_CLIP or chosen in seeing
        return model_menu(
            [name for name in names if name in seeing or name in listed(kind)],
            chosen if there else None,
        )
    return model_menu([name for name in names if name not in seeing], chosen or PACKAGED)


def view(job: Job | None) -> list[Any]:
    """Updates for ``Train.shown``."""
    hidden = gr.Button(visible=False)
    if job is None:
        box = gr.Column(visible="hidden")
        return [*updates(card_html(None)), box, hidden, hidden, "", "", hidden, fitting.html(None)]
    done = job.status is JobStatus.SUCCEEDED
    return [
        *updates(card_html(job), job),
        gr.Column(visible=True),
        gr.Button(visible=done),
        gr.Button(visible=done),
        job.id,
        job.id,
        train_clone.seen(job),
        fitting.html(job),
    ]


def card_html(job: Job | None) -> str:
    """What the chart's own line does not say: the outcome. Progress is counted beside the chart."""
    if job is None:
        return str(empty(t("train.nothing"), t("train.nothing_hint")))
    if job.status is JobStatus.SUCCEEDED:
        return str(_verdict(job))
    if job.status is JobStatus.RUNNING and job.progress.get("unit") == "steps":
        return str(_running(job))
    return str(job_card(job))


def _running(job: Job) -> Markup:
    """Unchanging while it trains, so that nothing here is redrawn."""
    return Markup(
        '<article class="rw-card" data-job="{}"><header><h3>{}</h3>{}</header></article>'
    ).format(job.id, job.name, job_badge(job))


def _verdict(job: Job) -> Markup:
    result = job.result or {}
    return Markup(
        '<article class="rw-card" data-job="{}"><header><h3>{}</h3>{}</header>'
        '<p class="verdict">{}</p><p class="rw-quiet">{}</p></article>'
    ).format(
        job.id,
        result.get("model", job.name),
        job_badge(job),
        train_text(result),
        next_step(result),
    )


def next_step(result: Mapping[str, Any]) -> str:
    """What to do after a run, by how it went."""
    verdict = result.get("verdict") or ("" if result.get("beats_base") else "no-better")
    if verdict == "below-first-stage":
        return t("train.next_below_first_stage")
    return t("train.next_no_better" if verdict else "train.next_better")


def shown_job(services: Services, picked: str | None) -> Job | None:
    """The chosen run, or the newest one."""
    return find(services, picked, TASKS) or newest(services, TASKS)


def runs_menu(services: Services, chosen: str | None) -> dict[str, Any]:
    """An update of the menu of runs."""
    jobs = runs(services, LISTED)
    choices = [(_run_label(job), job.id) for job in jobs]
    ids = [id for _, id in choices]
    value = chosen if chosen in ids else None
    return update(choices, value, visible=len(choices) > 1)


def runs(services: Services, limit: int) -> list[Job]:
    """Training runs of every kind, newest first."""
    jobs = services.workspace.jobs
    found = [job for task in TASKS for job in jobs.list(task=task, limit=limit)]
    return sorted(found, key=lambda job: job.created_at, reverse=True)[:limit]


def _run_label(job: Job) -> str:
    status = t(f"status.{job.status.value}")
    return t("train.run_one", name=job.name, status=status, when=ago(job.created_at))


#: The tasks whose runs are shown here.
TASKS = frozenset(recipe.task for recipe in KINDS.values())
