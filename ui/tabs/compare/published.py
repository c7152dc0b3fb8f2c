"""The table people publish: Model | Original | Finetuned, one row per base model."""

from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.markup import EMPTY, join, piece, quiet_lines, table
from ui.tabs.compare.section import CopyButton, Section, Shown
from ui.words import t
from ui.words.amounts import count
from ui.words.sentences import metric_label
from workbench.comparison.names import HEADLINE
from workbench.errors import NotFound
from workbench.records import Job
from workbench.reports.gather import (
    PublishedRow,
    published,
    published_markdown,
    published_notes,
)


class PublishedSection(Section):
    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(
            t("compare.published"), open=False, visible=False, elem_id="compare-published"
        ) as self.box:
            self.table = piece(elem_id="compare-published-table")
            self.copy = CopyButton(t("compare.published_copy"), "compare-published-copy")
        self.outputs = [self.box, self.table, self.copy.button, self.copy.text]

    def listen(self) -> None:
        self.copy.listen()

    def view(self, job: Job | None, _stays: bool) -> dict[Any, Any]:
        if job is None:
            return {self.box: gr.Accordion(visible=False), self.table: EMPTY, self.copy.text: ""}
        dataset, split = str(job.recipe["dataset"]), str(job.recipe.get("split", "test"))
        try:
            # A data set that was removed, or whose name another one has now, has no rows.
            self.workspace.datasets.get(dataset)
            rows = published(self.workspace, dataset, split)
        except NotFound:
            rows = []
        return {
            self.box: gr.Accordion(visible=True),
            self.table: published_html(rows, dataset, split),
            self.copy.button: gr.Button(visible=bool(rows)),
            self.copy.text: published_markdown(rows),
        }


def published_html(rows: list[PublishedRow], dataset: str, split: str) -> Markup:
    quiet = Markup('<p class="rw-quiet rw-small">{}</p>')
    if not rows:
        return quiet.format(t("compare.published_none"))
    about = t(
        "compare.published_about",
        metric=metric_label(HEADLINE),
        split=t(f"split.{split}"),
        dataset=dataset,
    )
    original, finetuned = t("compare.published_original"), t("compare.published_finetuned")
    heads = [t("compare.model"), original, finetuned]
    drawn = table(heads, map(_row, rows), caption=t("compare.published"), numeric=[1, 2])
    return join([quiet.format(about), drawn, quiet_lines(published_notes(rows))])


def _row(row: PublishedRow) -> list[str]:
    best = max(row.original, row.finetuned)
    values = [
        Markup("<strong>{:.3f}</strong>" if value == best else "{:.3f}").format(value)
        for value in (row.original, row.finetuned)
    ]
    which = t(
        "compare.published_trained",
        name=row.trained,
        version=row.version,
        queries=count(row.queries),
    )
    model = Markup('{}<br><span class="rw-quiet rw-small">{}</span>').format(row.model, which)
    return [model, *values]
