"""The runs of a sweep in one chart: each run's dev metric by step, the baseline dashed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from ui.plots import COLOURS, dress, plain
from ui.words import t

#: Runs that end before the last colour is used twice still differ by their line's marks.
MARKS = ("circle", "square", "diamond", "cross")


@dataclass(frozen=True, slots=True)
class Curve:
    """One run: its name and its dev values by step, ascending."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]


def sweep_chart(
    curves: Sequence[Curve], baselines: Mapping[str, float], metric: str, title: str
) -> go.Figure:
    """``baselines``: name -> value; one where all runs began from the same, else one each."""
    figure = go.Figure()
    colours = COLOURS[1:]
    for at, curve in enumerate(curves):
        figure.add_scatter(
            x=np.asarray(curve.steps, dtype=np.int32),
            y=np.asarray(curve.values, dtype=np.float32),
            name=plain(curve.name),
            mode="lines+markers",
            line={"color": colours[at % len(colours)]},
            marker={"symbol": MARKS[at // len(colours) % len(MARKS)]},
            hovertemplate="%{x}: %{y:.3f}<extra>" + plain(curve.name) + "</extra>",
        )
    for name, value in baselines.items():
        figure.add_hline(
            y=value,
            line={"dash": "dash", "color": COLOURS[0]},
            annotation={"text": plain(f"{name} {value:.3f}"), "font": {"size": 11}},
        )
    dress(figure, title)
    figure.update_layout(height=360, showlegend=True)
    figure.update_xaxes(title={"text": t("sweep.step"), "standoff": 12})
    figure.update_yaxes(title={"text": plain(metric), "standoff": 12}, automargin=True)
    return figure
