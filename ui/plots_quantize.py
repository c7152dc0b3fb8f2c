"""Quality against size: what the quantization lab measured, in one chart that is drawn once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ui.kit.charts import COLOURS, dress, plain
from ui.words import t
from ui.words.amounts import size
from workbench.comparison.names import HEADLINE, label
from workbench.quantization.compare import WEIGHED

#: What of the result has a chart, and the words for its axis.
PANELS = {"models": "lab.bytes_models", "vectors": "lab.bytes_vectors"}
TITLES = {"models": "lab.models", "vectors": "lab.vectors"}
#: Diameters of the fastest and the slowest dot, in pixels.
_SMALL, _LARGE = 12.0, 38.0
_FAILED = "#b42318"


def lab_chart(result: Mapping[str, Any], name: str) -> go.Figure:
    """The weights' or the embeddings' chart; a dot's size is its milliseconds per query."""
    rows, by = measured(result, name), WEIGHED[name]
    take = str(result[f"{name}_take"])
    figure = go.Figure([_front(rows, by), *_dots(rows, by, take)])
    dress(figure, t(TITLES[name]))
    ends = sorted({float(row[by]) for row in rows})
    values = [float(row[HEADLINE]) for row in rows]
    reach = max(max(values) - min(values), 0.01) * 0.25
    figure.update_xaxes(
        type="log",
        title={"text": t(PANELS[name]), "standoff": 12},
        range=[np.log10(ends[0] * 0.5), np.log10(ends[-1] * 2.0)],
        tickvals=ends,
        ticktext=[size(int(one)) for one in ends],
        tickangle=-40,
    )
    figure.update_yaxes(
        title={"text": label(HEADLINE)}, range=[min(values) - reach, max(values) + 1.6 * reach]
    )
    figure.update_layout(height=400, showlegend=False)
    return figure


def measured(result: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A panel's rows that have numbers; none where nothing stands beside the original."""
    rows = [row for row in result[name] if "error" not in row]
    return rows if len(rows) > 1 else []


def _front(rows: Sequence[Mapping[str, Any]], by: str) -> go.Scatter:
    front = sorted((row for row in rows if row["front"]), key=lambda row: row[by])
    return go.Scatter(
        x=[row[by] for row in front],
        y=[row[HEADLINE] for row in front],
        mode="lines",
        line={"color": COLOURS[1], "width": 1.5, "dash": "dot"},
        hoverinfo="skip",
    )


def _dots(rows: Sequence[Mapping[str, Any]], by: str, take: str) -> list[go.Scatter]:
    slowest = max(float(row["milliseconds_per_query"]) for row in rows)
    places = _places(rows, by)
    return [
        go.Scatter(
            x=[row[by]],
            y=[row[HEADLINE]],
            mode="markers+text",
            text=[f"<b>{plain(_name(row))}</b>" if row["name"] == take else plain(_name(row))],
            textposition=place,
            textfont={"size": 11},
            cliponaxis=False,
            marker={
                "size": _diameter(float(row["milliseconds_per_query"]), slowest),
                "color": _colour(row, take),
                "opacity": 0.75,
                "line": {"width": 3 if row["name"] == take else 0, "color": COLOURS[1]},
            },
            hovertemplate=_hover(row, by),
        )
        for row, place in zip(rows, places, strict=True)
    ]


def _places(rows: Sequence[Mapping[str, Any]], by: str) -> list[str]:
    """Names of dots of like size on alternate sides, so that one does not cover the other."""
    order = sorted(range(len(rows)), key=lambda at: (rows[at][by], rows[at][HEADLINE]))
    sides = ("top center", "bottom center")
    found = [""] * len(rows)
    for turn, at in enumerate(order):
        found[at] = sides[turn % 2]
    return found


def _name(row: Mapping[str, Any]) -> str:
    return t("lab.original") if row["name"] == "original" else str(row["name"])


def _diameter(milliseconds: float, slowest: float) -> float:
    """The area of a dot grows with its time."""
    return _SMALL + (_LARGE - _SMALL) * float(np.sqrt(milliseconds / slowest))


def _colour(row: Mapping[str, Any], take: str) -> str:
    if not row["met"]:
        return _FAILED
    if row["name"] == "original":
        return COLOURS[0]
    return COLOURS[1] if row["name"] == take else COLOURS[2]


def _hover(row: Mapping[str, Any], by: str) -> str:
    milliseconds = f"{row['milliseconds_per_query']:.1f}"
    words = t("lab.hover", size=size(row[by]), milliseconds=milliseconds)
    return f"{label(HEADLINE)} %{{y:.3f}}<br>{words}<extra>{plain(_name(row))}</extra>"
