"""Every job there was: how it stands, what it said, what it takes on disk; stop, go on, let go."""

import json
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.cards import (
    found_html,
    job_badge,
    job_card,
    job_title,
    progress_text,
    task_name,
    took,
)
from ui.kit.confirm import Confirm
from ui.kit.events import on
from ui.kit.job_slot import JobSlot, find, fitting_html, fitting_piece, start_fitting
from ui.kit.live import live_chart, live_log, on_look, pulse
from ui.kit.markup import EMPTY, empty, heading, join, pick, piece, table
from ui.services import Services
from ui.words import known, sentences, t
from ui.words.amounts import ago, size
from workbench.evaluation.encoding_cache import EncodingCache
from workbench.records import Job, JobStatus

LISTED = 100


class JobsTab:
    """The list of jobs, and below it the one that is chosen."""

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Tab(t("tab.jobs"), id="jobs") as self.tab:
            self.beat = pulse(services)
            #: The id of the job that is shown.
            self.chosen = gr.BrowserState("", storage_key="workbench-job", secret="workbench")
            piece(heading(t("jobs.title"), t("jobs.about")))
            self.status = gr.Dropdown(
                _statuses(),
                value="",
                label=t("jobs.filter"),
                filterable=False,
                interactive=True,
                elem_id="jobs-filter",
            )
            self.list = piece(elem_id="jobs-list", picks=True)
            with gr.Column(visible="hidden") as self.box:
                self.job = JobSlot("jobs-job")
                with self.job.actions, gr.Column(visible=False, min_width=160) as self.remove_box:
                    self.remove = Confirm(t("jobs.remove"), t("jobs.remove_yes"))
                self.fitting = fitting_piece("jobs-fitting")
                with gr.Column(visible="hidden") as self.chart_box:
                    self.chart = live_chart(services, elem_id="jobs-chart")
                with gr.Accordion(t("jobs.log"), open=True):
                    self.log = live_log(services, elem_id="jobs-log")
                with gr.Accordion(t("jobs.events"), open=False):
                    self.events = piece(elem_id="jobs-events")
                with gr.Accordion(t("jobs.recipe"), open=False):
                    self.recipe = piece(elem_id="jobs-recipe")
        self.inputs = [self.chosen, self.status]
        self.outputs = [
            *(self.list, self.box, *self.job.outputs, self.remove_box, self.chart_box),
            *(self.chart, self.log, self.fitting, self.events, self.recipe),
        ]

    def listen(self) -> None:
        everything = [self.chosen, *self.outputs]
        on(self.list.select, self._show, self.status, [*everything, *self.remove.outputs])
        on(self.status.input, self.refresh, self.inputs, self.outputs)
        self.job.listen(self.services, self.refresh, [self.status], self.outputs)
        # Queued, like a click: it may be refused.
        given = [self.job.shown, self.status]
        on(self.fitting.select, self._start_fitting, given, everything, queue=True)
        on_look(self.beat, self._look, [self.list, self.job.card, *self.inputs], self.outputs)
        get = self.services.workspace.jobs.get
        self.remove.listen(self._warn, self._remove, get, [self.chosen], everything, [self.status])

    def _show(self, wanted: str, event: gr.EventData) -> dict[Any, Any]:
        return self._chosen(str(event.value), wanted) | self.remove.closed()

    def _chosen(self, id: str, wanted: str) -> dict[Any, Any]:
        return {self.chosen: id, **self.refresh(id, wanted)}

    def _look(self, shown: str | None, card: str | None, id: str, wanted: str) -> Any:
        job = find(self.services, id)
        same = list_html(self.services, id, wanted) == (shown or "")
        if same and (job is None or card_html(job) == (card or "")):
            return gr.skip()
        return self.refresh(id, wanted)

    def _warn(self, id: str) -> tuple[list[Job], str]:
        jobs = self.services.workspace.jobs
        job = jobs.get(id)
        return [job], t("jobs.remove_warning", name=job_title(job), size=size(jobs.bytes(job)))

    def _remove(self, jobs: list[Job], wanted: str) -> dict[Any, Any]:
        for job in jobs:
            self.services.workspace.jobs.remove(job.id)
        return self._chosen("", wanted)

    def _start_fitting(self, id: str, wanted: str, event: gr.EventData) -> dict[Any, Any]:
        return self._chosen(start_fitting(self.services, id, event).id, wanted)

    def refresh(self, picked: str | None, wanted: str) -> dict[Any, Any]:
        job = find(self.services, picked)
        trains = job is not None and job.task.startswith("train")
        return {
            self.list: list_html(self.services, picked, wanted),
            self.box: gr.Column(visible=True if job else "hidden"),
            **self.job.show(card_html(job) if job else EMPTY, job),
            self.remove_box: gr.Column(visible=bool(job and job.status is not JobStatus.RUNNING)),
            self.chart_box: gr.Column(visible=trains or "hidden"),
            self.chart: job.id if job and trains else "",
            self.log: job.id if job else "",
            self.fitting: fitting_html(job),
            self.events: events_html(self.services, job) if job else EMPTY,
            self.recipe: recipe_html(job) if job else EMPTY,
        }


