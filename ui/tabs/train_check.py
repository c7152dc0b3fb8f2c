"""Check first: what a run would be, and a few measured steps of it, beside the form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from markupsafe import Markup

from ui.cards import job_card
from ui.feedback import on
from ui.markup import EMPTY, facts, join, piece
from ui.services import Services
from ui.tabs import fitting, train_form
from ui.words import sentences, t
from ui.words.amounts import count, duration, size
from workbench.checks import CheckReport, Warning_, check
from workbench.errors import JobNotFound
from workbench.recipes.measure import MeasureRecipe
from workbench.recipes.train import TrainRecipe
from workbench.records import Job, JobStatus

if TYPE_CHECKING:
    from ui.tabs.train import Train


@dataclass(frozen=True)
class Check:
    """The buttons stand in each form; what they found stands here."""

    #: The id of the measuring job that is shown.
    job: gr.BrowserState
    report: gr.HTML
    measured: gr.HTML
    stop: gr.Button

    @property
    def shown(self) -> list[Any]:
        """What shows the measuring job."""
        return [self.measured, self.stop]


def render() -> Check:
    job = gr.BrowserState("", storage_key="workbench-measure", secret="workbench")
    report = piece(elem_id="train-check-report")
    measured = piece(elem_id="train-measured")
    stop = gr.Button(
        t("job.cancel"), size="sm", variant="stop", visible=False, elem_id="train-measure-stop"
    )
    return Check(job, report, measured, stop)


def listen(services: Services, train: "Train") -> None:
    part, workspace = train.check, services.workspace

    def wire(one: train_form.KindForm) -> None:
        fields = one.form.inputs
        measured = [part.job, part.report, *part.shown]

        def look(*raw: Any) -> list[Any]:
            def act() -> list[Any]:
                return [str(report_html(check(workspace, _recipe(one, raw))))]

            return one.form.told(act, 1)

        def measure(*raw: Any) -> list[Any]:
            def act() -> list[Any]:
                recipe = _recipe(one, raw)
                report = str(report_html(check(workspace, recipe)))
                job = workspace.jobs.submit(MeasureRecipe.of(recipe))
                return [job.id, report, *view(job)]

            return one.form.told(act, len(measured))

        on(one.check.click, look, fields, [part.report, *fields])
        on(one.measure.click, measure, fields, [*measured, *fields])

    def cancel(id: str) -> list[Any]:
        return view(workspace.jobs.cancel(id))

    for one in train.forms.each:
        wire(one)
    on(part.stop.click, cancel, part.job, part.shown)


def _recipe(one: train_form.KindForm, raw: Any) -> TrainRecipe:
    recipe = one.form.read(*raw)
    assert isinstance(recipe, TrainRecipe)  # the forms of Train are those of its kinds
    return recipe


def find(services: Services, id: str | None) -> Job | None:
    try:
        job = services.workspace.jobs.get(id) if id else None
    except JobNotFound:
        return None
    return job if job is not None and job.task == MeasureRecipe.task else None


def changed(services: Services, part: Check, id: str, html: str) -> dict[Any, Any]:
    """What a look after the measuring job changes; ``html`` is what stands in ``measured``."""
    found = view(find(services, id))
    return {} if found[0] == html else dict(zip(part.shown, found, strict=True))


def view(job: Job | None) -> list[Any]:
    """Updates for ``Check.shown``."""
    if job is None:
        return [str(EMPTY), gr.Button(visible=False)]
    done = job.status is JobStatus.SUCCEEDED
    html = measured_html(job.result or {}) if done else join([job_card(job), fitting.listed(job)])
    return [str(html), gr.Button(visible=not job.status.finished)]


def report_html(report: CheckReport) -> Markup:
    """What the run would be, the warnings first."""
    warned = join(_warning(one) for one in report.warnings)
    notes = join(
        Markup('<p class="rw-quiet">{}</p>').format(sentences.said(note)) for note in report.notes
    )
    return _card(t("check.title"), join([warned, facts(_about(report)), notes]))


def _card(title: str, body: Markup) -> Markup:
    return Markup('<article class="rw-card"><header><h3>{}</h3></header>{}</article>').format(
        title, body
    )


def _warning(one: Warning_) -> Markup:
    said = map(sentences.said, (one.message, one.mend))
    return Markup('<p class="error"><strong>{}</strong> {}</p>').format(*said)


def _about(report: CheckReport) -> dict[str, str]:
    found = {
        t("check.rows"): t("check.rows_value", rows=count(report.rows), steps=count(report.steps)),
        t("check.batch"): t("check.texts", texts=count(report.texts_per_batch))
        if report.tokens_per_batch is None
        else t(
            "check.tokens",
            texts=count(report.texts_per_batch),
            tokens=count(report.tokens_per_batch),
        ),
    }
    for one in report.lengths:
        name = t("check.queries" if one.role == "query" else "check.documents")
        found[name] = t(
            "check.length",
            mean=f"{one.mean:.0f}",
            p95=count(one.p95),
            cut=f"{one.cut:.0%}",
            limit=count(one.limit),
        )
    return found | _sizes(report)


def _sizes(report: CheckReport) -> dict[str, str]:
    found = {}
    if report.parameters is not None:
        trained = report.parameters if report.trainable is None else report.trainable
        found[t("check.parameters")] = t(
            "check.trained", trained=count(trained), all=count(report.parameters)
        )
    if report.memory is not None:
        found[t("check.memory")] = size(report.memory.total)
    if report.available is not None:
        found[t("check.free")] = size(report.available)
    return found


def measured_html(found: Mapping[str, Any]) -> Markup:
    """What a few steps took, and what the whole run would take."""
    shown = {
        t("check.speed"): t(
            "check.speed_value",
            samples=f"{found['samples_per_second']:.1f}",
            seconds=f"{found['seconds_per_step']:.2f}",
            steps=count(found["steps"]),
        ),
        t("check.peak"): _peak(found),
    }
    if found["estimated_memory"] is not None:
        shown[t("check.memory")] = size(found["estimated_memory"])
    key = "check.whole_value" if found["dev_evaluations"] else "check.whole_alone"
    dev = {"dev": count(found["dev_evaluations"])} if found["dev_evaluations"] else {}
    shown[t("check.whole")] = t(
        key, time=duration(found["expected_seconds"]), steps=count(found["total_steps"]), **dev
    )
    notes = join(
        Markup('<p class="rw-quiet">{}</p>').format(sentences.said(note)) for note in found["notes"]
    )
    return _card(t("check.measured"), join([facts(shown), notes]))


def _peak(found: Mapping[str, Any]) -> str:
    if found["device"] == "cpu":
        before = size(found["memory_before"])
        return t("check.peak_process", most=size(found["peak_memory"]), before=before)
    return t("check.peak_gpu", most=size(found["peak_memory"]))
