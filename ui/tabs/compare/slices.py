"""A comparison by kinds of queries: length, language, script, number of relevant documents."""

from functools import lru_cache
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.choices import update
from ui.kit.events import on
from ui.kit.job_slot import find
from ui.kit.markup import EMPTY, join, piece, table
from ui.tabs.compare.section import Section, Shown
from ui.words import sentences, t
from ui.words.amounts import count
from ui.words.sentences import metric_label
from workbench.comparison.names import HEADLINE, METRICS
from workbench.comparison.slices import Slicing, mean_text
from workbench.comparison.table import build_table
from workbench.records import Job
from workbench.reports.gather import slices_of


class SlicesSection(Section):
    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(
            t("compare.by_kind"), open=False, visible=False, elem_id="compare-slices"
        ) as self.box:
            self.metric = gr.Dropdown(
                [(metric_label(name), name) for name in METRICS.names()],
                value=HEADLINE,
                label=t("compare.by_metric"),
                interactive=True,
                elem_id="compare-slices-metric",
            )
            self.tables = piece(elem_id="compare-slices-tables")
        self.outputs = [self.box, self.metric, self.tables]
        # What was measured never changes, so it is read once.
        self._drawn = lru_cache(maxsize=64)(self._draw)

    def listen(self) -> None:
        for listener in (self.metric.input, self.box.expand):
            on(listener, self._drawn, [self.shown.id, self.metric], self.tables)

    def _draw(self, job: str, metric: str) -> Markup:
        found = find(self.services, job)
        result = (found.result if found else None) or {}
        return slices_html(slices_of(self.workspace, result, metric))

    def view(self, job: Job | None, stays: bool) -> dict[Any, Any]:
        if stays:
            return {}
        names = build_table(job.result or {}).metrics if job else ()
        if job is None or not names:
            return {self.box: gr.Accordion(visible=False), self.tables: EMPTY}
        wanted = str(job.recipe.get("metric", HEADLINE))
        chosen = wanted if wanted in names else names[0]
        return {
            # Drawn when it is opened: telling the languages of many queries takes seconds.
            self.box: gr.Accordion(visible=True, open=False),
            self.metric: update([(metric_label(name), name) for name in names], chosen),
            self.tables: EMPTY,
        }


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
    interval = Markup('{} <span class="rw-quiet rw-small">{}</span>')
    rows = [
        [
            sentences.said(part.name),
            count(part.queries),
            *(interval.format(*mean_text(*value).split(" ", 1)) for value in part.values),
        ]
        for part in one.slices
    ]
    heads = [words[one.by], t("compare.by_queries"), *map(sentences.row_said, one.models)]
    return table(heads, rows, caption=words[one.by], numeric=range(1, len(heads)))
