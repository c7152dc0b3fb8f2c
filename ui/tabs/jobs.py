"""Every job there was: how it stands, what it said, what it takes on disk; stop, go on, let go."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from markupsafe import Markup

from ui import confirm
from ui import pulse as pulses
from ui.cards import job_badge, job_card, job_title, progress_text, task_name, took
from ui.feedback import on
from ui.job_slot import JobSlot, find, updates
from ui.live import live_chart, live_log
from ui.markup import EMPTY, empty, heading, join, pick, piece, table
from ui.pulse import pulse
from ui.services import Services
from ui.tabs import fitting
from ui.words import known, sentences, t
from ui.words.amounts import ago, size
from workbench.evaluation.encoding_cache import EncodingCache
from workbench.records import Job, JobStatus

if TYPE_CHECKING:
    from ui.page import Page

LISTED = 100


@dataclass(frozen=True)
class Jobs:
    tab: gr.Tab
    beat: gr.HTML
    #: The id of the job that is shown.
    chosen: gr.BrowserState
    status: gr.Dropdown
    list: gr.HTML
    box: gr.Column
    job: JobSlot
    remove: confirm.Confirm
    fitting: gr.HTML
    chart_box: gr.Column
    chart: gr.HTML
    log: gr.HTML
    events: gr.HTML
    recipe: gr.HTML
    refresh: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]


def render(services: Services) -> Jobs:
    with gr.Tab(t("tab.jobs"), id="jobs") as tab:
        beat = pulse(services)
        chosen = gr.BrowserState("", storage_key="workbench-job", secret="workbench")
        piece(heading(t("jobs.title"), t("jobs.about")))
        status = gr.Dropdown(
            _statuses(),
            value="",
            label=t("jobs.filter"),
            filterable=False,
            interactive=True,
            elem_id="jobs-filter",
        )
        listed = piece(elem_id="jobs-list", picks=True)
        with gr.Column(visible="hidden") as box:
            job = JobSlot("jobs-job")
            with job.actions, gr.Column(visible=False, min_width=160) as remove_box:
                remove = confirm.render(t("jobs.remove"), t("jobs.remove_yes"))
            fits = fitting.render("jobs-fitting")
            with gr.Column(visible="hidden") as chart_box:
                chart = live_chart(services, elem_id="jobs-chart")
            with gr.Accordion(t("jobs.log"), open=True):
                log = live_log(services, elem_id="jobs-log")
            with gr.Accordion(t("jobs.events"), open=False):
                events = piece(elem_id="jobs-events")
            with gr.Accordion(t("jobs.recipe"), open=False):
                recipe = piece(elem_id="jobs-recipe")
    return Jobs(
        tab=tab,
        beat=beat,
        chosen=chosen,
        status=status,
        list=listed,
        box=box,
        job=job,
        remove=remove,
        fitting=fits,
        chart_box=chart_box,
        chart=chart,
        log=log,
        events=events,
        recipe=recipe,
        refresh=lambda picked, wanted: view(services, picked, wanted),
        inputs=[chosen, status],
        outputs=[
            listed,
            box,
            *job.outputs,
            remove_box,
            chart_box,
            chart,
            log,
            fits,
            events,
            recipe,
        ],
    )


def listen(services: Services, page: "Page") -> None:
    jobs = page.jobs
    workspace = services.workspace

    def show(wanted: str, event: gr.EventData) -> list[Any]:
        id = str(event.value)
        return [id, *view(services, id, wanted), *confirm.closed()]

    def tick(shown: str | None, card: str | None, id: str, wanted: str) -> Any:
        job = find(services, id)
        same = list_html(services, id, wanted) == (shown or "")
        if same and (job is None or str(job_card(job)) == (card or "")):
            return gr.skip()
        return view(services, id, wanted)

    def warn(id: str) -> tuple[list[Job], str]:
        job = workspace.jobs.get(id)
        taken = size(workspace.jobs.bytes(job))
        return [job], t("jobs.remove_warning", name=job_title(job), size=taken)

    def remove(jobs: list[Job], wanted: str) -> list[Any]:
        for job in jobs:
            workspace.jobs.remove(job.id)
        return ["", *view(services, "", wanted)]

    def fitted(id: str, wanted: str, event: gr.EventData) -> list[Any]:
        job = fitting.start(services, id, event)
        return [job.id, *view(services, job.id, wanted)]

    here = [jobs.chosen, jobs.status]
    everything = [jobs.chosen, *jobs.outputs]
    on(jobs.list.select, show, jobs.status, [*everything, *jobs.remove.outputs])
    on(jobs.status.input, jobs.refresh, here, jobs.outputs)
    jobs.job.listen(services, lambda id, wanted: view(services, id, wanted), here[1:], jobs.outputs)
    # Queued, like a click: it may be refused.
    on(jobs.fitting.select, fitted, [jobs.job.shown, jobs.status], everything, queue=True)
    pulses.listen(jobs.beat, tick, [jobs.list, jobs.job.card, *here], jobs.outputs)
    get = workspace.jobs.get
    confirm.listen(jobs.remove, warn, remove, get, [jobs.chosen], everything, [jobs.status])


def view(services: Services, picked: str | None, wanted: str) -> list[Any]:
    """Updates for ``Jobs.outputs``."""
    job = find(services, picked)
    listed = list_html(services, picked, wanted)
    if job is None:
        hidden = gr.Column(visible="hidden")
        none = [EMPTY] * 3
        return [listed, hidden, *updates(EMPTY), hidden, hidden, "", "", *none]
    trains = job.task.startswith("train")
    return [
        listed,
        gr.Column(visible=True),
        *updates(job_card(job), job),
        gr.Column(visible=job.status is not JobStatus.RUNNING),
        gr.Column(visible=trains or "hidden"),
        job.id if trains else "",
        job.id,
        fitting.html(job),
        events_html(services, job),
        recipe_html(job),
    ]


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
