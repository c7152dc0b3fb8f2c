"""Quantize: measure what a model loses by being made smaller, and keep what is worth it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import form
from ui.kit.cards import job_card
from ui.kit.choices import PACKAGED, dataset_names, menu, model_menu, model_names, open_menu, update
from ui.kit.events import on, on_busy, told_at_fields
from ui.kit.job_slot import JobSlot, card_html, find, newest, updates
from ui.kit.live import on_look, pulse
from ui.kit.markup import empty, heading, piece
from ui.services import Services
from ui.tabs.quantize.shown import PANELS, lab_chart, lab_html, measured
from ui.words import sentences, t
from ui.words.amounts import ago
from workbench.errors import BadInput
from workbench.quantization.keep import keepable, keeping
from workbench.quantization.methods import MODEL_METHODS, VECTOR_METHODS
from workbench.recipes.quantize import QuantizeLabRecipe
from workbench.records import Job, JobStatus

TASK = QuantizeLabRecipe.task
POINTS = {"models": "lab.point_models", "vectors": "lab.point_vectors"}
LISTED = 30
_DRAWN = ("model", "dataset", "dataset_version", "methods", "vectors")


@dataclass(frozen=True)
class Quantize:
    services: Services
    tab: gr.Tab
    beat: gr.HTML
    model: gr.Dropdown
    dataset: gr.Dropdown
    methods: gr.CheckboxGroup
    vectors: gr.CheckboxGroup
    form: form.Form
    start: gr.Button
    job: JobSlot
    past: gr.Dropdown
    shown: gr.HTML
    models: gr.Plot
    codes: gr.Plot
    keep_box: gr.Column
    point: gr.Dropdown
    name: gr.Textbox
    keep: gr.Button
    #: The id of the job that keeps something, and the job.
    kept_id: gr.BrowserState
    kept: JobSlot
    refresh: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]

    @property
    def fields(self) -> list[Any]:
        return [self.model, self.dataset, self.methods, self.vectors, *self.form.inputs]

    def listen(self) -> None:
        listen(self.services, self)


def render(services: Services) -> Quantize:
    with gr.Tab(t("tab.quantize"), id="quantize") as tab:
        beat = pulse(services)
        piece(heading(t("lab.title"), t("lab.about")))
        with gr.Row(equal_height=False):
            model = open_menu(label=t("lab.model"), min_width=220, elem_id="lab-model")
            dataset = open_menu(label=t("lab.dataset"), min_width=220, elem_id="lab-dataset")
        methods = _several("methods", MODEL_METHODS)
        vectors = _several("vectors", VECTOR_METHODS[1:])
        drawn = form.render(QuantizeLabRecipe, skip=_DRAWN, prefix="lab")
        start = gr.Button(
            t("lab.start"), variant="primary", elem_id="lab-start", elem_classes="rw-fit"
        )
        job = JobSlot("lab-job")
        past = open_menu(label=t("lab.past"), visible=False, elem_id="lab-past")
        shown = piece(elem_id="lab-shown")
        with gr.Row(equal_height=False):
            models = gr.Plot(show_label=False, visible=False, min_width=340, elem_id="lab-models")
            codes = gr.Plot(show_label=False, visible=False, min_width=340, elem_id="lab-codes")
        with gr.Column(visible=False, elem_id="lab-keep-box") as keep_box:
            piece(Markup('<p class="rw-quiet">{}</p>').format(t("lab.keep_about")))
            with gr.Row(equal_height=False):
                point = open_menu(label=t("lab.point"), min_width=220, elem_id="lab-point")
                name = gr.Textbox(
                    label=t("lab.name"),
                    info=t("lab.name_help"),
                    max_lines=1,
                    interactive=True,
                    min_width=220,
                    elem_id="lab-name",
                )
            keep = gr.Button(t("lab.keep"), elem_id="lab-keep", elem_classes="rw-fit")
        kept_id = gr.BrowserState("", storage_key="workbench-kept", secret="workbench")
        kept = JobSlot("lab-kept")
    outputs = [model, dataset, *job.outputs, past, shown, models, codes, keep_box, point]
    outputs += kept.outputs
    return Quantize(
        services, tab, beat, model, dataset, methods, vectors, drawn, start, job, past, shown,
        models, codes,
        keep_box, point, name, keep, kept_id, kept,
        refresh=lambda *now: fill(services, *now),
        inputs=[model, dataset, past, point, kept_id],
        outputs=outputs,
    )  # fmt: skip


def _several(name: str, choices: Sequence[str]) -> gr.CheckboxGroup:
    field = QuantizeLabRecipe.model_fields[name]
    return gr.CheckboxGroup(
        [(t(f"lab.choice_{name}.{choice}"), choice) for choice in choices],
        value=field.default,
        label=form.label(name, QuantizeLabRecipe.task),
        info=sentences.said(field.description or ""),
        interactive=True,
        elem_id=f"lab-{name}",
    )


def listen(services: Services, lab: Quantize) -> None:
    jobs = services.workspace.jobs
    helps = {spec.name: spec.help for spec in lab.form.specs}

    def start(model: str, dataset: str, methods: Any, vectors: Any, *raw: Any) -> list[Any]:
        def act() -> list[Any]:
            job = jobs.submit(
                QuantizeLabRecipe.read(
                    {
                        **lab.form.values(raw),
                        "model": model or "",
                        "dataset": dataset or "",
                        "methods": methods or [],
                        "vectors": vectors or [],
                    }
                )
            )
            return now(job.id)

        return told_at_fields(act, helps, len(lab.job.outputs))

    def now(id: str) -> list[Any]:
        job = jobs.get(id)
        return updates(card_html(job), job)

    def kept(id: str) -> list[Any]:
        job = jobs.get(id)
        return updates(kept_html(job), job)

    def keep(past: str | None, point: str | None, name: str) -> list[Any]:
        found = find_lab(services, past)
        if found is None or not point:
            raise BadInput(t("lab.nothing_kept"))
        job = jobs.submit(keeping(services.workspace, found.result or {}, point, name or ""))
        return ["", job.id, *kept(job.id)]

    def look(card: str | None, kept: str | None, *now: Any) -> Any:
        model, dataset, past, point, kept_id = now
        job, keeper = newest(services, [TASK]), find(services, kept_id)
        changed = lab.job.changed(card, card_html(job), job)
        changed_kept = lab.kept.changed(kept, kept_html(keeper), keeper)
        if not (changed or changed_kept) or (job is not None and not job.status.finished):
            return {**changed, **changed_kept} or gr.skip()
        ended = changed and card and job is not None and job.status is JobStatus.SUCCEEDED
        return fill(services, model, dataset, job.id if ended and job else past, point, kept_id)

    on(lab.start.click, start, lab.fields, [*lab.job.outputs, *lab.form.inputs])
    lab.job.listen(services, now, [], lab.job.outputs)
    lab.kept.listen(services, kept, [], lab.kept.outputs)
    on(lab.past.input, lambda past: view(services, past, None), lab.past, [
        lab.past, lab.shown, lab.models, lab.codes, lab.keep_box, lab.point,
    ])  # fmt: skip
    on_busy(
        lab.keep,
        keep,
        [lab.past, lab.point, lab.name],
        [lab.name, lab.kept_id, *lab.kept.outputs],
        says=t("lab.keeping"),
        then=t("lab.keep"),
    )
    on_look(lab.beat, look, [lab.job.card, lab.kept.card, *lab.inputs], lab.outputs)
    form.listen_depends(lab.form)


def fill(
    services: Services,
    model: str | None,
    dataset: str | None,
    past: str | None,
    point: str | None,
    kept: str | None,
) -> list[Any]:
    """Updates for ``Quantize.outputs``."""
    job, keeper = newest(services, [TASK]), find(services, kept)
    return [
        model_menu(_whole(services), model or PACKAGED),
        menu(dataset_names(services.workspace), dataset),
        *updates(card_html(job), job),
        *view(services, past, point),
        *updates(kept_html(keeper), keeper),
    ]


def _whole(services: Services) -> list[str]:
    """Models that can be quantized: those that were not."""
    small = {one.name for one in services.workspace.models.list() if one.contract.get("weights")}
    return [name for name in model_names(services.workspace) if name not in small]


def view(services: Services, past: str | None, point: str | None) -> list[Any]:
    """Updates for the menu of past labs and what the chosen one measured."""
    done = labs(services)
    chosen = find_lab(services, past) or next(iter(done), None)
    choices = [(_label(job), job.id) for job in done]
    listed = update(choices, chosen.id if chosen else None, visible=len(done) > 1)
    if chosen is None:
        nothing = empty(t("lab.nothing"), t("lab.nothing_hint"))
        hidden = gr.Plot(value=None, visible=False)
        return [listed, nothing, hidden, hidden, gr.Column(visible=False), gr.skip()]
    result = chosen.result or {}
    points = keepable(result)
    return [
        listed,
        lab_html(result),
        *(_chart(result, name) for name in PANELS),
        gr.Column(visible=bool(points)),
        update(_point_labels(points), point if point in points else best(result, points)),
    ]


def _chart(result: Mapping[str, Any], name: str) -> gr.Plot:
    drawn = bool(measured(result, name))
    return gr.Plot(value=lab_chart(result, name) if drawn else None, visible=drawn)


def _point_labels(points: Sequence[str]) -> list[tuple[str, str]]:
    """'models:nf4' as 'nf4 as a model', 'vectors:binary' as 'binary as an index'."""
    pairs = (one.partition(":") for one in points)
    return [(t(POINTS[kind], name=name), f"{kind}:{name}") for kind, _, name in pairs]


def best(result: Mapping[str, Any], points: Sequence[str]) -> str | None:
    """The recommended point, of the weights before the embeddings."""
    wanted = [f"{name}:{result[f'{name}_take']}" for name in PANELS]
    return next((one for one in [*wanted, *points] if one in points), None)


def labs(services: Services) -> list[Job]:
    """The labs that measured something, newest first."""
    found = services.workspace.jobs.list(task=TASK, limit=LISTED)
    return [job for job in found if job.status is JobStatus.SUCCEEDED and job.result]


def find_lab(services: Services, id: str | None) -> Job | None:
    """That lab, if it is on record and measured something."""
    job = find(services, id, [TASK])
    return job if job and job.status is JobStatus.SUCCEEDED and job.result else None


def kept_html(job: Job | None) -> str:
    """The job that keeps what was chosen, on its way or done."""
    return str(job_card(job)) if job else ""


def _label(job: Job) -> str:
    result = job.result or {}
    return t(
        "lab.past_one",
        model=result["model"],
        dataset=result["dataset"],
        methods=", ".join(row["name"] for row in result["models"][1:]) or "–",
        when=ago(job.created_at),
    )
