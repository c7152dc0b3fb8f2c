"""Lines over cutoffs as SVG text: a small chart per metric, and one legend for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor

from workbench.reports.svg import drawing, text

WIDTH, HEIGHT = 380, 262
#: The drawing's edges, inside of what the axes' words need.
LEFT, RIGHT, TOP, BOTTOM = 40, WIDTH - 14, 30, HEIGHT - 44
#: At most so many cutoffs are named below the axis.
NAMED = 10
#: A row of the legend, and the letters of a name that have room beside it.
LEGEND_ROW, LETTERS = 20, 84


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

    parts = [text(LEFT, 16, title)]
    steps = round((high - low) * 10)
    for step in range(0, steps + 1, max(1, ceil(steps / 5))):
        parts.append(_rule(y(low + step / 10), f"{low + step / 10:.1f}"))
    parts += [text(places[k], BOTTOM + 18, str(k), "middle") for k in _named(cutoffs)]
    parts.append(text((LEFT + RIGHT) / 2, HEIGHT - 8, below, "middle"))
    for one in found:
        points = [(places[k], y(value)) for k, value in zip(cutoffs, one.values, strict=True)]
        parts.append(_line(points, one))
    return drawing(parts, HEIGHT, title, WIDTH)


def legend(found: Sequence[Line]) -> str:
    """Which line is which."""
    parts = []
    for at, one in enumerate(found):
        y = LEGEND_ROW * at + 12
        parts.append(_line([(4, y), (24, y), (44, y)], one))
        name = one.name if len(one.name) <= LETTERS else one.name[: LETTERS - 1] + "…"
        parts.append(text(54, y + 4, name))
    return drawing(parts, LEGEND_ROW * len(found) + 6, "Legend")


def _range(values: Sequence[float]) -> tuple[float, float]:
    """To whole tenths, so that there is something to read off."""
    low, high = floor(min(values) * 10) / 10, ceil(max(values) * 10) / 10
    return (low, high) if high > low else (low, low + 0.1)


def _across(at: int, count: int) -> float:
    inner = RIGHT - LEFT - 20
    return LEFT + 10 + (inner * at / (count - 1) if count > 1 else inner / 2)


def _named(cutoffs: Sequence[int]) -> Sequence[int]:
    """The cutoffs that are named: all, or every so many from the last on."""
    return cutoffs[:: -ceil(len(cutoffs) / NAMED)]


def _rule(y: float, words: str) -> str:
    return (
        f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
        f'stroke-opacity="0.18"/>{text(LEFT - 6, y + 4, words, "end")}'
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
