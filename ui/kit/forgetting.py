"""What a trained model is worth on the general data set: a sentence, a small drawing, a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ui.kit.markup import EMPTY, badge, join, quiet_lines, table
from ui.words import sentences, t
from ui.words.sentences import metric_label
from workbench.comparison import trained

#: The drawing's size, and its edges inside of what the axes' words need.
WIDTH, HEIGHT = 340, 190
LEFT, RIGHT, TOP, BOTTOM = 46, WIDTH - 16, 30, HEIGHT - 40


def forgotten_html(result: Mapping[str, Any]) -> Markup:
    """Of a run's result or a model's summary; nothing where there is no general set."""
    said = trained.forgotten(result)
    if not said:
        return EMPTY
    heads, rows = trained.forgetting_table(result)
    if not rows:
        return quiet_lines([said])
    smaller = trained.smaller_share(result)
    hint = Markup('<p class="rw-sentence">{} {}</p>').format(
        badge(t("decided.warning"), "warn"), sentences.said(smaller)
    )
    drawn = table(
        # The drawing above says of what it is a share; more would not fit on a narrow page.
        [t("curve.share"), *map(sentences.said, heads[1:])],
        [[sentences.said(share), *values] for share, *values in rows],
        caption=t("forgetting.title"),
        numeric=(1, 2),
    )
    return Markup(
        '<details class="rw-found rw-curve" open><summary>{}</summary><p>{}</p>{}{}{}</details>'
    ).format(
        t("forgetting.title"),
        sentences.said(said),
        hint if smaller else EMPTY,
        _drawing(result["forgetting"], sentences.said(said)),
        drawn,
    )


# The drawing: the share of the trained weights from left to right.


def _drawing(found: Mapping[str, Any], said: str) -> Markup:
    general = [(one["ratio"], one["general"]) for one in found["curve"]]
    own = [(one["ratio"], one["own"]) for one in found["curve"] if one["own"] is not None]
    seen = [value for _, value in (*general, *own)]
    margin = 0.1 * (max(seen) - min(seen)) or 0.01
    low, high = min(seen) - margin, max(seen) + margin

    def place(ratio: float, value: float) -> tuple[float, float]:
        return (
            LEFT + 14 + (RIGHT - LEFT - 28) * ratio,
            BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low),
        )

    parts = [_rules(place, low, high)]
    for name, points in (("own", own), ("general", general)):
        if points:
            parts.append(_line(name, [place(*one) for one in points]))
    shares = (
        _text(place(ratio, low)[0], BOTTOM + 16, f"{ratio:g}", "middle") for ratio, _ in general
    )
    names = [
        _text(LEFT - 40, 12, metric_label(found["metric"]), "start"),
        _text((LEFT + RIGHT) / 2, HEIGHT - 6, t("forgetting.share"), "middle"),
        _key(RIGHT - 170, "own", t("forgetting.own")) if own else EMPTY,
        _key(RIGHT - 74, "general", t("forgetting.general")),
    ]
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, said, join([*parts, *shares, *names])
    )


def _rules(place: Any, low: float, high: float) -> Markup:
    lines = []
    for part in (0.1, 0.5, 0.9):
        value = low + (high - low) * part
        y = place(0.0, value)[1]
        words = _text(LEFT - 6, y + 4, f"{value:.3f}", "end")
        lines.append(
            Markup('<line class="rule" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>{}').format(
                LEFT, RIGHT, y, y, words
            )
        )
    return join(lines)


def _line(name: str, points: Sequence[tuple[float, float]]) -> Markup:
    """Measured points, joined."""
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = (
        Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(name, x, y)
        for x, y in points
    )
    return Markup('<polyline class="{}" points="{}"/>{}').format(name, places, join(dots))


def _key(x: float, name: str, words: str) -> Markup:
    """A line's colour, and what it is."""
    dot = Markup('<circle class="{}" cx="{:.1f}" cy="9" r="3.5"/>').format(name, x)
    return dot + _text(x + 8, 13, words, "start")


def _text(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, words
    )
