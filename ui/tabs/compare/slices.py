"""A comparison by kinds of queries: length, language, script, number of relevant documents."""

from functools import lru_cache
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.choices import update
from ui.kit.events import on
from ui.kit.job_slot import find
from ui.kit.markup import EMPTY, join, piece, table
from ui.services import Services
from ui.tabs.compare.section import Section, measured
from ui.words import sentences, t
from ui.words.amounts import count
from ui.words.metrics import label
from workbench.comparison.names import HEADLINE, METRICS
from workbench.comparison.slices import Slicing
from workbench.comparison.table import build_table
from workbench.records import Job
from workbench.reports.gather import slices_of


def section(services: Services) -> Section:
    with gr.Accordion(
        t("compare.by_kind"), open=False, visible=False, elem_id="compare-slices"
    ) as box:
        metric = gr.Dropdown(
            [(label(name), name) for name in METRICS.names()],
            value=HEADLINE,
            label=t("compare.by_metric"),
            interactive=True,
            elem_id="compare-slices-metric",
        )
        tables = piece(elem_id="compare-slices-tables")

    @lru_cache(maxsize=64)
    def drawn(job: str, metric: str) -> Markup:
        # What was measured never changes, so it is read once.
        found = find(services, job)
        result = (found.result if found else None) or {}
        return slices_html(slices_of(services.workspace, result, metric))

    def show(job: Job | None) -> list[Any]:
        done = measured(job)
        names = build_table(done.result or {}).metrics if done else ()
        if done is None or not names:
            return [gr.Accordion(visible=False), gr.skip(), EMPTY]
        wanted = str(done.recipe.get("metric", HEADLINE))
        chosen = wanted if wanted in names else names[0]
        choices = [(label(name), name) for name in names]
        # Drawn when it is opened: telling the languages of many queries takes seconds.
        return [gr.Accordion(visible=True, open=False), update(choices, chosen), EMPTY]

    def wire(compare: Any) -> None:
        # The comparison shown may be the newest without having been chosen.
        for listener in (metric.input, box.expand):
            on(listener, drawn, [compare.job.shown, metric], tables)

    return Section([box, metric, tables], show, wire, again=lambda _job: [gr.skip()] * 3)


def slices_html(found: list[Slicing]) -> Markup:
    quiet = Markup('<p class="rw-quiet rw-small">{}</p>')
    if not found:
        return quiet.format(t("compare.by_kind_none"))
    return join([quiet.format(t("compare.by_kind_help")), *map(_table, found), *_note(found)])


def _note(found: list[Slicing]) -> list[Markup]:
    """What is to be known of a language that is told by a program."""
    if not any(one.by == "language" for one in found):
        return []
    return [Markup('<p class="rw-quiet rw-small">{}</p>').format(t("slices.language_help"))]


def _table(one: Slicing) -> Markup:
    words = {
        "length": t("compare.by_length"),
        "language": t("slices.language"),
        "script": t("compare.by_script"),
        "relevant": t("compare.by_relevant"),
    }
    interval = Markup('{:.3f} <span class="rw-quiet rw-small">[{:.3f}, {:.3f}]</span>')
    rows = [
        [
            sentences.said(part.name),
            count(part.queries),
            *(interval.format(*value) for value in part.values),
        ]
        for part in one.slices
    ]
    heads = [words[one.by], t("compare.by_queries"), *one.models]
    return table(heads, rows, caption=words[one.by], numeric=range(1, len(heads)))
