"""What was found, one column per side: how each document moved, and the question's words in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ui.kit.hits import marked, marked_text
from ui.kit.markup import EMPTY, badge, join, moved
from ui.services import Services
from ui.tabs.search_amounts import candidates_of, hits_of
from ui.tabs.search_slopes import slopes
from ui.tabs.search_tiles import Tiles, tiles
from ui.words import t
from ui.words.amounts import count
from workbench.errors import BadInput, SearchUnavailable

if TYPE_CHECKING:
    from workbench.search.results import Hit, SearchResult


@dataclass(frozen=True, slots=True)
class Side:
    """What is asked: an index, and the model that orders its hits anew, or ''."""

    index: str
    second: str = ""


def sides_of(names: Sequence[str | None], seconds: Sequence[str | None] = ("",)) -> "list[Side]":
    """The sides that were chosen; an empty one is left out. One second stage given is for all."""
    after = list(seconds) if len(seconds) == len(names) else [*seconds[:1]] * len(names)
    return [Side(name, second or "") for name, second in zip(names, after, strict=True) if name]


def search_sides(
    services: Services,
    sides: Sequence[Side],
    query: str,
    where: str | None = "",
    hits: float | None = None,
    candidates: float | None = None,
) -> "list[SearchResult]":
    """Ask every side the same; raises :class:`BadInput` where nothing is chosen.

    A field of the page that was never unfolded sends nothing at all: ``where`` may be None.
    """
    if not sides:
        raise BadInput(t("search.no_index"), t("search.no_index_hint"))
    if services.search is None:
        raise SearchUnavailable(t("search.off"))
    more: dict[str, Any] = {"candidates": candidates_of(candidates), "where": where or ""}
    top_k = hits_of(hits)
    return [
        result
        for side in sides
        for result in services.search.search_many(
            [side.index], query, top_k, reranker=side.second or None, **more
        )
    ]


def ask_html(
    services: Services,
    names: Sequence[str | None],
    query: str,
    seconds: Sequence[str | None] = ("",),
    where: str | None = "",
    hits: float | None = None,
    candidates: float | None = None,
) -> str:
    """Ask, and show what was found; ``seconds`` has each side's second stage, or nothing. ``hits``
    and ``candidates`` are the usual ones where None."""
    results = search_sides(services, sides_of(names, seconds), query, where, hits, candidates)
    return results_html(results, draws=tiles(services, results))


def results_html(
    results: "Sequence[SearchResult]",
    *,
    hidden: bool = False,
    draws: "Sequence[Tiles | None]" = (None, None),
) -> Markup:
    """One column per side; a document is text, whatever it holds, or a picture where ``draws`` has
    for its side how it is drawn.

    ``hidden``: without a word about which side is which, for a blind test.
    """
    ranks = [{hit.id: at for at, hit in enumerate(one.hits, start=1)} for one in results]
    # The same id in another data set is another document.
    joined = len(results) == 2 and not hidden and results[0].dataset_id == results[1].dataset_id
    columns = [
        _column(
            one,
            ranks[1 - at] if joined else None,
            at,
            hidden,
            draws[at],
        )
        for at, one in enumerate(results)
    ]
    drawn = slopes(ranks[0], ranks[1]) if joined else EMPTY
    return Markup('{}<div class="rw-results">{}</div>').format(drawn, join(columns))


def _column(
    result: "SearchResult",
    other: dict[str, int] | None,
    side: int,
    hidden: bool,
    draw: "Tiles | None",
) -> Markup:
    name = t("search.left" if side == 0 else "search.right_side") if hidden else _models(result)
    about = "" if hidden else _about(result)
    head = Markup('<header><h3>{}</h3><span class="rw-quiet rw-small">{}</span></header>').format(
        name, about
    )
    hits = join(
        _hit(at, hit, result.query, hidden, _beside(at, hit, other, side), draw)
        for at, hit in enumerate(result.hits, start=1)
    )
    body = hits or Markup('<li class="rw-quiet">{}</li>').format(t("search.none"))
    about_list = draw.attributes() if draw else EMPTY
    return Markup('<section aria-label="{}">{}<ol{}>{}</ol></section>').format(
        name if hidden else result.index, head, about_list, body
    )


def _beside(at: int, hit: "Hit", other: dict[str, int] | None, side: int) -> Markup:
    """Where the other side has the document; on the right, how it moved from there."""
    if other is None:
        return EMPTY
    there = other.get(hit.id)
    if there is None:
        return badge(t("search.only_left" if side == 0 else "search.only_right"), "warn")
    if there == at:
        return badge(t("search.same_place"))
    key = "search.beside_left" if side == 0 else "search.beside_right"
    words = t(key, there=there, here=at)
    signs = (at, there) if side == 0 else (there, at)
    return moved(t("search.moved", before=signs[0], now=signs[1]), words)


def _models(result: "SearchResult") -> str:
    if result.reranker is None:
        return result.model
    return t("search.two_stages", first=result.model, second=result.reranker)


def _about(result: "SearchResult") -> str:
    parts = [result.index, _took(result.milliseconds)]
    if result.candidates is not None:
        parts.append(t("search.reordered", count=result.candidates))
    if result.matching is not None:
        parts.append(t("search.matching", count=count(result.matching)))
    if result.known_relevant:
        found = sum(1 for hit in result.hits if hit.relevant)
        parts.append(t("search.known", found=found, known=result.known_relevant))
    return " · ".join(parts)


def _took(milliseconds: dict[str, float]) -> str:
    """In all; with a second stage also each stage's own."""
    ms = {
        stage: f"{taken:.0f}" if taken >= 1 else f"{taken:.1f}"
        for stage, taken in milliseconds.items()
    }
    if "rerank" not in ms and "encode" in ms:
        words = {"encode": ms["encode"], "search": ms["search"]}
        return t("search.took_two", ms=ms["total"], **words)
    if "rerank" not in ms:
        return t("search.took", ms=ms["total"])
    return t(
        "search.took_stages",
        ms=ms["total"],
        encode=ms["encode"],
        search=ms["search"],
        rerank=ms["rerank"],
    )


