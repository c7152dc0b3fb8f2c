"""Charts of pipelines and of single queries, drawn once."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ui.plots import COLOURS, dress, plain
from ui.words import t
from workbench.comparison.matrix import pipeline_name, value_at
from workbench.comparison.names import label

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
