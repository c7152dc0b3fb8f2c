"""The pipeline matrix: retrievers x rerankers x top k, as one table and one chart."""

from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import form
from ui.kit.charts import matrix_chart
from ui.kit.choices import model_names, models_menu, open_menu, update
from ui.kit.events import QUICK, on, on_busy
from ui.kit.job_slot import JobSlot, card_html, find
from ui.kit.markup import EMPTY, piece
from ui.services import Services
from ui.tabs.compare_copy import copy_button
from ui.tabs.compare_matrix_shown import (
    markdown_at,
    matrix_view,
    measured_result,
    table_html,
)
from ui.tabs.compare_past import LISTED
from ui.tabs.compare_sections import Section, measured
from ui.tabs.explorer import Explorer
from ui.words import t
from ui.words.amounts import ago
from ui.words.metrics import label
from workbench.comparison.matrix import MEASURED
from workbench.evaluation.named import BM25
from workbench.model_kinds import first_stages, scoring
from workbench.recipes.evaluate import MatrixRecipe
from workbench.records import Job

_KNOWN = ("dataset", "split", "dataset_version")


def section(services: Services) -> Section:
    with gr.Accordion(t("matrix.title"), open=False, elem_id="compare-matrix") as box:
        piece(Markup('<p class="rw-quiet">{}</p>').format(t("matrix.about")))
        drawn = form.render(MatrixRecipe, skip=_KNOWN, prefix="matrix")
        start = gr.Button(t("matrix.start"), elem_id="matrix-start", elem_classes="rw-fit")
        past = open_menu(
            label=t("matrix.past"), info=t("matrix.past_help"), elem_id="matrix-past", visible=False
        )
        slot = JobSlot("matrix-job")
        with gr.Row(visible=False, equal_height=False) as choose:
            at = gr.Dropdown(
                [], label=t("matrix.show"), interactive=True, elem_id="matrix-at", min_width=180
            )
            metric = gr.Dropdown(
                [(label(name), name) for name in MEASURED],
                value=MEASURED[0],
                label=t("matrix.chart_metric"),
                interactive=True,
                min_width=180,
                elem_id="matrix-metric",
            )
        shown = piece(elem_id="matrix-table")
        takeaway = piece(elem_id="matrix-takeaway")
        with gr.Row(visible=False, elem_classes="rw-actions") as actions:
            copy = gr.Button(t("matrix.copy"), size="sm", elem_id="matrix-copy")
        plot = gr.Plot(
            label=t("matrix.title"), visible=False, show_label=False, elem_id="matrix-plot"
        )
        markdown = gr.Textbox(visible=False, label=t("matrix.copy"))
        explorer = Explorer(services, "matrix-explore", "matrix-explorer")
    menus = [drawn.components["retrievers"], drawn.components["rerankers"]]
    table = [*slot.outputs, choose, at, shown, takeaway, actions, plot, markdown]
    result = [*table, metric, *explorer.outputs]
    jobs = services.workspace.jobs

    def view(job: Job | None) -> list[Any]:
        return [*matrix_view(services, job), MEASURED[0], *explorer.show(measured(job))]

    def fill(
        dataset: str | None,
        first: list[str],
        second: list[str],
        shown: str | None,
        before: str | None,
    ) -> list[Any]:
        found = chosen(services, dataset, shown)
        own = past_menu(services, dataset, found.id if found else None)
        # Unfolded again: what is chosen in it stays.
        same = found is not None and (found.id, str(card_html(found))) == (shown, before)
        matrix = [gr.skip()] * len(result) if same else view(found)
        return [*menu_updates(services, first, second), own, *matrix]

    def begin(dataset: str | None, split: str, *raw: Any) -> list[Any]:
        values = {**drawn.values(raw), "dataset": dataset or "", "split": split}

        def act() -> list[Any]:
            job = jobs.submit(MatrixRecipe.read(values))
            return [past_menu(services, dataset, job.id), *view(job)]

        return drawn.told(act, 1 + len(result))

    def look(id: str | None, before: str | None) -> dict[Any, Any]:
        job = find(services, id)
        if job is None or card_html(job) == (before or ""):
            return {}
        updates = dict(zip(result, view(job), strict=True))
        return {past: past_menu(services, str(job.recipe["dataset"]), job.id), **updates}

    def pick(id: str, k: int) -> list[Any]:
        found = measured_result(find(services, id))
        return [table_html(found, k), markdown_at(found, k)] if found else [EMPTY, ""]

    def draw(id: str, name: str) -> Any:
        found = measured_result(find(services, id))
        return matrix_chart(found, name) if found else None

    def wire(compare: Any) -> None:
        inputs = [compare.dataset, *menus, slot.shown, slot.card]
        on(box.expand, fill, inputs, [*menus, past, *result])
        on(compare.dataset.input, fill, inputs, [*menus, past, *result])
        on_busy(
            start,
            begin,
            [compare.dataset, compare.split, *drawn.inputs],
            [past, *result, *drawn.inputs],
            says=t("matrix.starting"),
            then=t("matrix.start"),
        )
        slot.listen(services, lambda id: view(jobs.get(id)), [], result)
        on(past.input, lambda id: view(find(services, id)), past, result)
        on(at.input, pick, [slot.shown, at], [shown, markdown])
        on(metric.input, draw, [slot.shown, metric], plot)
        copy_button(copy, markdown, t("matrix.copy"), QUICK)
        explorer.wire(slot.shown)

    return Section([], lambda _job: [], wire, [slot.shown, slot.card], look, [past, *result])


def menu_updates(services: Services, first: list[str], second: list[str]) -> list[Any]:
    """BM25 is always offered, and chosen at first."""
    models = services.workspace.models.list()
    kinds = {model.name: model.kind for model in models}
    names = [
        name
        for name in model_names(services.workspace)
        if kinds.get(name, "") in first_stages() or name not in kinds
    ]
    seconds = [name for name, kind in kinds.items() if kind in scoring()]
    chosen = first or [BM25, *names[:2]]
    return [models_menu([BM25, *names], chosen), models_menu(seconds, second)]


def matrices(services: Services, dataset: str | None) -> list[Job]:
    """The data set's matrices, newest first."""
    return services.workspace.jobs.about(dataset or "", MatrixRecipe.task)[:LISTED]


def chosen(services: Services, dataset: str | None, shown: str | None) -> Job | None:
    """The matrix that is shown, if it is about the data set; else its newest: one under way, or
    the last that was measured."""
    found = matrices(services, dataset)
    return next((job for job in found if job.id == shown), next(iter(found), None))


def past_menu(services: Services, dataset: str | None, shown: str | None) -> dict[str, Any]:
    """An update of the menu of earlier matrices."""
    choices = [(_past_words(job), job.id) for job in matrices(services, dataset)]
    return update(choices, shown, visible=bool(choices))


def _past_words(job: Job) -> str:
    second = ", ".join(job.recipe.get("rerankers") or ())
    places = {
        "retrievers": ", ".join(job.recipe["retrievers"]),
        "split": t(f"split.{job.recipe['split']}"),
        "status": t(f"status.{job.status.value}"),
        "when": ago(job.created_at),
    }
    if second:
        return t("matrix.past_one", rerankers=second, **places)
    return t("matrix.past_alone", **places)