def _hit(
    at: int, hit: "Hit", query: str, hidden: bool, beside: Markup, draw: "Tiles | None"
) -> Markup:
    """``hidden``: scores would tell which side it is, and known answers which is right."""
    relevant = bool(hit.relevant) and not hidden
    mark = badge(t("search.relevant"), "good") if relevant else EMPTY
    if hit.grade is not None and not hit.relevant and not hidden:
        mark = badge(t("search.not_relevant"), "warn")
    return Markup("<li{}><div><span>{}</span>{}{}{}{}{}</div>{}</li>").format(
        Markup(' class="relevant"') if relevant else EMPTY,
        at,
        EMPTY if hidden else Markup("<span>{}</span>").format(_score(hit)),
        EMPTY if hidden else _change(at, hit),
        beside,
        mark,
        EMPTY if hidden else Markup('<code class="rw-quiet">{}</code>').format(hit.id),
        draw(hit, query) if draw else _text(hit, query),
    )


def _text(hit: "Hit", query: str) -> Markup:
    title = Markup("<strong>{}</strong> ").format(marked(query, hit.title)) if hit.title else EMPTY
    return Markup("{}{}").format(title, marked_text(query, hit.text))


def _score(hit: "Hit") -> str:
    if hit.first_score is None:
        return t("search.score", score=f"{hit.score:.3f}")
    return t("search.scores", score=f"{hit.score:.3f}", first=f"{hit.first_score:.3f}")


def _change(at: int, hit: "Hit") -> Markup:
    """How the second stage moved the document: '3 -> 1', and in words for those who hear it."""
    before = hit.first_rank
    if before is None:
        return EMPTY
    if before == at:
        return badge(t("search.stayed"))
    words = t("search.moved_up" if at < before else "search.moved_down", before=before, now=at)
    return moved(t("search.moved", before=before, now=at), words)
