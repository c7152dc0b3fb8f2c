"""What was found, one column per index; after a second stage, how each document moved."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from ui.markup import EMPTY, badge, clipped, join, moved
from ui.services import Services
from ui.words import t
from workbench.errors import BadInput, SearchUnavailable

if TYPE_CHECKING:
    from workbench.search.results import Hit, SearchResult

HITS = 10
_TEXT = 420


def ask_html(services: Services, names: Sequence[str], query: str, second: str | None = "") -> str:
    """Ask, and show what was found; ``second`` is the second stage's model, or nothing."""
    if not names:
        raise BadInput(t("search.no_index"), t("search.no_index_hint"))
    if services.search is None:
        raise SearchUnavailable(t("search.off"))
    found = services.search.search_many(list(names), query, HITS, reranker=second or None)
    return results_html(found)


def results_html(results: "Sequence[SearchResult]") -> Markup:
    """One column per index; a document is text, whatever it holds."""
    return Markup('<div class="rw-results">{}</div>').format(join(_column(one) for one in results))


def _column(result: "SearchResult") -> Markup:
    head = Markup('<header><h3>{}</h3><span class="rw-quiet rw-small">{}</span></header>').format(
        _models(result), _about(result)
    )
    hits = join(_hit(at, hit) for at, hit in enumerate(result.hits, start=1))
    body = hits or Markup('<li class="rw-quiet">{}</li>').format(t("search.none"))
    return Markup('<section aria-label="{}">{}<ol>{}</ol></section>').format(
        result.index, head, body
    )


def _models(result: "SearchResult") -> str:
    if result.reranker is None:
        return result.model
    return t("search.two_stages", first=result.model, second=result.reranker)


def _about(result: "SearchResult") -> str:
    parts = [result.index, _took(result.milliseconds)]
    if result.candidates is not None:
        parts.append(t("search.reordered", count=result.candidates))
    if result.known_relevant:
        found = sum(1 for hit in result.hits if hit.relevant)
        parts.append(t("search.known", found=found, known=result.known_relevant))
    return " · ".join(parts)


def _took(milliseconds: dict[str, float]) -> str:
    """In all; with a second stage also each stage's own."""
    ms = {stage: f"{taken:.0f}" for stage, taken in milliseconds.items()}
    if "rerank" not in ms:
        return t("search.took", ms=ms["total"])
    return t(
        "search.took_stages",
        ms=ms["total"],
        encode=ms["encode"],
        search=ms["search"],
        rerank=ms["rerank"],
    )


def _hit(at: int, hit: "Hit") -> Markup:
    mark = badge(t("search.relevant"), "good") if hit.relevant else EMPTY
    title = Markup("<strong>{}</strong>").format(hit.title) if hit.title else EMPTY
    return Markup("<li{}><div><span>{}</span><span>{}</span>{}{}</div>{}{}</li>").format(
        Markup(' class="relevant"') if hit.relevant else EMPTY,
        at,
        _score(hit),
        _change(at, hit),
        mark,
        title,
        clipped(hit.text, _TEXT),
    )


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
