"""Rows become Plotly figures, for charts that are drawn once (live ones: ``ui/kit/live.py``).

Backgrounds are clear and text is coloured by the page's CSS, so one figure serves both themes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ui.words import sentences, t

#: The first model (what the others are measured against) is grey, the second has the accent.
COLOURS = (
    *("#98a2b3", "#0d9488", "#7c9cbf", "#b08968", "#5eaaa8", "#8d99ae"),
    # Second stages make tables of more rows.
    *("#a3b18a", "#c08497", "#6d6875", "#d4a373", "#457b9d", "#84a98c"),
)


def histogram(bins: Mapping[str, Any], title: str) -> go.Figure:
    """How many texts are how long, from ``{"edges": [lower edges], "counts", "unit"}``.

    The bins widen with length and the last one is open, so they stand side by side as names.
    """
    names, counts = _filled(bins["edges"], bins["counts"])
    bars = go.Bar(
        x=names,
        y=np.asarray(counts, dtype=np.int32),
        marker_color=COLOURS[1],
        hovertemplate="%{x}: %{y:,}<extra></extra>",
    )
    figure = go.Figure(bars)
    dress(figure, title)
    unit = sentences.said(str(bins.get("unit", "characters")))
    figure.update_layout(height=300, yaxis_title=t("plot.how_many"))
    named = {"text": plain(unit), "standoff": 12}
    figure.update_xaxes(type="category", tickangle=-40, automargin=True, title=named)
    return figure


def _filled(edges: Sequence[int], counts: Sequence[int]) -> tuple[list[str], list[int]]:
    """The bins from the first to the last that holds anything, each with its name."""
    full = [at for at, count in enumerate(counts) if count]
    if not full:
        return [], []
    span = range(full[0], full[-1] + 1)
    return [_bin_name(edges, at) for at in span], [counts[at] for at in span]


def _bin_name(edges: Sequence[int], at: int) -> str:
    if at + 1 == len(edges):
        return t("plot.from", low=f"{edges[at]:,}")
    return f"{edges[at]:,}–{edges[at + 1] - 1:,}"


def grouped_bars(
    models: Sequence[str], metrics: Sequence[str], values: Sequence[Sequence[float]], title: str
) -> go.Figure:
    """One group per metric, one bar per model; ``values[model][metric]`` between -1 and 1."""
    figure = go.Figure()
    for at, model in enumerate(models):
        row = np.asarray(values[at], dtype=np.float32)
        figure.add_bar(
            x=list(metrics),
            y=row,
            name=plain(model),
            marker_color=COLOURS[at % len(COLOURS)],
            text=[f"{value:.2f}" for value in row],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{x}: %{y:.3f}<extra>" + plain(model) + "</extra>",
        )
    dress(figure, title)
    every = [float(value) for row in values for value in row]
    top, low = max(every, default=1.0), min(every, default=0.0)
    # A correlation can be below zero.
    bottom = max(-1.08, low * 1.15 - 0.02) if low < 0 else 0
    figure.update_layout(
        barmode="group", height=340, yaxis_range=[bottom, min(1.08, top * 1.15 + 0.02)]
    )
    return figure


def plain(text: str) -> str:
    """Text as Plotly shows it: its few tags are switched off, and so is its %{...} notation."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("%{", "%\u200b{")


def dress(figure: go.Figure, title: str) -> None:
    """What all figures have in common, in place."""
    figure.update_layout(
        template="none",
        title={
            "text": plain(title),
            "font": {"size": 14},
            "x": 0,
            "xanchor": "left",
            "xref": "paper",
        },
        margin={"l": 48, "r": 12, "t": 44, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12},
        legend={"orientation": "h", "y": -0.16, "x": 0},
        xaxis={"gridcolor": "rgba(128,128,128,0.2)", "zeroline": False, "automargin": True},
        yaxis={"gridcolor": "rgba(128,128,128,0.2)", "zeroline": False},
        autosize=True,
    )
