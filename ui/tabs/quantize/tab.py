"""Quantize: measure what a model loses by being made smaller, and keep what is worth it."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import form
from ui.kit.cards import job_card
from ui.kit.choices import PACKAGED, dataset_names, menu, model_menu, model_names, open_menu, update
from ui.kit.events import on, on_busy
from ui.kit.job_slot import JobSlot, card_html, find, newest, succeeded
from ui.kit.live import on_look, pulse
from ui.kit.markup import empty, heading, piece
from ui.services import Services
from ui.tabs.quantize.shown import PANELS, lab_chart, lab_html, rows_of
from ui.words import sentences, t
from ui.words.amounts import ago
from workbench.errors import BadInput
from workbench.models.quantized import QUANTIZATION_METHODS
from workbench.quantization.prepare import keepable, keeping
from workbench.recipes.quantize import VECTOR_METHODS, QuantizeLabRecipe
from workbench.records import Job, JobStatus

TASK = QuantizeLabRecipe.task
POINTS = {"models": "lab.point_models", "vectors": "lab.point_vectors"}
LISTED = 30
_DRAWN = ("model", "dataset", "dataset_version", "methods", "vectors")


class QuantizeTab:
    """What to measure, what was measured, and below it what to keep."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.workspace = services.workspace
        with gr.Tab(t("tab.quantize"), id="quantize") as self.tab:
            self.beat = pulse(services)
            piece(heading(t("lab.title"), t("lab.about")))
            with gr.Row(equal_height=False):
                self.model = open_menu(label=t("lab.model"), min_width=220, elem_id="lab-model")
                self.dataset = open_menu(
                    label=t("lab.dataset"), min_width=220, elem_id="lab-dataset"
                )
            self.methods = _several("methods", weight_formats())
            self.vectors = _several(
                "vectors", {name: t(f"lab.choice_vectors.{name}") for name in VECTOR_METHODS[1:]}
            )
            self.form = form.render(QuantizeLabRecipe, skip=_DRAWN, prefix="lab")
            self.start = gr.Button(
                t("lab.start"), variant="primary", elem_id="lab-start", elem_classes="rw-fit"
            )
            self.job = JobSlot("lab-job")
            self.past = open_menu(label=t("lab.past"), visible=False, elem_id="lab-past")
            self.shown = piece(elem_id="lab-shown")
            with gr.Row(equal_height=False):
                about: dict[str, Any] = {"show_label": False, "visible": False, "min_width": 340}
                self.charts = {
                    "models": gr.Plot(elem_id="lab-models", **about),
                    "vectors": gr.Plot(elem_id="lab-codes", **about),
                }
            with gr.Column(visible=False, elem_id="lab-keep-box") as self.keep_box:
                self._draw_keeping()
            #: The id of the job that keeps something, and the job.
            self.kept_id = gr.BrowserState("", storage_key="workbench-kept", secret="workbench")
            self.kept = JobSlot("lab-kept")
        #: What shows one lab.
        self.result = [
            *(self.past, self.shown, *self.charts.values(), self.keep_box, self.point),
        ]
        self.inputs = [self.model, self.dataset, self.past, self.point, self.kept_id]
        self.outputs = [
            *(self.model, self.dataset, *self.job.outputs, *self.result, *self.kept.outputs),
        ]

    def _draw_keeping(self) -> None:
        piece(Markup('<p class="rw-quiet">{}</p>').format(t("lab.keep_about")))
        with gr.Row(equal_height=False):
            self.point = open_menu(label=t("lab.point"), min_width=220, elem_id="lab-point")
            self.name = gr.Textbox(
                label=t("lab.name"),
                info=t("lab.name_help"),
                max_lines=1,
                interactive=True,
                min_width=220,
                elem_id="lab-name",
            )
        self.keep = gr.Button(t("lab.keep"), elem_id="lab-keep", elem_classes="rw-fit")

    def listen(self) -> None:
        fields = [self.model, self.dataset, self.methods, self.vectors, *self.form.inputs]
        on(self.start.click, self._start, fields, [*self.job.outputs, *self.form.inputs])
        self.job.listen(self.services, self._now, [], self.job.outputs)
        self.kept.listen(self.services, self._now_kept, [], self.kept.outputs)
        on(self.past.input, self.view, self.past, self.result)
        on_busy(
            self.keep,
            self._keep,
            [self.past, self.point, self.name],
            [self.name, self.kept_id, *self.kept.outputs],
            says=t("lab.keeping"),
            then=t("lab.keep"),
        )
        cards = [self.job.card, self.kept.card]
        on_look(self.beat, self._look, [*cards, *self.inputs], self.outputs)
        form.listen_depends(self.form)

    def _start(
        self, model: str, dataset: str, methods: Any, vectors: Any, *raw: Any
    ) -> dict[Any, Any]:
        def act() -> dict[Any, Any]:
            values = {
                **self.form.values(raw),
                "model": model or "",
                "dataset": dataset or "",
                "methods": methods or [],
                "vectors": vectors or [],
            }
            return self._now(self.workspace.jobs.submit(QuantizeLabRecipe.read(values)).id)

        return self.form.answer(act)

    def _now(self, id: str) -> dict[Any, Any]:
        job = self.workspace.jobs.get(id)
        return self.job.show(card_html(job), job)

    def _now_kept(self, id: str) -> dict[Any, Any]:
        job = self.workspace.jobs.get(id)
        return self.kept.show(kept_html(job), job)

    def _keep(self, past: str | None, point: str | None, name: str) -> dict[Any, Any]:
        found = find_lab(self.services, past)
        if found is None or not point:
            raise BadInput(t("lab.nothing_kept"))
        recipe = keeping(self.workspace, found.result or {}, point, name or "")
        id = self.workspace.jobs.submit(recipe).id
        return {self.name: "", self.kept_id: id, **self._now_kept(id)}

    def _look(self, card: str | None, kept: str | None, *now: Any) -> Any:
        model, dataset, past, point, kept_id = now
        job, keeper = newest(self.services, [TASK]), find(self.services, kept_id)
        changed = self.job.changed(card, card_html(job), job)
        changed_kept = self.kept.changed(kept, kept_html(keeper), keeper)
        if not (changed or changed_kept) or (job is not None and not job.status.finished):
            return {**changed, **changed_kept} or gr.skip()
        ended = changed and card and job is not None and job.status is JobStatus.SUCCEEDED
        return self.refresh(model, dataset, job.id if ended and job else past, point, kept_id)

    def refresh(
        self,
        model: str | None,
        dataset: str | None,
        past: str | None,
        point: str | None,
        kept: str | None,
    ) -> dict[Any, Any]:
        job, keeper = newest(self.services, [TASK]), find(self.services, kept)
        return {
            self.model: model_menu(_whole(self.services), model or PACKAGED),
            self.dataset: menu(dataset_names(self.workspace), dataset),
            **self.job.show(card_html(job), job),
            **self.view(past, point),
            **self.kept.show(kept_html(keeper), keeper),
        }

    def view(self, past: str | None, point: str | None = None) -> dict[Any, Any]:
        """The menu of past labs and what the chosen one measured."""
        done = labs(self.services)
        chosen = find_lab(self.services, past) or next(iter(done), None)
        choices = [(_label(job), job.id) for job in done]
        listed = update(choices, chosen.id if chosen else None, visible=len(done) > 1)
        result = (chosen.result if chosen else None) or {}
        charts = {chart: _chart(result, name) for name, chart in self.charts.items()}
        if chosen is None:
            nothing = empty(t("lab.nothing"), t("lab.nothing_hint"))
            hidden = gr.Column(visible=False)
            return {self.past: listed, self.shown: nothing, **charts, self.keep_box: hidden}
        points = keepable(result)
        kept = point if point in points else best(result, points)
        return {
            self.past: listed,
            self.shown: lab_html(result),
            **charts,
            self.keep_box: gr.Column(visible=bool(points)),
            self.point: update(_point_labels(points), kept),
        }


def weight_formats() -> dict[str, str]:
    """What the quantization methods are called, by name."""
    return {one.name: sentences.said(one.label) for one in QUANTIZATION_METHODS.all()}


def _several(name: str, labels: Mapping[str, str]) -> gr.CheckboxGroup:
    field = QuantizeLabRecipe.model_fields[name]
    return gr.CheckboxGroup(
        [(label, choice) for choice, label in labels.items()],
        value=field.default,
        label=form.label(name, TASK),
        info=sentences.said(field.description or ""),
        interactive=True,
        elem_id=f"lab-{name}",
    )


def _whole(services: Services) -> list[str]:
    """Models that can be quantized: those that were not."""
    small = {one.name for one in services.workspace.models.list() if one.contract.get("weights")}
    return [name for name in model_names(services.workspace) if name not in small]


def _chart(result: Mapping[str, Any], name: str) -> gr.Plot:
    drawn = bool(rows_of(result, name))
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
    return list(filter(succeeded, services.workspace.jobs.list(task=TASK, limit=LISTED)))


def find_lab(services: Services, id: str | None) -> Job | None:
    """That lab, if it is on record and measured something."""
    return succeeded(find(services, id, [TASK]))


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
