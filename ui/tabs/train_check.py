"""Check first: what a run would be, and a few measured steps of it, beside the form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from markupsafe import Markup

from ui.cards import job_card
from ui.feedback import on
from ui.job_slot import JobSlot, find, updates
from ui.markup import EMPTY, facts, join, piece
from ui.services import Services
from ui.tabs import fitting, train_form
from ui.words import sentences, t
from ui.words.amounts import count, duration, size
from workbench.checks import CheckReport, Warning_, check
from workbench.recipes.evaluate import MeasureRecipe
from workbench.recipes.train import TrainRecipe
from workbench.records import Job, JobStatus

if TYPE_CHECKING:
    from ui.tabs.train import Train


@dataclass(frozen=True)
class Check:
    """The buttons stand in each form; what they found stands here."""

    #: The id of the measuring job that was started last on this page.
    chosen: gr.BrowserState
    report: gr.HTML
    measured: JobSlot


def render() -> Check:
    chosen = gr.BrowserState("", storage_key="workbench-measure", secret="workbench")
    return Check(chosen, piece(elem_id="train-check-report"), JobSlot("train-measured"))


def listen(services: Services, train: "Train") -> None:
    part, workspace = train.check, services.workspace

    def wire(one: train_form.KindForm) -> None:
        fields = one.form.inputs
        measured = [part.chosen, part.report, *part.measured.outputs]

        def look(*raw: Any) -> list[Any]:
            def act() -> list[Any]:
                return [str(report_html(check(workspace, _recipe(one, raw))))]

            return one.form.told(act, 1)

        def measure(*raw: Any) -> list[Any]:
            def act() -> list[Any]:
                recipe = _recipe(one, raw)
                report = str(report_html(check(workspace, recipe)))
                job = workspace.jobs.submit(MeasureRecipe.of(recipe))
                return [job.id, report, *updates(card_html(job), job)]

            return one.form.told(act, len(measured))

        on(one.check.click, look, fields, [part.report, *fields])
        on(one.measure.click, measure, fields, [*measured, *fields])

    def view(id: str) -> list[Any]:
        job = workspace.jobs.get(id)
        return updates(card_html(job), job)

    for one in train.forms.each:
        wire(one)
    part.measured.listen(services, view, [], part.measured.outputs)


def _recipe(one: train_form.KindForm, raw: Any) -> TrainRecipe:
    recipe = one.form.read(*raw)
    assert isinstance(recipe, TrainRecipe)  # the forms of Train are those of its kinds
    return recipe


def changed(services: Services, part: Check, id: str, html: str | None) -> dict[Any, Any]:
    """What a look after the measuring job changes; ``html`` is what stands in ``measured``."""
    job = find(services, id, [MeasureRecipe.task])
    return part.measured.changed(html, card_html(job), job)


def card_html(job: Job | None) -> str:
    """The measuring job while it runs or failed, or what it measured."""
    if job is None:
        return str(EMPTY)
    done = job.status is JobStatus.SUCCEEDED
    return measured_html(job.result or {}) if done else join([job_card(job), fitting.listed(job)])


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
