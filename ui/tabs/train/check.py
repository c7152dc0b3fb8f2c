"""Check first: what a run would be, and a few measured steps of it, beside the form."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.cards import job_card
from ui.kit.events import on
from ui.kit.job_slot import JobSlot, find, fitting_list
from ui.kit.markup import EMPTY, facts, join, piece
from ui.services import Services
from ui.tabs.train.forms import Forms, KindForm
from ui.words import sentences, t
from ui.words.amounts import count, duration, size
from workbench.checks import CheckReport, Warning_, by_rules, check
from workbench.recipes.evaluate import MeasureRecipe
from workbench.recipes.train import TrainRecipe
from workbench.records import Job, JobStatus


class Check:
    """The buttons stand in each form; what they found stands here."""

    def __init__(self, services: Services) -> None:
        self.services = services
        #: The id of the measuring job that was started last on this page.
        self.chosen = gr.BrowserState("", storage_key="workbench-measure", secret="workbench")
        self.report = piece(elem_id="train-check-report")
        self.measured = JobSlot("train-measured")

    def listen(self, forms: Forms) -> None:
        for one in forms.each:
            self._listen_to(one)

        def stopped(id: str) -> dict[Any, Any]:
            job = self.services.workspace.jobs.get(id)
            return self.measured.show(card_html(job), job)

        self.measured.listen(self.services, stopped, [], self.measured.outputs)

    def _listen_to(self, one: KindForm) -> None:
        workspace, fields = self.services.workspace, one.form.inputs

        def look(*raw: Any) -> dict[Any, Any]:
            def act() -> dict[Any, Any]:
                return {self.report: str(report_html(check(workspace, _recipe(one, raw))))}

            return one.form.answer(act)

        def measure(*raw: Any) -> dict[Any, Any]:
            def act() -> dict[Any, Any]:
                recipe = _recipe(one, raw)
                report = str(report_html(check(workspace, recipe)))
                plain, *_ = by_rules(workspace, recipe)
                job = workspace.jobs.submit(MeasureRecipe.of(plain))
                card = self.measured.show(card_html(job), job)
                return {self.chosen: job.id, self.report: report, **card}

            return one.form.answer(act)

        measured = [self.chosen, self.report, *self.measured.outputs]
        on(one.check.click, look, fields, [self.report, *fields])
        on(one.measure.click, measure, fields, [*measured, *fields])

    def changed(self, id: str, html: str | None) -> dict[Any, Any]:
        """What a look after the measuring job changes; ``html`` is what stands in ``measured``."""
        job = find(self.services, id, [MeasureRecipe.task])
        return self.measured.changed(html, card_html(job), job)


def _recipe(one: KindForm, raw: Any) -> TrainRecipe:
    recipe = one.form.read(*raw)
    assert isinstance(recipe, TrainRecipe)  # the forms of Train are those of its kinds
    return recipe


def card_html(job: Job | None) -> str:
    """The measuring job while it runs or failed, or what it measured."""
    if job is None:
        return str(EMPTY)
    done = job.status is JobStatus.SUCCEEDED
    return measured_html(job.result or {}) if done else join([job_card(job), fitting_list(job)])


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
