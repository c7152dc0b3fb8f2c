"""What a data set without queries holds: its scored pairs, or its documents."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from ui.markup import badge, clipped
from ui.words import t
from ui.words.amounts import count


def lines(
    reader: Any, offset: int, limit: int, split: str, see: Callable[[int], Markup]
) -> tuple[list[str], list[list[str]]]:
    """The heads and the rows of a table of them; ``see`` shows a document's picture."""
    if reader.counts["pairs"]:
        return _pair_lines(reader, offset, limit, split)
    return _document_lines(reader, offset, limit, see)


def pair_facts(summary: Mapping[str, Any]) -> dict[str, str]:
    """How many scored pairs there are, where there are any."""
    pairs = summary.get("pairs", 0)
    return {t("bring.remark_pairs"): count(pairs)} if pairs else {}


def _pair_lines(
    reader: Any, offset: int, limit: int, split: str
) -> tuple[list[str], list[list[str]]]:
    heads = [t("rows.split"), t("bring.left"), t("bring.right"), t("bring.score")]
    found = reader.pair_page(offset, offset + limit, split or None).to_pylist()
    return heads, [
        [
            badge(t(f"split.{one['split']}")),
            clipped(one["left"]),
            clipped(one["right"]),
            f"{one['score']:g}",
        ]
        for one in found
    ]


def _document_lines(
    reader: Any, offset: int, limit: int, see: Callable[[int], Markup]
) -> tuple[list[str], list[list[str]]]:
    heads = [t("bring.title"), t("bring.text"), t("bring.source")]
    found = reader.documents(offset, offset + limit).to_pylist()
    return heads, [
        [
            see(offset + at) if one["picture"] else one["title"] or "",
            clipped(one["text"]),
            _source(one["fields"], one["id"]),
        ]
        for at, one in enumerate(found)
    ]


def _source(fields: str | None, id: str) -> Markup:
    """Where a piece comes from; the id of a document that says nothing of that."""
    known = json.loads(fields) if fields else {}
    said = [str(known[name]) for name in ("file", "heading", "page") if known.get(name)]
    return Markup('<span class="rw-text short">{}</span>').format(", ".join(said) or id)
