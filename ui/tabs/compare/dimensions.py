"""The curve of a comparison whose models were also measured with fewer dimensions."""

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go

from ui.kit.charts import COLOURS, dress, plain
from ui.tabs.compare.section import Section, Shown
from ui.words import sentences, t
from ui.words.sentences import metric_label
from workbench.records import Job
from workbench.reports.gather import Curve, curves


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


def dimension_chart(curves: Sequence[Curve]) -> go.Figure:
    """A line per model: the metric by the number of dimensions, each number one step apart."""
    figure = go.Figure()
    sizes = sorted({size for one in curves for size, _ in one.points})
    for at, one in enumerate(curves):
        name = plain(sentences.row_said(one.model))
        figure.add_scatter(
            x=[str(size) for size, _ in one.points],
            y=np.asarray([value for _, value in one.points], dtype=np.float32),
            name=name,
            mode="lines+markers",
            # The same colours as in the chart of the models above.
            line={"color": COLOURS[at % len(COLOURS)]},
            hovertemplate="%{x}: %{y:.3f}<extra>"
            + plain(sentences.row_said(one.model))
            + "</extra>",
        )
    dress(figure, t("compare.dimensions_title"))
    figure.update_layout(height=320, showlegend=True)
    named = {"text": t("compare.dimensions"), "standoff": 12}
    order = [str(size) for size in sizes]
    figure.update_xaxes(type="category", categoryarray=order, title=named)
    figure.update_yaxes(title={"text": metric_label(curves[0].metric)})
    return figure
