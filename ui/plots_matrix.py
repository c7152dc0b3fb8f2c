"""Charts of pipelines and of single queries, drawn once."""

from collections.abc import Mapping, Sequence
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
#: With more queries than this the points say their values only.
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
) -> go.Figure:
    """A point per query: its value before and after. Above the diagonal it gained."""
    figure = go.Figure()
    delta = after - before
    kinds = (
        (delta > 0, GAINED, t("explore.chart_gain")),
        (delta < 0, LOST, t("explore.chart_loss")),
        (delta == 0, SAME, t("explore.chart_same")),
    )
    for chosen, colour, name in kinds:
        rows = np.flatnonzero(chosen)
        said = [plain(names[at]) for at in rows.tolist()] if len(names) <= NAMED else None
        figure.add_scattergl(
            x=before[rows].astype(np.float32),
            y=after[rows].astype(np.float32),
            name=f"{name} ({len(rows):,})",
            mode="markers",
            marker={"color": colour, "size": 8, "opacity": 0.65},
            text=said,
            hovertemplate="%{x:.3f} → %{y:.3f}<br>%{text}<extra></extra>"
            if said is not None
            else "%{x:.3f} → %{y:.3f}<extra></extra>",
        )
    figure.add_shape(
        type="line", x0=0, y0=0, x1=1, y1=1, line={"color": SAME, "width": 1, "dash": "dot"}
    )
    dress(figure, t("explore.chart_title"))
    figure.update_layout(height=420, showlegend=True, legend={"y": -0.2})
    figure.update_xaxes(range=[-0.03, 1.03], title={"text": plain(axes[0]), "standoff": 8})
    figure.update_yaxes(range=[-0.03, 1.03], title={"text": plain(axes[1])})
    return figure
