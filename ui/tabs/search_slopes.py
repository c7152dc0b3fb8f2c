"""Two rankings as two columns of places, the same document joined by a line."""

from collections.abc import Iterator, Mapping

from markupsafe import Markup

from ui.kit.markup import join
from ui.words import t

_WIDTH, _ROW, _EDGE = 220, 16, 26


def slopes(left: Mapping[str, int], right: Mapping[str, int]) -> Markup:
    """From ids to places (from 1) on either side: a small drawing, also told in words;
    words alone where no document is on both sides."""
    both = [(place, right[id]) for id, place in left.items() if id in right]
    deep = max([0, *left.values(), *right.values()])
    if not deep:
        return Markup("")
    up = sum(there < here for here, there in both)
    down = sum(there > here for here, there in both)
    words = t(
        "search.slopes",
        both=len(both),
        up=up,
        down=down,
        left=len(left) - len(both),
        right=len(right) - len(both),
    )
    if not both:
        return Markup('<p class="rw-quiet rw-small">{}</p>').format(words)
    height = deep * _ROW + 8
    return Markup(
        '<figure class="rw-slopes"><svg viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img"'
        ' aria-label="{2}">{3}{4}</svg><figcaption class="rw-quiet rw-small">{2}</figcaption>'
        "</figure>"
    ).format(_WIDTH, height, words, join(map(_line, both)), join(_places(left, right)))


def _line(places: tuple[int, int]) -> Markup:
    here, there = places
    tone = "up" if there < here else "down" if there > here else "same"
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        tone, _EDGE, _middle(here), _WIDTH - _EDGE, _middle(there)
    )


def _places(left: Mapping[str, int], right: Mapping[str, int]) -> Iterator[Markup]:
    for ids, others, x, anchor in (
        (left, right, _EDGE - 6, "end"),
        (right, left, _WIDTH - _EDGE + 6, "start"),
    ):
        for id, place in ids.items():
            yield Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
                "" if id in others else "alone", x, _middle(place) + 4, anchor, place
            )


def _middle(place: int) -> float:
    return (place - 0.5) * _ROW + 4
