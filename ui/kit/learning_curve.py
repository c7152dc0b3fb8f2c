"""A learning curve as a small drawing, its sentence and its table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

from markupsafe import Markup

from ui.kit.markup import join, quiet_lines, table
from ui.words import sentences, t
from ui.words.amounts import count
from ui.words.sentences import metric_label
from workbench.comparison.names import HEADLINE

#: The drawing's size, and its edges inside of what the axes' words need.
WIDTH, HEIGHT = 340, 230
LEFT, RIGHT, TOP, BOTTOM = 46, WIDTH - 16, 26, HEIGHT - 42
#: Where the law is drawn between two points.
STEPS = 32


def curve_html(result: Mapping[str, Any]) -> Markup:
    """What a job 'learning-curve' measured."""
    said = sentences.said(str(result["sentence"]))
    about = t(
        "curve.about",
        model=result["model"],
        dataset=result["dataset"],
        version=result["dataset_version"],
        queries=count(result["measured_queries"]),
        folds=len(result["points"][0]["folds"]),
    )
    return Markup(
        '<figure class="rw-curve"><p class="verdict">{}</p>{}{}<figcaption class="rw-quiet '
        'rw-small">{}</figcaption>{}</figure>'
    ).format(
        said,
        _drawing(result, said),
        _table(result),
        about,
        quiet_lines(result.get("notes") or ()),
    )


def _table(result: Mapping[str, Any]) -> Markup:
    heads = [t("curve.share"), t("curve.rows"), metric_label(HEADLINE), t("curve.gain")]
    base = [t("curve.base"), count(0), f"{result['baseline']:.3f}", ""]
    rows = [
        [
            f"{one['share']:g}%",
            count(one["rows"]),
            f"{one[HEADLINE]:.3f}",
            "{:+.3f} [{:+.3f}, {:+.3f}]".format(one["gain"], *one["gain_ci95"]),
        ]
        for one in result["points"]
    ]
    return table(heads, [base, *rows], caption=t("curve.title"), numeric=(1, 2, 3), stacked=True)


# The drawing: rows from left to right, each step to the right a doubling.


@dataclass(frozen=True, slots=True)
class _Axes:
    """Numbers of rows and values of MAP -> places in the drawing."""

    first: float
    last: float
    low: float
    high: float

    def x(self, rows: float) -> float:
        return (
            LEFT + 12 + (RIGHT - LEFT - 24) * log(rows / self.first) / log(self.last / self.first)
        )

    def y(self, value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - self.low) / (self.high - self.low)


def _drawing(result: Mapping[str, Any], said: str) -> Markup:
    points, doubled = result["points"], result["doubled"]
    now = _law(result, result["rows"])
    low, high = (now + one for one in doubled["ci95"])
    seen = [result["baseline"], now + doubled["gain"], low, high]
    seen += [value for one in points for value in (one[HEADLINE], *one["folds"])]
    axes = _axes(result, seen)
    parts = [_rules(axes), _base(axes, result["baseline"]), _laws(axes, result)]
    parts += [_point(axes, one) for one in points]
    parts += [_forecast(axes, doubled["rows"], now + doubled["gain"], low, high)]
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, said, join(parts)
    )


def _axes(result: Mapping[str, Any], seen: Sequence[float]) -> _Axes:
    low, high = max(0.0, min(seen)), min(1.0, max(seen))
    margin = 0.06 * (high - low) or 0.01
    first, last = result["points"][0]["rows"], result["doubled"]["rows"]
    return _Axes(max(1, first), max(last, 2), low - margin, high + margin)


def _law(result: Mapping[str, Any], rows: float) -> float:
    """The fitted law's MAP at so many rows."""
    fitted = result["fit"]
    value: float = fitted["a"] - fitted["b"] * rows ** -fitted["c"]
    return min(1.0, max(0.0, value))


def _rules(axes: _Axes) -> Markup:
    """The axes' lines and words."""
    inner = axes.high - axes.low
    values = [axes.low + inner * part for part in (0.1, 0.5, 0.9)]
    rules = (
        Markup('<line class="rule" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>{}').format(
            LEFT,
            RIGHT,
            axes.y(one),
            axes.y(one),
            _text(LEFT - 6, axes.y(one) + 4, f"{one:.3f}", "end"),
        )
        for one in values
    )
    names = [
        _text(LEFT - 40, 14, metric_label(HEADLINE), "start"),
        _text((LEFT + RIGHT) / 2, HEIGHT - 6, t("curve.rows"), "middle"),
    ]
    return join([*rules, *names])


def _base(axes: _Axes, value: float) -> Markup:
    y = axes.y(value)
    return Markup('<line class="base" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>{}').format(
        LEFT, RIGHT, y, y, _text(RIGHT, y - 5, t("curve.base"), "end")
    )


def _laws(axes: _Axes, result: Mapping[str, Any]) -> Markup:
    """The fitted law: whole where there are rows, dashed beyond them."""
    total, doubled = result["rows"], result["doubled"]["rows"]
    whole = _line(axes, result, axes.first, total, "law")
    return whole + _line(axes, result, total, doubled, "law beyond")


def _line(axes: _Axes, result: Mapping[str, Any], start: float, stop: float, name: str) -> Markup:
    rows = [start * (stop / start) ** (at / STEPS) for at in range(STEPS + 1)]
    places = " ".join(f"{axes.x(n):.1f},{axes.y(_law(result, n)):.1f}" for n in rows)
    return Markup('<polyline class="{}" points="{}"/>').format(name, places)


def _point(axes: _Axes, one: Mapping[str, Any]) -> Markup:
    """A share: its folds, their mean, and how many rows that is."""
    x = axes.x(max(one["rows"], axes.first))
    folds = (
        Markup('<circle class="fold" cx="{:.1f}" cy="{:.1f}" r="2.5"/>').format(x, axes.y(value))
        for value in one["folds"]
    )
    return Markup('{}<circle class="mean" cx="{:.1f}" cy="{:.1f}" r="4.5"/>{}').format(
        join(folds), x, axes.y(one[HEADLINE]), _text(x, BOTTOM + 18, count(one["rows"]), "middle")
    )


def _forecast(axes: _Axes, rows: int, value: float, low: float, high: float) -> Markup:
    """Twice the labels, with its interval."""
    x = axes.x(rows)
    ends = [axes.y(min(1.0, max(0.0, one))) for one in (low, high)]
    return Markup(
        '<line class="interval" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>'
        '<circle class="forecast" cx="{0:.1f}" cy="{3:.1f}" r="4.5"/>{4}'
    ).format(x, *ends, axes.y(value), _text(x, BOTTOM + 18, count(rows), "middle"))


def _text(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, words
    )
