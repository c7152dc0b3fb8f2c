"""What embeddings are worth when they are cut, in one chart that is drawn once."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ui.plots import COLOURS, dress, plain
from ui.words import t
from workbench.comparison.names import label
from workbench.reports.gather import Curve


def dimension_chart(curves: Sequence[Curve]) -> go.Figure:
    """A line per model: the metric by the number of dimensions, each number one step apart."""
    figure = go.Figure()
    sizes = sorted({size for one in curves for size, _ in one.points})
    for at, one in enumerate(curves):
        figure.add_scatter(
            x=[str(size) for size, _ in one.points],
            y=np.asarray([value for _, value in one.points], dtype=np.float32),
            name=plain(one.model),
            mode="lines+markers",
            # The same colours as in the chart of the models above.
            line={"color": COLOURS[at % len(COLOURS)]},
            hovertemplate="%{x}: %{y:.3f}<extra>" + plain(one.model) + "</extra>",
        )
    dress(figure, t("compare.dimensions_title"))
    figure.update_layout(height=320, showlegend=True)
    named = {"text": t("compare.dimensions"), "standoff": 12}
    order = [str(size) for size in sizes]
    figure.update_xaxes(type="category", categoryarray=order, title=named)
    figure.update_yaxes(title={"text": label(curves[0].metric)})
    return figure
