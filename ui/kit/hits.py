"""Two rankings of one query side by side: what was judged, what moved, and the words in common."""

from markupsafe import Markup

from ui.kit.markup import EMPTY, badge, join, pick
from ui.words import t
from workbench.comparison.explore import DEPTH, Hit, Rankings, common

#: Of a long document so many characters are shown; the rest opens in place.
CLIP = 420


def rankings_html(found: Rankings, before: str, after: str) -> Markup:
    """All text comes from the data and is escaped; only the marks are ours."""
    head = Markup('<p class="rw-sentence"><strong>{}</strong></p>').format(found.change.text)
    note = Markup('<p class="rw-quiet rw-small">{}</p>').format(t("explore.words"))
    sides = (
        _side(found, before, found.before, found.change.before, after),
        _side(found, after, found.after, found.change.after, before),
    )
    return Markup('{}{}<div class="rw-results">{}</div>').format(head, note, join(sides))


def _side(found: Rankings, name: str, hits: tuple[Hit, ...], value: float, other: str) -> Markup:
    right = sum(hit.relevant for hit in hits)
    about = t("explore.found", found=right, all=found.relevant, depth=DEPTH)
    items = join(_hit(found.change.text, hit, other) for hit in hits)
    return Markup(
        '<section aria-label="{0}"><header><h3>{0}</h3>'
        '<span class="rw-quiet rw-small">{1:.3f} · {2}</span></header><ol>{3}</ol></section>'
    ).format(name, value, about, items)


def _hit(query: str, hit: Hit, other: str) -> Markup:
    rank = t("explore.not_found") if hit.other_rank is None else hit.other_rank
    where = t("explore.rank_other", other=other, rank=rank)
    title = Markup("<strong>{}</strong> ").format(marked(query, hit.title)) if hit.title else EMPTY
    right = EMPTY
    if not hit.relevant:
        words = t("explore.right" if hit.grade is None else "explore.right_after_all")
        right = Markup("<p>{}</p>").format(pick(str(hit.document), words))
    return Markup(
        '<li{}><div><span>{}</span>{}<span class="rw-quiet rw-small">{}</span></div>{}{}{}</li>'
    ).format(
        Markup(' class="relevant"') if hit.relevant else EMPTY,
        hit.rank,
        _judged(hit),
        where,
        title,
        marked_text(query, hit.text),
        right,
    )


def _judged(hit: Hit) -> Markup:
    if hit.grade is None:
        return badge(t("explore.unjudged"))
    if hit.since and hit.relevant:
        return badge(t("explore.since"), "good")
    return (
        badge(t("explore.relevant"), "good")
        if hit.relevant
        else badge(t("explore.not_relevant"), "bad")
    )


def marked_text(query: str, text: str) -> Markup:
    """A document's text, the question's words in it marked; a long one opens in place."""
    if len(text) <= CLIP:
        return Markup('<span class="rw-text">{}</span>').format(marked(query, text))
    return Markup('<details class="rw-text"><summary>{}… <em>{}</em></summary>{}</details>').format(
        marked(query, text[:CLIP]), t("more.open"), marked(query, text)
    )


def marked(query: str, text: str) -> Markup:
    """Each piece is escaped by itself, so that a mark never opens what the data began."""
    return join(
        Markup("<mark>{}</mark>").format(piece) if shared else Markup("{}").format(piece)
        for piece, shared in common(query, text)
    )
