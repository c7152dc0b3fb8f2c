"""One pipeline matrix as it is shown: the job while it runs, then the table and the chart."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.charts import matrix_chart
from ui.kit.choices import update
from ui.kit.job_slot import card_html, updates
from ui.kit.markup import EMPTY, empty, heading, join, quiet_lines, table
from ui.services import Services
from ui.tabs.compare_links import links
from ui.words import t
from ui.words.amounts import count
from ui.words.metrics import label
from workbench.comparison.matrix import (
    MEASURED,
    PUBLISHED,
    best_at,
    notes,
    pipeline_rows,
    to_markdown,
    to_published,
    value_at,
)
from workbench.records import Job, JobStatus

#: Instead of a top k: the table as rerankers are published.
AS_PUBLISHED = 0


def matrix_view(services: Services, job: Job | None) -> list[Any]:
    """Updates for one matrix."""
    nothing = [gr.Row(visible=False), gr.skip()]
    if job is None:
        hint = empty(t("matrix.empty"), t("matrix.empty_hint"))
        return [*updates(EMPTY), *nothing, hint, *_nomeasured_result()]
    found = measured_result(job)
    if found is None:
        return [*updates(card_html(job), job), *nothing, EMPTY, *_nomeasured_result()]
    deepest = max(found["top_k"])
    choices: list[Any] = [(t("matrix.at", k=k), k) for k in found["top_k"]]
    choices.append((t("matrix.published", k=deepest), AS_PUBLISHED))
    return [
        *updates(card_html(job), job),
        gr.Row(visible=True),
        update(choices, deepest),
        table_html(found, deepest),
        links(services, job),
        gr.Row(visible=True),
        gr.Plot(value=matrix_chart(found, MEASURED[0]), visible=True),
        markdown_at(found, deepest),
    ]


def _nomeasured_result() -> list[Any]:
    """Nothing to take away, no actions, no chart, no text to copy."""
    return [EMPTY, gr.Row(visible=False), gr.Plot(value=None, visible=False), ""]


def measured_result(job: Job | None) -> Mapping[str, Any] | None:
    return job.result if job and job.status is JobStatus.SUCCEEDED and job.result else None


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
    return join([heading(str(result["dataset"]), about), drawn, quiet_lines(notes(result))])


def _at(result: Mapping[str, Any], k: int) -> Markup:
    heads = [t("matrix.retriever"), t("matrix.reranker")]
    heads += [label(f"{metric}@{k}") for metric in MEASURED] + [t("matrix.took")]
    rows = []
    for row in result["rows"]:
        values = (_value(value_at(row, name, k), best_at(result, name, k)) for name in MEASURED)
        rows.append([*_names(row), *values, _took(row["milliseconds"])])
    numeric = range(2, len(heads))
    return table(heads, rows, caption=t("matrix.caption"), numeric=numeric, stacked=True)


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
