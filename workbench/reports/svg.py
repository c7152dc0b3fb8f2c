"""Charts as SVG text, for reports that are one file and run no script.

Plotly's would bring 4.8 MB of JavaScript into every report, and show nothing where a mail reader or
a content policy forbids scripts. These two kinds of marks are all a report needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor

from workbench.comparison.table import Difference, Table
from workbench.reports.gather import Curve

COLOURS = ("#98a2b3", "#0d9488", "#7c9cbf", "#b08968", "#5eaaa8", "#8d99ae")
WIDTH = 760
#: What stands left of the drawing, and how wide a letter is there.
LEFT, LETTERS = 240, 34
ROW = 26


def bars(table: Table, at: int = 0) -> str:
    """One metric: a bar per row of the table, from 0 to 1."""
    height = ROW * len(table.rows) + 34
    parts = [_axis([0.0, 0.25, 0.5, 0.75, 1.0], 0.0, 1.0, height, "{:.2f}")]
    for place, row in enumerate(table.rows):
        value, y = max(0.0, row.values[at]), ROW * place + 4
        width = (WIDTH - LEFT - 60) * value
        colour = COLOURS[place % len(COLOURS)]
        parts.append(_name(row.model, y))
        parts.append(
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{ROW - 8}" fill="{colour}"/>'
        )
        parts.append(text(LEFT + width + 6, y + 14, f"{row.values[at]:.3f}"))
    return drawing(parts, height, f"{table.labels[at]} by model")


def intervals(found: Sequence[tuple[str, Difference]]) -> str:
    """Differences with their intervals around zero, a line per compared model."""
    spans = [_span(one) for _, one in found]
    low = min(0.0, *(start for start, _ in spans))
    high = max(0.0, *(end for _, end in spans))
    margin = 0.08 * (high - low) or 0.01
    low, high = low - margin, high + margin
    height = ROW * len(found) + 34
    parts = [_axis([low, 0.0, high], low, high, height, "{:+.3f}")]
    for place, ((name, one), span) in enumerate(zip(found, spans, strict=True)):
        y = ROW * place + ROW / 2
        colour = COLOURS[1] if one.sure and one.delta > 0 else "#b42318" if one.sure else COLOURS[0]
        start, middle, end = (_x(value, low, high) for value in (span[0], one.delta, span[1]))
        parts.append(_name(name, y - 9))
        parts.append(
            f'<line x1="{start:.1f}" x2="{end:.1f}" y1="{y}" y2="{y}" stroke="{colour}" '
            'stroke-width="3" stroke-linecap="round"/>'
        )
        parts.append(f'<circle cx="{middle:.1f}" cy="{y}" r="5" fill="{colour}"/>')
    return drawing(parts, height, "Differences with 95% intervals")


def _span(one: Difference) -> tuple[float, float]:
    """The interval; the difference alone where there is none."""
    return (one.delta, one.delta) if one.low is None or one.high is None else (one.low, one.high)


def curves(found: Sequence[Curve]) -> str:
    """A line per model, the metric by the number of dimensions (one step per number)."""
    sizes = sorted({size for one in found for size, _ in one.points})
    values = [value for one in found for _, value in one.points]
    low, high = min(values), max(values)
    spread = (high - low) or 0.1
    # The names stand above the lines, which mostly rise to the right.
    top = 17 * len(found) + 12
    bottom = top + 190
    height = bottom + 40
    step = (WIDTH - 100) / max(1, len(sizes) - 1)
    place = {size: 60 + at * step for at, size in enumerate(sizes)}

    def y(value: float) -> float:
        return bottom - 190 * (value - low) / spread

    parts = [text(place[size], bottom + 20, str(size), "middle") for size in sizes]
    parts += [text(52, y(value) + 4, f"{value:.3f}", "end") for value in (low, high)]
    for at, one in enumerate(found):
        colour = COLOURS[at % len(COLOURS)]
        points = " ".join(f"{place[size]:.1f},{y(value):.1f}" for size, value in one.points)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        )
        parts.append(text(70, 14 + 17 * at, one.model, fill=colour))
    return drawing(parts, height, "Quality by number of dimensions")


def _x(value: float, low: float, high: float) -> float:
    return LEFT + (WIDTH - LEFT - 60) * (value - low) / (high - low)


def _axis(ticks: Sequence[float], low: float, high: float, height: int, shape: str) -> str:
    parts = []
    for tick in ticks:
        x = _x(tick, low, high)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 24}" stroke="currentColor" '
            'stroke-opacity="0.18"/>'
        )
        parts.append(text(x, height - 8, shape.format(tick), "middle"))
    return "".join(parts)


def _name(name: str, y: float) -> str:
    shown = name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"
    return text(LEFT - 8, y + 14, shown, "end")


def text(x: float, y: float, words: str, anchor: str = "start", fill: str = "currentColor") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="13" text-anchor="{anchor}" '
        f'fill="{fill}">{escape(words)}</text>'
    )


def drawing(parts: Sequence[str], height: int, label: str, width: int = WIDTH) -> str:
    """A wide one is moved sideways on a narrow screen, where its letters would be too small."""
    svg = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif">'
        f"{''.join(parts)}</svg>"
    )
    return f'<div class="scroll wide">{svg}</div>' if width == WIDTH else svg


# Lines over cutoffs as SVG text: a small chart per metric, and one legend for all of them.

CHART_WIDTH, CHART_HEIGHT = 380, 262
#: The drawing's edges, inside of what the axes' words need.
CHART_LEFT, RIGHT, TOP, BOTTOM = 40, CHART_WIDTH - 14, 30, CHART_HEIGHT - 44
#: At most so many cutoffs are named below the axis.
NAMED = 10
#: A row of the legend, and the letters of a name that have room beside it.
LEGEND_ROW, LEGEND_LETTERS = 20, 84


@dataclass(frozen=True, slots=True)
class Line:
    """One pipeline: its values in the cutoffs' order."""

    name: str
    values: tuple[float, ...]
    colour: str
    #: As ``stroke-dasharray``; '' is a whole line.
    dash: str


