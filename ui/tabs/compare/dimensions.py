"""The curve of a comparison whose models were also measured with fewer dimensions."""

from typing import Any

import gradio as gr

from ui.kit.charts import dimension_chart
from ui.tabs.compare.section import Section, Shown
from ui.words import t
from workbench.records import Job
from workbench.reports.gather import curves


class DimensionsSection(Section):
    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        self.plot = gr.Plot(
            label=t("compare.dimensions_title"),
            visible=False,
            show_label=False,
            elem_id="compare-dimensions-plot",
        )
        self.outputs = [self.plot]

    def view(self, job: Job | None, _stays: bool) -> dict[Any, Any]:
        found = curves(job.result or {}, str(job.recipe.get("metric", "map@100"))) if job else []
        drawn = dimension_chart(found) if found else None
        return {self.plot: gr.Plot(value=drawn, visible=bool(found))}

    def listen(self) -> None:
        """Nothing in it can be pressed."""
