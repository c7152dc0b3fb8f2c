"""What the quantization lab measured: tables of formats, and charts of quality against size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

from ui.kit.charts import COLOURS, dress, plain
from ui.kit.markup import EMPTY, badge, heading, join, quiet_lines, table
from ui.words import sentences, t
from ui.words.amounts import count, size
from ui.words.sentences import metric_label
from workbench.comparison.names import HEADLINE
from workbench.comparison.table import conditions
from workbench.quantization.compare import WEIGHED
from workbench.recipes.quantize import signed

METRICS = (HEADLINE, "ndcg@10", "recall@100")
TITLES = {"models": "lab.models", "vectors": "lab.vectors"}
PANELS = tuple(TITLES)
TAKEN = ("lab.size", "lab.memory", "lab.per_query", "lab.per_document")


def lab_html(result: Mapping[str, Any]) -> Markup:
    """Both tables, each with what is recommended of it and why."""
    return join([_about(result), *(_panel(result, name) for name in PANELS if result[name])])


def _about(result: Mapping[str, Any]) -> Markup:
    words = t(
        "lab.measured",
        model=result["model"],
        dataset=result["dataset"],
        version=result["dataset_version"],
        split=t(f"split.{result['split']}"),
        queries=count(result["queries"]),
        documents=count(result["documents"]),
        device=result["device"],
    )
    about = Markup('<p class="rw-quiet">{}</p>').format(words)
    return join([about, quiet_lines([*conditions(result, [result]), *result.get("notes", ())])])


def _panel(result: Mapping[str, Any], name: str) -> Markup:
    take = str(result[f"{name}_take"])
    rows = [_row(row, take) for row in result[name]]
    title = t(TITLES[name])
    return join(
        [
            heading(title),
            table(_heads(), rows, caption=title, numeric=range(1, 9), stacked=True),
            _recommended(take, str(result[f"{name}_why"])),
        ]
    )


def _heads() -> list[str]:
    return [
        t("lab.method"),
        *(t(key) for key in TAKEN),
        *(metric_label(metric) for metric in METRICS),
        t("lab.agreement"),
        t("lab.bound"),
    ]


def _row(row: Mapping[str, Any], take: str) -> Sequence[str]:
    name = _name(row)
    if "error" in row:
        why = Markup('<span class="error">{}</span>').format(sentences.said(row["error"]))
        return [name, *["–"] * 8, join([badge(t("lab.failed"), "bad"), Markup(" "), why])]
    chosen = join([Markup("{} ").format(name), badge(t("lab.take"), "good")])
    return [
        chosen if row["name"] == take else name,
        size(row["bytes"]),
        size(row["memory"]),
        f"{row['milliseconds_per_query']:.1f}",
        f"{row['milliseconds_per_document']:.1f}",
        *(f"{row[metric]:.3f}" for metric in METRICS),
        t(
            "lab.agrees",
            overlap=f"{100 * row['overlap@10']:.0f}",
            correlation=f"{row['rank_correlation']:.2f}",
        ),
        _bound(row),
    ]


def _bound(row: Mapping[str, Any]) -> Markup:
    if not row["bound"]:
        return Markup("–")
    met = row["met"]
    words = t("lab.lost", change=signed(-row["lost"]), bound=f"{row['bound']:g}")
    return join(
        [badge(t("lab.met" if met else "lab.failed"), "good" if met else "bad"), Markup(" "), words]
    )


def _recommended(take: str, why: str) -> Markup:
    if not take:
        return EMPTY
    name = t("lab.original") if take == "original" else take
    return Markup('<p class="rw-lab-why"><strong>{}</strong> {}</p>').format(
        t("lab.recommended", name=name), sentences.said(why)
    )


# -- charts: quality against size ------------------------------------------------------------

#: What of the result has a chart, and the words for its axis.
AXES = {"models": "lab.bytes_models", "vectors": "lab.bytes_vectors"}
#: Diameters of the fastest and the slowest dot, in pixels.
_SMALL, _LARGE = 12.0, 38.0
_FAILED = "#b42318"


def lab_chart(result: Mapping[str, Any], name: str) -> go.Figure:
    """The weights' or the embeddings' chart; a dot's size is its milliseconds per query."""
    rows, by = rows_of(result, name), WEIGHED[name]
    take = str(result[f"{name}_take"])
    figure = go.Figure([_front(rows, by), *_dots(rows, by, take)])
    dress(figure, t(TITLES[name]))
    ends = sorted({float(row[by]) for row in rows})
    values = [float(row[HEADLINE]) for row in rows]
    reach = max(max(values) - min(values), 0.01) * 0.25
    figure.update_xaxes(
        type="log",
        title={"text": t(AXES[name]), "standoff": 12},
        range=[np.log10(ends[0] * 0.5), np.log10(ends[-1] * 2.0)],
        tickvals=ends,
        ticktext=[size(int(one)) for one in ends],
        tickangle=-40,
    )
    figure.update_yaxes(
        title={"text": metric_label(HEADLINE)},
        range=[min(values) - reach, max(values) + 1.6 * reach],
    )
    figure.update_layout(height=400, showlegend=False)
    return figure


def rows_of(result: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A panel's rows that have numbers; none where nothing stands beside the original."""
    rows = [row for row in result.get(name, []) if "error" not in row]
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
    return f"{metric_label(HEADLINE)} %{{y:.3f}}<br>{words}<extra>{plain(_name(row))}</extra>"
