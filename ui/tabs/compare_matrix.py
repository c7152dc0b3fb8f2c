"""The pipeline matrix: retrievers x rerankers x top k, as one table and one chart."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui import form
from ui.cards import job_card
from ui.choices import model_names, models_menu, update
from ui.feedback import QUICK, on, on_busy
from ui.markup import EMPTY, empty, heading, join, piece, table
from ui.plots_matrix import matrix_chart
from ui.services import Services
from ui.tabs.compare_copy import copy_button
from ui.tabs.compare_past import find
from ui.tabs.compare_sections import Section
from ui.words import t
from ui.words.amounts import count
from workbench.comparison.matrix import (
    MEASURED,
    PUBLISHED,
    best_at,
    pipeline_rows,
    to_markdown,
    to_published,
    value_at,
)
from workbench.comparison.names import label
from workbench.evaluation.named import BM25
from workbench.recipes.matrix import MatrixRecipe
from workbench.records import Job, JobStatus

#: Instead of a top k: the table as rerankers are published.
AS_PUBLISHED = 0
SECOND_STAGES = ("reranker", "late-interaction")
_KNOWN = ("dataset", "split", "dataset_version")


def section(services: Services) -> Section:
    with gr.Accordion(t("matrix.title"), open=False, elem_id="compare-matrix") as box:
        piece(heading(t("matrix.title"), t("matrix.about")))
        drawn = form.render(MatrixRecipe, skip=_KNOWN, prefix="matrix")
        with gr.Row(elem_classes="rw-actions"):
            start = gr.Button(t("matrix.start"), elem_id="matrix-start")
            cancel = gr.Button(t("job.cancel"), variant="stop", visible=False)
        card = piece(elem_id="matrix-job")
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
        with gr.Row(visible=False, elem_classes="rw-actions") as actions:
            copy = gr.Button(t("matrix.copy"), size="sm", elem_id="matrix-copy")
        plot = gr.Plot(
            label=t("matrix.title"), visible=False, show_label=False, elem_id="matrix-plot"
        )
        markdown = gr.Textbox(visible=False, label=t("matrix.copy"))
        job_id = gr.Textbox(visible=False, label=t("matrix.title"))
    menus = [drawn.components["retrievers"], drawn.components["rerankers"]]
    result = [card, cancel, choose, at, shown, actions, plot, markdown, job_id]
    jobs = services.workspace.jobs

    def view(job: Job | None) -> list[Any]:
        return matrix_view(job)

    def fill(dataset: str | None, first: list[str], second: list[str]) -> list[Any]:
        return [*menu_updates(services, first, second), *view(newest(services, dataset))]

    def begin(dataset: str | None, split: str, *raw: Any) -> list[Any]:
        values = {**drawn.values(raw), "dataset": dataset or "", "split": split}
        return view(jobs.submit(MatrixRecipe.read(values)))

    def stop(id: str) -> list[Any]:
        return view(jobs.cancel(id))

    def look(id: str | None, before: str | None) -> dict[Any, Any]:
        job = find(services, id)
        if job is None or card_html(job) == (before or ""):
            return {}
        return dict(zip(result, view(job), strict=True))

    def pick(id: str, k: int) -> list[Any]:
        found = _result(find(services, id))
        return [table_html(found, k), markdown_at(found, k)] if found else [EMPTY, ""]

    def draw(id: str, name: str) -> Any:
        found = _result(find(services, id))
        return matrix_chart(found, name) if found else None

    def wire(compare: Any) -> None:
        on(box.expand, fill, [compare.dataset, *menus], [*menus, *result])
        on(compare.dataset.input, fill, [compare.dataset, *menus], [*menus, *result])
        on_busy(
            start,
            begin,
            [compare.dataset, compare.split, *drawn.inputs],
            result,
            says=t("matrix.starting"),
            then=t("matrix.start"),
        )
        on(cancel.click, stop, job_id, result)
        on(at.input, pick, [job_id, at], [shown, markdown])
        on(metric.input, draw, [job_id, metric], plot)
        copy_button(copy, markdown, t("matrix.copy"), QUICK)

    return Section([], lambda _job: [], wire, [job_id, card], look, result)


def menu_updates(services: Services, first: list[str], second: list[str]) -> list[Any]:
    """BM25 is always offered, and chosen at first."""
    models = services.workspace.models.list()
    kinds = {model.name: model.kind for model in models}
    names = [
        name
        for name in model_names(services.workspace)
        if kinds.get(name, "") == "embedding" or name not in kinds
    ]
    seconds = [name for name, kind in kinds.items() if kind in SECOND_STAGES]
    chosen = first or [BM25, *names[:2]]
    return [models_menu([BM25, *names], chosen), models_menu(seconds, second)]


def newest(services: Services, dataset: str | None) -> Job | None:
    """The data set's newest matrix: one under way, or the last that was measured."""
    found = services.workspace.jobs.about(dataset or "", MatrixRecipe.task)
    return found[0] if found else None


