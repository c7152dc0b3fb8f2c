"""The first screen: what this is, and one button that runs the sample from end to end.

What is shown is read from the store (the newest sample run), so a reload, a second window or a
restart of the app shows the same.
"""

from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.cards import error_text, job_badge, progress_bar, progress_text, result_text
from ui.kit.choices import PACKAGED
from ui.kit.events import on
from ui.kit.live import live_chart, on_look, pulse
from ui.kit.markup import EMPTY, empty, join, piece
from ui.kit.results import short_table
from ui.services import Services
from ui.words import t
from workbench import demo
from workbench.comparison.names import HEADLINE
from workbench.records import Job, JobStatus

STATES = {JobStatus.QUEUED: "waiting", JobStatus.RUNNING: "running", JobStatus.SUCCEEDED: "done"}


class StartTab:
    """The sample run, step by step, and what it leads to."""

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Tab(t("tab.start"), id="start") as self.tab:
            self.beat = pulse(services)
            piece(_lead())
            with gr.Row(elem_classes="rw-actions"):
                self.run = gr.Button(t("start.run"), variant="primary", elem_id="start-run")
                self.own = gr.Button(t("start.own"), elem_id="start-own")
                self.cancel = gr.Button(
                    t("start.cancel"), variant="stop", visible=False, elem_id="start-cancel"
                )
            #: The id of the last job of the sample run that is shown.
            self.shown = gr.Textbox("", visible=False, label=t("tab.start"))
            self.steps = piece(elem_id="start-steps")
            self.comparison = piece(elem_id="start-comparison")
            with gr.Row(visible=False, elem_classes="rw-actions") as self.links:
                self.to_search = gr.Button(t("start.to_search"), elem_id="start-to-search")
                self.to_compare = gr.Button(t("start.to_compare"))
                self.to_train = gr.Button(t("start.to_train"))
                self.to_data = gr.Button(t("start.to_data"))
            with gr.Column(visible="hidden") as self.chart_box:
                self.chart = live_chart(services, elem_id="start-chart")
        self.inputs = [self.steps]
        self.outputs = [
            *(self.run, self.cancel, self.shown, self.steps),
            *(self.chart_box, self.chart, self.comparison, self.links),
        ]

    def listen(self) -> None:
        clicked = on(self.run.click, busy_run, None, self.run)
        on(clicked.then, self._start, None, self.outputs)
        on(self.cancel.click, self._cancel, self.shown, self.outputs)
        on_look(self.beat, self.refresh, self.inputs, self.outputs)

    def _start(self) -> Any:
        demo.start(self.services.workspace)
        return self.refresh(None)

    def _cancel(self, id: str) -> Any:
        workspace = self.services.workspace
        for job in reversed(demo.find(workspace, id).jobs):
            if not job.status.finished:
                workspace.jobs.cancel(job.id)
        return self.refresh(None)

    def refresh(self, shown: str | None) -> Any:
        """A skip where the steps read as ``shown``."""
        run = demo.latest(self.services.workspace)
        baseline = baseline_of(self.services, run.train) if run else None
        html = str(steps_html(run, baseline))
        if html == shown:
            return gr.skip()
        active = run is not None and any(not job.status.finished for job in run.jobs)
        train = run.train if run else None
        started = train is not None and train.started_at is not None
        done = bool(run and run.index.status is JobStatus.SUCCEEDED)
        label = "start.running" if active else "start.again" if run else "start.run"
        return {
            self.run: gr.Button(value=t(label), interactive=not active),
            self.cancel: gr.Button(visible=active),
            self.shown: run.index.id if run else "",
            self.steps: html,
            self.chart_box: gr.Column(visible=started or "hidden"),
            self.chart: train.id if train and started else "",
            self.comparison: comparison_html(run),
            self.links: gr.Row(visible=done),
        }


def busy_run() -> gr.Button:
    return gr.Button(value=t("start.starting"), interactive=False)