def lines(title: str, cutoffs: Sequence[int], found: Sequence[Line], below: str) -> str:
    """A chart; ``below``: what the cutoffs are."""
    values = [value for one in found for value in one.values]
    low, high = _range(values)
    places = {k: _across(at, len(cutoffs)) for at, k in enumerate(cutoffs)}

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)

    parts = [text(CHART_LEFT, 16, title)]
    steps = round((high - low) * 10)
    for step in range(0, steps + 1, max(1, ceil(steps / 5))):
        parts.append(_rule(y(low + step / 10), f"{low + step / 10:.1f}"))
    parts += [text(places[k], BOTTOM + 18, str(k), "middle") for k in _named(cutoffs)]
    parts.append(text((CHART_LEFT + RIGHT) / 2, CHART_HEIGHT - 8, below, "middle"))
    for one in found:
        points = [(places[k], y(value)) for k, value in zip(cutoffs, one.values, strict=True)]
        parts.append(_line(points, one))
    return drawing(parts, CHART_HEIGHT, title, CHART_WIDTH)


def legend(found: Sequence[Line]) -> str:
    """Which line is which."""
    parts = []
    for at, one in enumerate(found):
        y = LEGEND_ROW * at + 12
        parts.append(_line([(4, y), (24, y), (44, y)], one))
        name = one.name if len(one.name) <= LEGEND_LETTERS else one.name[: LEGEND_LETTERS - 1] + "…"
        parts.append(text(54, y + 4, name))
    return drawing(parts, LEGEND_ROW * len(found) + 6, "Legend")


def _range(values: Sequence[float]) -> tuple[float, float]:
    """To whole tenths, so that there is something to read off."""
    low, high = floor(min(values) * 10) / 10, ceil(max(values) * 10) / 10
    return (low, high) if high > low else (low, low + 0.1)


def _across(at: int, count: int) -> float:
    inner = RIGHT - CHART_LEFT - 20
    return CHART_LEFT + 10 + (inner * at / (count - 1) if count > 1 else inner / 2)


def _named(cutoffs: Sequence[int]) -> Sequence[int]:
    """The cutoffs that are named: all, or every so many from the last on."""
    return cutoffs[:: -ceil(len(cutoffs) / NAMED)]


def _rule(y: float, words: str) -> str:
    return (
        f'<line x1="{CHART_LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
        f'stroke-opacity="0.18"/>{text(CHART_LEFT - 6, y + 4, words, "end")}'
    )


def _line(points: Sequence[tuple[float, float]], one: Line) -> str:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = f' stroke-dasharray="{one.dash}"' if one.dash else ""
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{one.colour}"/>' for x, y in points
    )
    return (
        f'<polyline points="{joined}" fill="none" stroke="{one.colour}" stroke-width="2"{dash}>'
        f"<title>{escape(one.name)}</title></polyline>{marks}"
    )