def matrix_view(job: Job | None) -> list[Any]:
    """Updates for one matrix."""
    nothing = [gr.Row(visible=False), gr.skip()]
    if job is None:
        hint = empty(t("matrix.empty"), t("matrix.empty_hint"))
        return [EMPTY, gr.Button(visible=False), *nothing, hint, *_no_result(), ""]
    running = gr.Button(visible=not job.status.finished)
    found = _result(job)
    if found is None:
        return [card_html(job), running, *nothing, EMPTY, *_no_result(), job.id]
    deepest = max(found["top_k"])
    choices: list[Any] = [(t("matrix.at", k=k), k) for k in found["top_k"]]
    choices.append((t("matrix.published", k=deepest), AS_PUBLISHED))
    return [
        EMPTY,
        running,
        gr.Row(visible=True),
        update(choices, deepest),
        table_html(found, deepest),
        gr.Row(visible=True),
        gr.Plot(value=matrix_chart(found, MEASURED[0]), visible=True),
        markdown_at(found, deepest),
        job.id,
    ]


def _no_result() -> list[Any]:
    return [gr.Row(visible=False), gr.Plot(value=None, visible=False), ""]


def _result(job: Job | None) -> Mapping[str, Any] | None:
    return job.result if job and job.status is JobStatus.SUCCEEDED and job.result else None


def card_html(job: Job) -> str:
    return EMPTY if job.status is JobStatus.SUCCEEDED else str(job_card(job))


def markdown_at(result: Mapping[str, Any], k: int) -> str:
    return to_published(result) if int(k) == AS_PUBLISHED else to_markdown(result, int(k))


def table_html(result: Mapping[str, Any], k: int) -> Markup:
    """One top k, or all as published."""
    about = t(
        "matrix.measured",
        queries=count(result["queries"]),
        split=t(f"split.{result['split']}"),
        documents=count(result["documents"]),
        candidates=count(result["candidates"]),
    )
    drawn = _published(result) if int(k) == AS_PUBLISHED else _at(result, int(k))
    return join([heading(str(result["dataset"]), about), drawn])


def _at(result: Mapping[str, Any], k: int) -> Markup:
    heads = [t("matrix.retriever"), t("matrix.reranker")]
    heads += [label(f"{metric}@{k}") for metric in MEASURED] + [t("matrix.took")]
    rows = []
    for row in result["rows"]:
        values = (_value(value_at(row, name, k), best_at(result, name, k)) for name in MEASURED)
        rows.append([*_names(row), *values, _took(row["milliseconds"])])
    return table(heads, rows, caption=t("matrix.caption"), numeric=range(2, len(heads)))


def _published(result: Mapping[str, Any]) -> Markup:
    tops = [f"top_{k}" for k in result["top_k"]]
    heads = [t("matrix.retriever"), t("matrix.reranker"), t("matrix.metric"), *tops]
    rows = [
        [*_names(row), name, *(f"{value_at(row, name, k):.4f}" for k in result["top_k"])]
        for row in pipeline_rows(result)
        for name in PUBLISHED
    ]
    return table(heads, rows, caption=t("matrix.caption"), numeric=range(3, len(heads)))


def _names(row: Mapping[str, Any]) -> list[str]:
    return [str(row["retriever"]), str(row["reranker"] or t("matrix.none"))]


def _value(value: float, best: float) -> Markup:
    shape = "<strong>{}</strong>" if round(value, 3) == best else "{}"
    return Markup(shape).format(f"{value:.3f}")


def _took(milliseconds: Mapping[str, float]) -> Markup:
    words = {
        "encode": t("matrix.encode", ms=_ms(milliseconds.get("encode", 0.0))),
        "search": t("matrix.search", ms=_ms(milliseconds.get("search", 0.0))),
        "rerank": t("matrix.rerank", ms=_ms(milliseconds.get("rerank", 0.0))),
    }
    parts = [text for stage, text in words.items() if stage in milliseconds]
    whole = _ms(milliseconds["total"])
    if len(parts) < 2:
        return Markup("{}").format(whole)
    quiet = Markup('{}<br><span class="rw-quiet rw-small">{}</span>')
    return quiet.format(whole, Markup("<br>").join(parts))


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds < 100 else f"{milliseconds:,.0f}"
