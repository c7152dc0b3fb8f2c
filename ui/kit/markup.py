"""Pieces of HTML. Text that comes from data enters only through ``Markup.format``, which escapes.

A plain ``str`` is text and is escaped; a ``Markup`` is HTML that was built here. Nothing else in
``ui`` writes tags, so a document with a script in it is shown, never run.
"""

from collections.abc import Iterable, Mapping, Sequence

import gradio as gr
from markupsafe import Markup

from ui.words import sentences, t

EMPTY = Markup("")

#: One handler for everything clickable in a piece of HTML: it says which ``data-pick`` was hit.
#: On the container, so that it outlives the content.
PICK_JS = """
element.addEventListener('click', (event) => {
  const hit = event.target.closest('[data-pick]');
  if (hit) trigger('select', {value: hit.dataset.pick});
});
"""


def piece(
    value: str = EMPTY, elem_id: str | None = None, *, picks: bool = False, visible: bool = True
) -> gr.HTML:
    """A component that shows what was built here, in our styles instead of Gradio's prose."""
    return gr.HTML(
        value,
        elem_id=elem_id,
        visible=visible,
        apply_default_css=False,
        js_on_load=PICK_JS if picks else None,
    )


def join(parts: Iterable[str]) -> Markup:
    """Pieces one after the other; plain strings are escaped."""
    return EMPTY.join(parts)


def badge(text: str, tone: str = "") -> Markup:
    """A small label; tone is '', 'good', 'bad', 'busy' or 'warn'."""
    return Markup('<span class="rw-badge {}">{}</span>').format(tone, text)


def moved(text: str, words: str) -> Markup:
    """A small label of signs ('3 → 1') that is read out, and explained on hovering, as words."""
    return Markup(
        '<span class="rw-badge" role="img" aria-label="{1}" title="{1}">{0}</span>'
    ).format(text, words)


def bar(share: float | None, label: str) -> Markup:
    """A progress bar; None means that it is not known how far."""
    if share is None:
        return Markup(
            '<div class="rw-bar unknown" role="progressbar" aria-label="{}"><i></i></div>'
        ).format(label)
    percent = round(100 * min(1.0, max(0.0, share)))
    return Markup(
        '<div class="rw-bar" role="progressbar" aria-label="{0}" aria-valuemin="0" '
        'aria-valuemax="100" aria-valuenow="{1}"><i style="width:{1}%"></i></div>'
    ).format(label, percent)


def empty(title: str, body: str = "") -> Markup:
    """What stands where nothing is yet: what it is for and what to do."""
    return Markup('<div class="rw-empty"><strong>{}</strong><p>{}</p></div>').format(title, body)


def pick(value: str, text: str, chosen: bool = False) -> Markup:
    """A button inside HTML; a click arrives as a ``select`` event with this value."""
    return Markup(
        '<button type="button" class="rw-pick" data-pick="{}" aria-pressed="{}">{}</button>'
    ).format(value, "true" if chosen else "false", text)


def quiet_lines(lines: Sequence[str]) -> Markup:
    """Sentences of the engine in small print; nothing where there are none."""
    if not lines:
        return EMPTY
    said = " ".join(map(sentences.said, lines))
    return Markup('<p class="rw-quiet rw-small" data-conditions>{}</p>').format(said)


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str,
    numeric: Sequence[int] = (),
    chosen: int | None = None,
    stacked: bool = False,
    beside: Sequence[str] = (),
    sort: Mapping[int, str] | None = None,
) -> Markup:
    """A table that scrolls inside itself. ``numeric`` columns are aligned right; ``sort`` says by
    which column the rows are sorted ('ascending' or 'descending').

    ``stacked``: on a narrow page each row is a card, the first and the last cell above the others,
    each of which has its head beside it (``beside``: other words for it, where heads are no plain
    text); nothing is out of sight there.
    """
    head = join(
        _cell("th", at in numeric, text, ' scope="col"' + _sorted((sort or {}).get(at)))
        for at, text in enumerate(heads)
    )
    beside = (beside or heads) if stacked else ()
    body = join(_row(row, numeric, at == chosen, beside) for at, row in enumerate(rows))
    return Markup(
        '<div class="rw-scroll" tabindex="0" role="region" aria-label="{0}">'
        '<table class="rw-table{3}" aria-label="{0}">'
        "<thead><tr>{1}</tr></thead><tbody>{2}</tbody></table></div>"
    ).format(caption, head, body, " rw-stacked" if stacked else "")


def _sorted(way: str | None) -> str:
    return f' aria-sort="{way}"' if way else ""


def _row(
    cells: Sequence[str], numeric: Sequence[int], chosen: bool, heads: Sequence[str] = ()
) -> Markup:
    named = [Markup(' data-head="{}"').format(head) for head in heads] or [EMPTY] * len(cells)
    inner = join(_cell("td", at in numeric, cell, named[at]) for at, cell in enumerate(cells))
    return Markup("<tr{}>{}</tr>").format(Markup(' class="chosen"') if chosen else EMPTY, inner)


def _cell(tag: str, right: bool, content: str, more: str = "") -> Markup:
    klass = Markup(' class="number"') if right else EMPTY
    return Markup("<{0}{1}{2}>{3}</{0}>").format(Markup(tag), klass, Markup(more), content)


def facts(pairs: Mapping[str, str]) -> Markup:
    """Names and values, as a description list."""
    return Markup('<dl class="rw-facts">{}</dl>').format(
        join(
            Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value)
            for name, value in pairs.items()
        )
    )


def clipped(text: str, limit: int = 240) -> Markup:
    """Long text, cut for a table; the whole opens in place."""
    if len(text) <= limit:
        return Markup('<span class="rw-text">{}</span>').format(text)
    return Markup('<details class="rw-text"><summary>{}… <em>{}</em></summary>{}</details>').format(
        text[:limit], t("more.open"), text
    )


def heading(text: str, more: str = "") -> Markup:
    """A second-level heading with a quiet line under it."""
    tail = Markup("<p>{}</p>").format(more) if more else EMPTY
    return Markup('<div class="rw-heading"><h2>{}</h2>{}</div>').format(text, tail)
