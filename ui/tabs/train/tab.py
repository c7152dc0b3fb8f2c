"""Train: forms drawn from the recipes, and beside them the run with its live chart."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.cards import found_html, job_badge, job_card, train_text
from ui.kit.choices import PACKAGED, dataset_names, menu, model_menu, model_names, open_menu, update
from ui.kit.events import on
from ui.kit.job_slot import JobSlot, find, fitting_html, fitting_piece, newest, start_fitting
from ui.kit.live import live_chart, live_log, on_look, pulse
from ui.kit.markup import empty, heading, piece
from ui.services import Services
from ui.tabs.train.check import Check
from ui.tabs.train.curve import Curve
from ui.tabs.train.forms import Command, Forms, KindForm
from ui.tabs.train.sweep import Sweep
from ui.words import t
from ui.words.amounts import ago
from workbench.auto.decisions import so_far
from workbench.comparison.trained import is_tested
from workbench.model_kinds import MODEL_KINDS, seeing
from workbench.models.resolve import listed
from workbench.recipes.data import SMALL_CLIP
from workbench.records import Job, JobStatus

#: Runs in the menu, newest first.
LISTED = 50


class TrainTab:
    """The forms and, beside them, one run."""

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Tab(t("tab.train"), id="train") as self.tab:
            self.beat = pulse(services)
            #: The id of the job that is shown.
            self.chosen = gr.BrowserState("", storage_key="workbench-run", secret="workbench")
            with gr.Row(equal_height=False):
                with gr.Column(scale=5, min_width=320):
                    self._draw_forms()
                with gr.Column(scale=6, min_width=320):
                    self._draw_run()
        live = [self.chart, self.log]
        #: What shows one run.
        self.shown = [
            *(self.chosen, self.run, *self.job.outputs, self.box),
            *(self.to_compare, self.to_search, *live, self.clone, self.fitting),
        ]
        self.inputs = [self.chosen, *self.forms.menus]
        general = [one.general for one in self.forms.each if one.general]
        self.outputs = [
            *(self.no_data, self.to_data, *self.forms.menus, *general),
            *self.shown[1:],
        ]

    def _draw_forms(self) -> None:
        piece(heading(t("train.title"), t("train.about")))
        self.no_data = piece(visible=False)
        self.to_data = gr.Button(t("train.to_data"), visible=False)
        self.command = Command()
        self.forms = Forms(self.services)
        self.curve = Curve(self.services)
        self.check = Check(self.services)

    def _draw_run(self) -> None:
        piece(heading(t("train.run_title")))
        self.run = open_menu(label=t("train.run"), visible=False, elem_id="train-run")
        self.job = JobSlot("train-job")
        with self.job.actions:
            self.to_compare = gr.Button(t("train.to_compare"), visible=False)
            self.to_search = gr.Button(t("train.to_search"), visible=False)
            self.clone = gr.Button(
                t("clone.button"), size="sm", visible=False, elem_id="train-clone"
            )
        #: What to do about a run that ran out of memory.
        self.fitting = fitting_piece("train-fitting")
        # Hidden, not absent: Gradio loses a component's settings when it is first drawn by the same
        # update that gives it a value.
        with gr.Column(visible="hidden") as self.box:
            self.chart = live_chart(self.services, elem_id="train-chart")
            with gr.Accordion(t("train.log"), open=False):
                self.log = live_log(self.services, elem_id="train-log")
            self.sweep = Sweep(self.services)

    def listen(self) -> None:
        self.forms.listen()
        self.command.listen(self.forms)
        self.check.listen(self.forms)
        self.curve.listen(self.forms)
        for one in self.forms.each:
            self._listen_to(one)
        self.sweep.listen(self.job.shown, self._choose, self.shown)
        # Queued, like a click: it may be refused.
        on(self.fitting.select, self._start_fitting, self.job.shown, self.shown, queue=True)
        on(self.clone.click, self.forms.clone, self.job.shown, self.forms.filled)
        on(self.run.input, self._show, self.run, self.shown)
        self.job.listen(self.services, self._choose, [], self.shown)
        # One look after all that goes on here: each event costs the page, even if it changes
        # nothing.
        cards = [
            *(self.job.card, self.sweep.table, self.check.chosen, self.check.measured.card),
            *(self.curve.chosen, self.curve.job.card),
        ]
        changing = [*self.shown[1:], *self.sweep.outputs, *self.check.measured.outputs]
        on_look(self.beat, self._look, [self.chosen, *cards], [*changing, *self.curve.job.outputs])

    def _listen_to(self, one: KindForm) -> None:
        def start(*raw: Any) -> dict[Any, Any]:
            def act() -> dict[Any, Any]:
                return self._choose(self.services.workspace.jobs.submit(one.form.read(*raw)).id)

            return one.form.answer(act)

        on(one.start.click, start, one.form.inputs, [*self.shown, *one.form.inputs])

    def _choose(self, id: str) -> dict[Any, Any]:
        job = self.services.workspace.jobs.get(id)
        return {self.chosen: id, self.run: runs_menu(self.services, id), **self.view(job)}

    def _show(self, id: str | None) -> dict[Any, Any]:
        return {self.chosen: id or "", **self.view(shown_job(self.services, id))}

    def _start_fitting(self, id: str, event: gr.EventData) -> dict[Any, Any]:
        return self._choose(start_fitting(self.services, id, event).id)

    def _look(
        self,
        id: str,
        card: str | None,
        swept: str | None,
        check: str,
        measured: str | None,
        curve: str,
        drawn: str | None,
    ) -> Any:
        found: dict[Any, Any] = {}
        job = shown_job(self.services, id)
        if self._card(job) != (card or ""):
            found = {self.run: runs_menu(self.services, job.id if job else None), **self.view(job)}
        found |= self.sweep.changed(job, swept or "")
        found |= self.check.changed(check, measured)
        found |= self.curve.changed(curve, drawn)
        return found or gr.skip()

    def refresh(self, picked: str, *menus: str | None) -> dict[Any, Any]:
        """Menus (data set and model of each form, in turn) and the chosen run, as they are now."""
        names = dataset_names(self.services.workspace)
        job = shown_job(self.services, picked)
        none = not names
        found: dict[Any, Any] = {
            self.no_data: gr.HTML(
                value=empty(t("train.no_data"), t("train.no_data_hint")), visible=none
            ),
            self.to_data: gr.Button(visible=none),
            self.run: runs_menu(self.services, job.id if job else None),
            **self.view(job),
        }
        chosen = iter(menus)
        for one in self.forms.each:
            found[one.dataset] = menu(names, next(chosen))
            found[one.model] = _bases(self.services, one.kind, next(chosen))
            if one.general:
                found[one.general] = gr.update(choices=_general(names))
        return found

    def view(self, job: Job | None) -> dict[Any, Any]:
        """One run."""
        done = job is not None and job.status is JobStatus.SUCCEEDED
        card = self.job.show(self._card(job), job)
        return {
            **card,
            self.box: gr.Column(visible=True if job else "hidden"),
            self.to_compare: gr.Button(visible=done),
            self.to_search: gr.Button(visible=done),
            self.chart: job.id if job else "",
            self.log: job.id if job else "",
            # Beside a run that has ended, well or not.
            self.clone: gr.Button(visible=job is not None and job.status.finished),
            self.fitting: fitting_html(job),
        }

    def _card(self, job: Job | None) -> str:
        running = job is not None and job.status is JobStatus.RUNNING
        found = so_far(self.services.workspace.jobs.folder(job.id)) if job and running else {}
        return card_html(job, found)


def _general(names: list[str]) -> list[tuple[str, str]]:
    """General data sets to choose."""
    words = [(t("forgetting.auto"), "auto"), (t("forgetting.no_set"), "none")]
    return [*words, *((one, one) for one in names)]


def _bases(services: Services, kind: str, chosen: str | None) -> dict[str, Any]:
    """Base models to choose: those that see pictures for the kind that needs it, else the rest."""
    seers = {one.name for one in services.workspace.models.list() if one.kind in seeing()}
    # What is in the workspace, and what the catalogue has of the form's kind.
    names = [*model_names(services.workspace), *listed(kind)]
    if MODEL_KINDS.get(kind).reads_pictures:
        # The sample's model is offered once it is there.
        there = chosen != SMALL_CLIP or chosen in seers
        return model_menu(
            [name for name in names if name in seers or name in listed(kind)],
            chosen if there else None,
        )
    return model_menu([name for name in names if name not in seers], chosen or PACKAGED)


def card_html(job: Job | None, found: Mapping[str, Any] | None = None) -> str:
    """What the chart's own line does not say: the outcome, and of a run that goes on what it has
    decided so far, as ``found``. Progress is counted beside the chart."""
    if job is None:
        return str(empty(t("train.nothing"), t("train.nothing_hint")))
    if job.status is JobStatus.SUCCEEDED:
        return str(_verdict(job))
    if job.status is JobStatus.RUNNING and job.progress.get("unit") == "steps":
        return str(_running(job, found or {}))
    return str(job_card(job, more=found_html(found or {})))


def _running(job: Job, found: Mapping[str, Any]) -> Markup:
    """Unchanging while it trains, so that nothing here is redrawn."""
    return Markup(
        '<article class="rw-card" data-job="{}"><header><h3>{}</h3>{}</header>{}</article>'
    ).format(job.id, job.name, job_badge(job), found_html(found))


def _verdict(job: Job) -> Markup:
    result = job.result or {}
    return Markup(
        '<article class="rw-card" data-job="{}"><header><h3>{}</h3>{}</header>'
        '<p class="verdict">{}</p><p class="rw-quiet">{}</p>{}</article>'
    ).format(
        job.id,
        result.get("model", job.name),
        job_badge(job),
        train_text(result),
        next_step(result),
        found_html(result),
    )


def next_step(result: Mapping[str, Any]) -> str:
    """What to do after a run, by how it went."""
    verdict = result.get("verdict") or ("" if result.get("beats_base") else "no-better")
    if verdict == "below-first-stage":
        return t("train.next_below_first_stage")
    if verdict and is_tested(result):
        return t("train.next_not_shown")
    return t("train.next_no_better" if verdict else "train.next_better")


def shown_job(services: Services, picked: str | None) -> Job | None:
    """The chosen run, or the newest one."""
    return find(services, picked, tasks()) or newest(services, tasks())


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
    found = [job for task in tasks() for job in jobs.list(task=task, limit=limit)]
    return sorted(found, key=lambda job: job.created_at, reverse=True)[:limit]


def _run_label(job: Job) -> str:
    status = t(f"status.{job.status.value}")
    return t("train.run_one", name=job.name, status=status, when=ago(job.created_at))


#: The tasks whose runs are shown here.
def tasks() -> tuple[str, ...]:
    """The tasks that train."""
    return tuple(kind.task for kind in MODEL_KINDS.all())
