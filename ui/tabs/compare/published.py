"""The table people publish: Model | Original | Finetuned, one row per base model."""

from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import QUICK
from ui.kit.markup import EMPTY, join, piece, quiet_lines, table
from ui.services import Services
from ui.tabs.compare.section import Section, copy_button, measured
from ui.words import t
from ui.words.amounts import count
from workbench.comparison.names import HEADLINE, label
from workbench.errors import NotFound
from workbench.records import Job
from workbench.reports.gather import (
    PublishedRow,
    published,
    published_markdown,
    published_notes,
)


def section(services: Services) -> Section:
    with gr.Accordion(
        t("compare.published"), open=False, visible=False, elem_id="compare-published"
    ) as box:
        shown = piece(elem_id="compare-published-table")
        copy = gr.Button(t("compare.published_copy"), size="sm", elem_id="compare-published-copy")
        markdown = gr.Textbox(visible=False, label=t("compare.published_copy"))

    def show(job: Job | None) -> list[Any]:
        done = measured(job)
        if done is None:
            return [gr.Accordion(visible=False), EMPTY, gr.skip(), ""]
        dataset, split = str(done.recipe["dataset"]), str(done.recipe.get("split", "test"))
        try:
            # A data set that was removed, or whose name another one has now, has no rows.
            services.workspace.datasets.get(dataset)
            rows = published(services.workspace, dataset, split)
        except NotFound:
            rows = []
        return [
            gr.Accordion(visible=True),
            published_html(rows, dataset, split),
            gr.Button(visible=bool(rows)),
            published_markdown(rows),
        ]

    def wire(_compare: Any) -> None:
        copy_button(copy, markdown, t("compare.published_copy"), QUICK)

    return Section([box, shown, copy, markdown], show, wire)


def published_html(rows: list[PublishedRow], dataset: str, split: str) -> Markup:
    quiet = Markup('<p class="rw-quiet rw-small">{}</p>')
    if not rows:
        return quiet.format(t("compare.published_none"))
    about = t(
        "compare.published_about",
        metric=label(HEADLINE),
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