def comparison_html(run: demo.DemoJobs | None) -> str:
    """Original and fine-tuned on the test queries, once they are measured."""
    if run is None or run.evaluate.status is not JobStatus.SUCCEEDED:
        return EMPTY
    return short_table(run.evaluate.result or {})


def steps_html(run: demo.DemoJobs | None, baseline: float | None = None) -> Markup:
    """The five steps, each with where it stands. ``baseline``: the headline on dev, once known."""
    if run is None:
        return empty(t("start.nothing"), t("start.nothing_hint"))
    steps = [
        _step(1, t("start.step_data"), run.sample, _data_line(run)),
        _baseline(run.train, baseline),
        _training(run.train, baseline),
        _step(4, t("start.step_compare"), run.evaluate, _compare_line(run.evaluate)),
        _step(5, t("start.step_search"), run.index),
    ]
    return Markup('<ol class="rw-steps">{}</ol>').format(join(steps))


def baseline_of(services: Services, train: Job) -> float | None:
    """What the original measures on dev: the run's first row of numbers."""
    for row in services.workspace.jobs.metrics(train.id, 0, 5):
        if row.kind == "baseline":
            return row.values.get(HEADLINE)
    return None


def _data_line(run: demo.DemoJobs) -> str:
    if run.sample is None:
        return t("start.data_there")
    return result_text(run.sample) if run.sample.status is JobStatus.SUCCEEDED else ""


def _compare_line(job: Job) -> str:
    if job.status is not JobStatus.SUCCEEDED:
        return ""
    return t("start.compared", queries=(job.result or {})["rows"][0]["queries"])


def _baseline(train: Job, baseline: float | None) -> Markup:
    """The baseline is the training job's first part: measured before the first step."""
    title = t("start.step_baseline")
    if baseline is not None:
        line = t("start.baseline_value", value=f"{baseline:.3f}")
        return _item(2, "done", title, EMPTY, _paragraph(line))
    if train.status is JobStatus.RUNNING:
        return _item(2, "running", title, job_badge(train), _body(train))
    hint = t("start.baseline_hint", model=PACKAGED)
    return _item(2, "waiting", title, EMPTY, _paragraph(hint))


def _training(train: Job, baseline: float | None) -> Markup:
    title = t("start.step_train")
    if baseline is None and train.status is JobStatus.RUNNING:
        return _item(3, "waiting", title, EMPTY, EMPTY)
    return _step(3, title, train)


def _step(number: int, title: str, job: Job | None, line: str = "") -> Markup:
    if job is None:
        return _item(number, "done", title, EMPTY, _paragraph(line))
    state = STATES.get(job.status, "failed")
    mark = EMPTY if state in ("waiting", "done") else job_badge(job)
    return _item(number, state, title, mark, _paragraph(line) if line else _body(job))


def _body(job: Job) -> Markup:
    if job.status is JobStatus.RUNNING:
        return join([_paragraph(progress_text(job)), progress_bar(job)])
    if job.status is JobStatus.QUEUED:
        return EMPTY
    return _paragraph(error_text(job.error) if job.error else result_text(job))


def _paragraph(text: str) -> Markup:
    return Markup("<p>{}</p>").format(text) if text else EMPTY


def _item(number: int, state: str, title: str, mark: Markup, body: Markup) -> Markup:
    sign = {"done": "✓", "failed": "!"}.get(state, str(number))
    return Markup(
        '<li class="{}"><span class="mark" aria-hidden="true">{}</span>'
        '<div><h3>{}{} <span class="rw-hidden">{}</span></h3>{}</div></li>'
    ).format(state, sign, title, mark, t(f"start.state_{state}"), body)


def _lead() -> Markup:
    lines = join(Markup("<p>{}</p>").format(t(f"start.line_{n}")) for n in (1, 2, 3))
    return Markup('<div class="rw-lead"><h2>{}</h2>{}</div>').format(t("start.title"), lines)
