"""Rows become Plotly figures, for charts that are drawn once (live ones: ``ui/kit/live.py``).

Backgrounds are clear and text is coloured by the page's CSS, so one figure serves both themes.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ui.words import sentences, t
from workbench.comparison.matrix import pipeline_name, value_at
from workbench.comparison.names import label
from workbench.reports.gather import Curve

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


# What embeddings are worth when they are cut, in one chart that is drawn once.


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


# Charts of pipelines and of single queries, drawn once.

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
GAINED, LOST, SAME = "#0d9488", "#c2410c", "#98a2b3"
#: With more queries than this the points say their values only, and are drawn by WebGL.
NAMED = 2000


def matrix_chart(result: Mapping[str, Any], metric: str) -> go.Figure:
    """A line per pipeline: a metric by top k. A colour per retriever, a dash per reranker."""
    figure = go.Figure()
    retrievers = list(dict.fromkeys(row["retriever"] for row in result["rows"]))
    rerankers = list(dict.fromkeys(row["reranker"] for row in result["rows"]))
    for row in result["rows"]:
        name = plain(pipeline_name(row))
        figure.add_scatter(
            x=np.asarray(result["top_k"], dtype=np.int32),
            y=np.asarray([value_at(row, metric, k) for k in result["top_k"]], dtype=np.float32),
            name=name,
            mode="lines+markers",
            line={
                "color": COLOURS[retrievers.index(row["retriever"]) % len(COLOURS)],
                "dash": _DASHES[rerankers.index(row["reranker"]) % len(_DASHES)],
            },
            hovertemplate="top %{x}: %{y:.3f}<extra>" + name + "</extra>",
        )
    dress(figure, t("matrix.chart_title", metric=label(metric)))
    figure.update_layout(height=380, showlegend=True, legend={"y": -0.24})
    figure.update_xaxes(title={"text": t("matrix.chart_k"), "standoff": 8}, tickformat="d", dtick=1)
    return figure


def scatter(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    names: Sequence[str],
    axes: tuple[str, str],
    queries: Sequence[int] | None = None,
) -> go.Figure:
    """A dot per pair of values: where queries stood before and stand after. Above the diagonal they
    gained.

    Many queries have the very same two values (found first in both, say), and would hide one
    another: they are one dot, larger the more they are. ``before``, ``after``: (n,), of ``names``;
    a dot carries the first of its ``queries`` (rows; else places), for who clicks it.
    """
    figure = go.Figure()
    delta = after - before
    kinds = (
        (delta > 0, GAINED, t("explore.chart_gain")),
        (delta < 0, LOST, t("explore.chart_loss")),
        (delta == 0, SAME, t("explore.chart_same")),
    )
    for chosen, colour, name in kinds:
        rows = np.flatnonzero(chosen)
        x, y, first, counts = _piles(before[rows], after[rows])
        rows_of_dots = [int(rows[at]) for at in first]
        said = [_pile_words(names[rows[at]], n) for at, n in zip(first, counts, strict=True)]
        # As SVG it is drawn, and can be clicked, where a browser has no WebGL; large dots are whole
        # at the edge, too.
        few = len(x) <= NAMED
        dots = partial(go.Scatter, cliponaxis=False) if few else go.Scattergl
        found = dots(
            x=x,
            y=y,
            name=f"{name} ({len(rows):,})",
            mode="markers",
            # A dot's area grows with its pile, up to a size that does not hide its neighbours.
            marker={
                "color": colour,
                "size": np.minimum(7 * np.sqrt(counts), 34).astype(np.float32),
                "opacity": 0.65,
                "line": {"width": 0},
            },
            text=said,
            customdata=[queries[at] if queries is not None else at for at in rows_of_dots],
            hovertemplate="%{x:.3f} → %{y:.3f}<br>%{text}<extra></extra>",
        )
        figure.add_trace(found)
    figure.add_shape(
        type="line", x0=0, y0=0, x1=1, y1=1, line={"color": SAME, "width": 1, "dash": "dot"}
    )
    dress(figure, t("explore.chart_title"))
    figure.update_layout(height=420, showlegend=True, legend={"y": -0.2})
    figure.update_xaxes(range=[-0.05, 1.05], title={"text": plain(axes[0]), "standoff": 8})
    figure.update_yaxes(range=[-0.05, 1.05], title={"text": plain(axes[1])})
    return figure


def _piles(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], list[int], NDArray[np.int64]]:
    """Points at the same place (to three decimals): x and y, the first of each, and how many."""
    places = np.round(np.column_stack([x, y]), 3)
    found, first, counts = np.unique(places, axis=0, return_index=True, return_counts=True)
    at = found.astype(np.float32)
    return at[:, 0], at[:, 1], first.tolist(), counts


def _pile_words(name: str, count: int) -> str:
    if count == 1:
        return plain(name)
    many = t("explore.pile", count=f"{count:,}")
    return f"{many}: {plain(name)}, …" if name else many
