"""One comparison as it is shown: the job while it runs, then the table, its legend and a chart."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.cards import job_card
from ui.choices import dataset_names
from ui.markup import EMPTY, badge, empty, heading, join, table
from ui.plots import grouped_bars
from ui.services import Services
from ui.words import t
from ui.words.amounts import count
from workbench.comparison.names import HEADLINE, label
from workbench.comparison.table import Row, Table, build_table, to_csv, to_markdown
from workbench.records import Job, JobStatus


def view(services: Services, job: Job | None) -> list[Any]:
    """Updates for ``Compare.result``."""
    if job is None:
        hint = t("compare.empty_hint" if dataset_names(services.workspace) else "compare.no_data")
        nothing = empty(t("compare.empty"), hint)
        return [EMPTY, gr.Button(visible=False), nothing, *_no_result()]
    running = gr.Button(visible=not job.status.finished)
    if job.status is not JobStatus.SUCCEEDED or not job.result:
        return [card_html(job), running, EMPTY, *_no_result()]
    measured = build_table(job.result)
    return [
        card_html(job),
        running,
        table_html(measured, job.result),
        gr.Row(visible=True),
        gr.Plot(value=chart(measured), visible=True),
        to_markdown(measured),
        to_csv(measured),
    ]


def _no_result() -> list[Any]:
    return [gr.Row(visible=False), gr.Plot(value=None, visible=False), "", ""]


def card_html(job: Job) -> str:
    """The job while it runs or when it failed; a finished one is its table."""
    return EMPTY if job.status is JobStatus.SUCCEEDED else str(job_card(job))


def chart(measured: Table) -> Any:
    return grouped_bars(
        [row.model for row in measured.rows],
        measured.labels,
        [row.values for row in measured.rows],
        t("compare.chart_title", dataset=measured.dataset, split=t(f"split.{measured.split}")),
    )


def table_html(measured: Table, result: Mapping[str, Any]) -> Markup:
    """Models as rows, metrics as columns, and what each difference is worth."""
    documents = result.get("documents")
    queries = measured.rows[0].queries if measured.rows else 0
    about = t("compare.measured", split=t(f"split.{measured.split}"), queries=count(queries))
    if documents:
        about = t("compare.measured_over", about=about, documents=count(documents))
    model = t("compare.model_searched" if measured.staged else "compare.model")
    verdict = [] if measured.staged else [t("compare.verdict")]
    heads = [model, *measured.labels, t("compare.difference"), *verdict]
    numeric = range(1, len(measured.labels) + 1)
    rows = [_cells(row, measured) for row in measured.rows]
    drawn = table(heads, rows, caption=t("compare.caption"), numeric=numeric)
    return join([heading(measured.dataset, about), drawn, _legend(measured)])


def short_table(result: Mapping[str, Any]) -> Markup:
    """The headline only: two models, one number each, and the verdict."""
    measured = build_table(result)
    at = measured.metrics.index(HEADLINE) if HEADLINE in measured.metrics else 0
    heads = [t("compare.model"), measured.labels[at], t("compare.difference"), t("compare.verdict")]
    rows = [[row.model, _value(row, at), *_difference(row, measured)] for row in measured.rows]
    return table(heads, rows, caption=t("compare.caption"), numeric=[1])


def _cells(row: Row, measured: Table) -> list[str]:
    model = row.model
    if measured.staged:
        # Below the name, as the verdict is above the difference: more columns would not be seen.
        model = Markup('{}<br><span class="rw-quiet rw-small">{}</span>').format(
            row.model, searched_words(row.searched)
        )
    values = (_value(row, at) for at in range(len(row.values)))
    difference, verdict = _difference(row, measured)
    compared = [verdict + difference] if measured.staged else [difference, verdict]
    return [model, *values, *compared]


def searched_words(searched: str) -> str:
    """What was searched, in the page's words; the record keeps it in English."""
    top, _, stage = searched.partition(" of ")
    if searched == "all documents":
        return t("compare.searched_all")
    if searched == "the query's own candidates":
        return t("compare.searched_own")
    if stage and top.startswith("top "):
        return t("compare.searched_top", count=top.removeprefix("top "), stage=stage)
    return searched


def _value(row: Row, at: int) -> Markup:
    shape = "<strong>{}</strong>" if row.best[at] else "{}"
    return Markup(shape).format(f"{row.values[at]:.3f}")


def _difference(row: Row, measured: Table) -> list[str]:
    one = row.comparison
    if one is None:
        first_stage = row.kind == "first-stage"
        return [t("compare.stage_order" if first_stage else "compare.reference"), EMPTY]
    tone = "" if one.p_value >= 0.05 else "good" if one.delta > 0 else "bad"
    text = Markup('<span class="rw-difference">{}</span>').format(one.text)
    if measured.staged:
        against = Markup('<span class="rw-quiet rw-small">{}</span>')
        text += against.format(t("compare.against", against=one.against))
    return [text, badge(one.verdict, tone)]


def _legend(measured: Table) -> Markup:
    found = [row.comparison for row in measured.rows if row.comparison]
    if not found:
        return EMPTY
    one = next((one for one in found if not one.second_stage), None)
    lines = [
        t("compare.legend", metric=label(one.metric), against=one.against)
        if one
        else t("compare.legend_stage_only", metric=label(found[0].metric))
    ]
    if any(one.second_stage for one in found):
        lines.append(t("compare.legend_stage"))
    return Markup('<p class="rw-quiet rw-small">{}</p>').format(" ".join(lines))
