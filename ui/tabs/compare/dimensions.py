"""The curve of a comparison whose models were also measured with fewer dimensions."""

from typing import Any

import gradio as gr

from ui.kit.charts import dimension_chart
from ui.services import Services
from ui.tabs.compare.section import Section, measured
from ui.words import t
from workbench.records import Job
from workbench.reports.gather import curves


def section(_services: Services) -> Section:
    plot = gr.Plot(
        label=t("compare.dimensions_title"),
        visible=False,
        show_label=False,
        elem_id="compare-dimensions-plot",
    )
    return Section([plot], show, lambda _compare: None)


def show(job: Job | None) -> list[Any]:
    done = measured(job)
    found = curves(done.result or {}, str(done.recipe.get("metric", "map@100"))) if done else []
    return [gr.Plot(value=dimension_chart(found) if found else None, visible=bool(found))]
