"""What was found, one column per side: how each document moved, and the question's words in it."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import gradio as gr
from markupsafe import Markup

from ui.kit.hits import marked, marked_text
from ui.kit.live import scripts
from ui.kit.markup import EMPTY, badge, join, moved, pick
from ui.routes.pictures import picture_url
from ui.services import Services
from ui.tabs.search.options import Asked
from ui.words import t
from ui.words.amounts import count
from workbench.errors import BadInput, SearchUnavailable
from workbench.records import Index
from workbench.search.pictures import of_pictures
from workbench.search.protocol import Hit, SearchResult

# The pictures among what was found, as tiles of a gallery: small ones, loaded as they are scrolled
# to, each of which opens large in place (``static/gallery.js``).

#: Pixels of a tile's picture, and of the one that opens: the sizes that are kept.
SMALL, LARGE = 256, 1024


@dataclass(frozen=True, slots=True)
class Tiles:
    """Draws the hits of one index of a data set with pictures."""

    services: Services
    index: Index
    #: Whether each has 'more like this'.
    more: bool = True

    def __call__(self, hit: Hit, query: str) -> Markup:
        """The hit's picture, caption and what can be asked from it; of one without, its text."""
        title = Markup("<strong>{}</strong> ").format(marked(query, hit.title))
        caption = Markup("{}{}").format(title if hit.title else EMPTY, marked_text(query, hit.text))
        if not hit.picture:
            return caption
        alt = hit.text or hit.title or t("pictures.alt", row=hit.row + 1)
        return Markup(
            '<a class="rw-tile" href="{}" target="_blank" rel="noopener">'
            '<img src="{}" alt="{}" loading="lazy"></a>{}{}'
        ).format(
            self._url(hit.row, LARGE), self._url(hit.row, SMALL), alt, caption, self._more(hit)
        )

    def attributes(self) -> Markup:
        """What the list of tiles tells its script."""
        return Markup(
            ' class="rw-gallery" data-close="{}" data-before="{}" data-after="{}"'
        ).format(t("gallery.close"), t("gallery.before"), t("gallery.after"))

    def _url(self, row: int, size: int) -> str:
        return picture_url(self.services, self.index.dataset_id, self.index.version, row, size)

    def _more(self, hit: Hit) -> Markup:
        if not (self.more and of_pictures(self.index)):
            return EMPTY
        # With its version: after an update of the index the row may be another picture's.
        at = f"{self.index.id}:{self.index.version}:{hit.row}"
        return Markup("<p>{}</p>").format(pick(at, t("gallery.more")))


def tiles(
    services: Services, results: Sequence[SearchResult], *, more: bool = True
) -> list[Tiles | None]:
    """For each side that found pictures how its hits are drawn; None where they are texts."""
    return [
        Tiles(services, services.workspace.indexes.get(one.index), more)
        if any(hit.picture for hit in one.hits)
        else None
        for one in results
    ]


def gallery_piece(
    services: Services, elem_id: str, *, picks: bool = True, more: str = ""
) -> gr.HTML:
    """A component for results whose pictures open large; ``more`` is another script of its own."""
    start = f"window.Workbench.gallery(element{', trigger' if picks else ''});"
    return gr.HTML(
        elem_id=elem_id,
        apply_default_css=False,
        js_on_load=f"{start}\n{more}",
        head=scripts(services, "common.js", "gallery.js"),
    )


# Two rankings as two columns of places, the same document joined by a line.

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
    ).format(_WIDTH, height, words, join(map(_slope, both)), join(_places(left, right)))


def _slope(places: tuple[int, int]) -> Markup:
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


class Order:
    """In which order pages asked what is answered in one place of theirs: an answer that took long
    does not take the place of a later question's."""

    #: Pages whose last answer is remembered; the oldest are forgotten.
    PAGES = 1000

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self._shown: OrderedDict[str, int] = OrderedDict()

    def ask(self) -> int:
        """The number of a question that is asked now."""
        with self._lock:
            self._asked += 1
            return self._asked

    def shows(self, request: gr.Request, number: int) -> bool:
        """Whether its answer is to be shown on the page that asked; where a later one's is there
        already, it is not."""
        page = str(request.session_hash)
        with self._lock:
            if number < self._shown.get(page, 0):
                return False
            self._shown[page] = number
            self._shown.move_to_end(page)
            while len(self._shown) > self.PAGES:
                self._shown.popitem(last=False)
            return True


def search_sides(services: Services, query: str, asked: Asked) -> list[SearchResult]:
    """Ask every side the same; raises :class:`BadInput` where nothing is chosen."""
    if not asked.sides:
        raise BadInput(t("search.no_index"), t("search.no_index_hint"))
    if services.search is None:
        raise SearchUnavailable(t("search.off"))
    return [
        result
        for side in asked.sides
        for result in services.search.search_many(
            [side.index],
            query,
            asked.hits,
            reranker=side.second or None,
            candidates=asked.candidates,
            where=asked.where,
        )
    ]


def ask_html(services: Services, query: str, asked: Asked) -> str:
    """Ask, and show what was found."""
    results = search_sides(services, query, asked)
    return results_html(results, draws=tiles(services, results))


def results_html(
    results: Sequence[SearchResult],
    *,
    hidden: bool = False,
    draws: Sequence[Tiles | None] = (None, None),
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
    result: SearchResult,
    other: dict[str, int] | None,
    side: int,
    hidden: bool,
    draw: Tiles | None,
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


def _beside(at: int, hit: Hit, other: dict[str, int] | None, side: int) -> Markup:
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


def _models(result: SearchResult) -> str:
    if result.reranker is None:
        return result.model
    return t("search.two_stages", first=result.model, second=result.reranker)


def _about(result: SearchResult) -> str:
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


def _hit(at: int, hit: Hit, query: str, hidden: bool, beside: Markup, draw: Tiles | None) -> Markup:
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


def _text(hit: Hit, query: str) -> Markup:
    title = Markup("<strong>{}</strong> ").format(marked(query, hit.title)) if hit.title else EMPTY
    return Markup("{}{}").format(title, marked_text(query, hit.text))


def _score(hit: Hit) -> str:
    if hit.first_score is None:
        return t("search.score", score=f"{hit.score:.3f}")
    return t("search.scores", score=f"{hit.score:.3f}", first=f"{hit.first_score:.3f}")


def _change(at: int, hit: Hit) -> Markup:
    """How the second stage moved the document: '3 -> 1', and in words for those who hear it."""
    before = hit.first_rank
    if before is None:
        return EMPTY
    if before == at:
        return badge(t("search.stayed"))
    words = t("search.moved_up" if at < before else "search.moved_down", before=before, now=at)
    return moved(t("search.moved", before=before, now=at), words)