def card_html(job: Job) -> str:
    """The job's card; of a training run, what it found and decided as well."""
    # Results of evaluations have keys of the same names that mean something else.
    trained = job.task.startswith("train")
    return str(job_card(job, more=found_html(job.result or {}) if trained else EMPTY))


def list_html(services: Services, picked: str | None, wanted: str) -> str:
    """The newest jobs as a table."""
    status = JobStatus(wanted) if wanted else None
    jobs = services.workspace.jobs.list(status=status, limit=LISTED)
    if not jobs:
        words = ("jobs.none_such", "jobs.none_such_hint") if wanted else ("jobs.empty", "jobs.hint")
        return str(empty(t(words[0]), t(words[1])))
    heads = [t("jobs.col_job"), t("jobs.col_status"), t("jobs.col_progress")]
    heads += [t("jobs.col_time"), t("jobs.col_size"), t("jobs.col_started")]
    ids = [job.id for job in jobs]
    at = ids.index(picked) if picked in ids else None
    lines = [_line(services, job, job.id == picked) for job in jobs]
    drawn = table(heads, lines, caption=t("jobs.title"), numeric=[3, 4], chosen=at)
    return str(join([drawn, _kept(services)]))


def _kept(services: Services) -> Markup:
    """What the encodings that jobs keep for each other take; nothing where there are none."""
    taken = EncodingCache(services.workspace.home, limit=0).bytes()
    if not taken:
        return EMPTY
    return Markup('<p class="rw-quiet rw-small">{}</p>').format(t("jobs.kept", size=size(taken)))


def _line(services: Services, job: Job, chosen: bool) -> list[str]:
    return [
        pick(job.id, job_title(job), chosen),
        job_badge(job),
        progress_text(job) if job.status is JobStatus.RUNNING else "–",
        # The time of a running job moves with its progress line, not by itself.
        took(job) if job.status.finished else "–",
        size(services.workspace.jobs.bytes(job)) if job.status.finished else "–",
        ago(job.created_at),
    ]


def events_html(services: Services, job: Job) -> Markup:
    """The job's history, oldest first."""
    lines = [
        [ago(event.at), _event(event.kind), _detail(event.detail)]
        for event in services.workspace.jobs.events(job.id)
    ]
    heads = [t("jobs.when"), t("jobs.what"), t("jobs.detail")]
    return table(heads, lines, caption=t("jobs.events"))


def _event(kind: str) -> str:
    key = f"event.{kind}"
    return t(key) if known(key) else sentences.said(kind)


def _detail(text: str) -> str:
    """A single word is the name of something."""
    return sentences.said(text) if " " in text else text


def recipe_html(job: Job) -> Markup:
    """The recipe as it was submitted, to be read or copied."""
    text = json.dumps({"task": job.task, **job.recipe}, indent=2, ensure_ascii=False)
    about = t("jobs.recipe_about", task=task_name(job.task), id=job.id)
    return join(
        [
            Markup('<p class="rw-quiet">{}</p>').format(about),
            Markup('<pre class="rw-log" tabindex="0">{}</pre>').format(text),
        ]
    )


def _statuses() -> list[tuple[str, str]]:
    named = [(t(f"status.{status.value}"), status.value) for status in JobStatus]
    return [(t("jobs.every"), ""), *named]
