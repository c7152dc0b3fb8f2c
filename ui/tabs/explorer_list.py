"""One page of queries, each with what it gained or lost; a click on a head sorts by it."""

from collections.abc import Sequence

from markupsafe import Markup

from ui.kit.markup import badge, join, pick, table
from ui.words import t
from ui.words.amounts import count
from workbench.comparison.explore import SAME, Change, Pairing

_CLIP = 90


def list_html(
    pair: Pairing,
    found: Sequence[Change],
    start: int,
    all: int,
    shown: int,
    sort: tuple[str, bool] = ("change", True),
) -> Markup:
    """``found``: the page's queries, from ``start`` on, of ``all``; ``shown``: the query row that
    is open (-1: none); ``sort``: by which column, and whether from the highest down."""
    gains, losses, same = pair.counted
    counted = t(
        "explore.counted",
        gains=count(gains),
        losses=count(losses),
        same=count(same),
        queries=count(len(pair.queries)),
    )
    quiet = Markup('<p class="rw-quiet rw-small">{}</p>')
    if not found:
        return join([quiet.format(counted), quiet.format(t("explore.none"))])
    rows = [_line(one, one.query == shown) for one in found]
    chosen = next((at for at, one in enumerate(found) if one.query == shown), None)
    drawn = table(
        _heads(sort),
        rows,
        beside=list(_columns().values()),
        caption=t("explore.caption"),
        numeric=[1, 2, 3],
        chosen=chosen,
        stacked=True,
        sort=_sorts(sort),
    )
    place = t("explore.page", first=start + 1, last=start + len(found), all=count(all))
    return join([quiet.format(counted), drawn, quiet.format(place)])


def _columns() -> dict[str, str]:
    return {
        "change": t("explore.change"),
        "before": t("explore.before"),
        "after": t("explore.after"),
        "length": t("explore.length"),
        "query": t("explore.query"),
    }


def _heads(sort: tuple[str, bool]) -> list[Markup]:
    by, down = sort
    arrow = " ↓" if down else " ↑"
    head = Markup(
        '<button type="button" class="rw-sort" data-pick="sort:{}" title="{}">{}'
        '<span aria-hidden="true">{}</span></button>'
    )
    return [
        head.format(name, t("explore.sort", column=words), words, arrow if name == by else "")
        for name, words in _columns().items()
    ]


def _sorts(sort: tuple[str, bool]) -> dict[int, str]:
    by, down = sort
    return {list(_columns()).index(by): "descending" if down else "ascending"}


def _line(one: Change, chosen: bool) -> list[str]:
    tone = "good" if one.delta > SAME else "bad" if one.delta < -SAME else ""
    change = badge(f"{one.delta:+.3f}", tone)
    query = pick(str(one.query), short(one.text), chosen)
    return [change, f"{one.before:.3f}", f"{one.after:.3f}", count(len(one.text)), query]


def short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _CLIP else text[: _CLIP - 1] + "…"
