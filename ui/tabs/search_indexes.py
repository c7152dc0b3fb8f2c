"""The indexes there are: what each was measured at, and whether it is out of date."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.markup import EMPTY, badge, join, pick, piece, table
from ui.services import Services
from ui.tabs.search_outside import listed_html
from ui.words import sentences, t
from ui.words.amounts import count, size
from workbench.recipes.evaluate import IndexUpdateRecipe
from workbench.records import Index, Job
from workbench.search.index_types import INDEX_TYPES, IndexType
from workbench.search.pictures import of_pictures
from workbench.search.staleness import Stale, stale

#: Below this recall@10 a row says what would find more.
LOW = 0.9


@dataclass(frozen=True)
class Indexes:
    listed: gr.HTML


def render() -> Indexes:
    return Indexes(piece(elem_id="search-index-list", picks=True))


def update(services: Services, name: str) -> Job:
    """Start bringing an index up to date."""
    return services.workspace.jobs.submit(IndexUpdateRecipe.read({"index": name}))


def list_html(services: Services) -> str:
    """One row per index, newest first."""
    found = services.workspace.indexes.list()
    if not found:
        return EMPTY
    heads = [t("indexes.name"), t("indexes.kind"), t("indexes.documents"), t("indexes.disk")]
    heads += [t("indexes.recall"), t("indexes.ms"), t("indexes.state")]
    rows = [_row(one, stale(services.workspace, one)) for one in found]
    drawn = table(heads, rows, caption=t("indexes.caption"), numeric=[2, 3, 4, 5], stacked=True)
    legend = Markup('<p class="rw-quiet rw-small">{}</p>').format(t("indexes.recall_help"))
    return join([drawn, legend])


def _row(index: Index, reasons: list[Stale]) -> list[str]:
    summary = index.summary
    known = _type(summary)
    kind = sentences.said(known.label) if known else str(summary["structure"])
    if summary.get("plan", {}).get("cut"):
        kind = t("indexes.cut", kind=kind, dimensions=summary["dimensions"])
    if of_pictures(index):
        kind = t("indexes.of_pictures", kind=kind)
    recall, took = summary.get("recall@10"), summary.get("ms_p50")
    return [
        Markup('<strong>{}</strong><br><span class="rw-quiet rw-small">{}</span>').format(
            index.name, index.model
        ),
        kind,
        count(index.documents),
        size(index.bytes),
        "–" if recall is None else f"{recall:.3f}",
        "–" if took is None else f"{took:.2f}",
        _state(index, reasons),
    ]


def _state(index: Index, reasons: list[Stale]) -> Markup:
    notes = [
        Markup('<p class="rw-quiet rw-small">{}</p>').format(sentences.said(one))
        for one in index.summary.get("notes", [])
    ]
    notes += [_low(index.summary), _skipped(index.summary), listed_html(index)]
    if not reasons:
        return join([badge(t("indexes.fits"), "good"), *notes])
    said = [
        Markup('<p class="rw-small">{}</p>').format(sentences.said(one.sentence)) for one in reasons
    ]
    remedy = EMPTY
    if all(one.mend for one in reasons):
        anew = any(one.mend == "rebuild" for one in reasons)
        remedy = pick(index.name, t("indexes.rebuild" if anew else "indexes.update"))
    return join([badge(t("indexes.stale"), "warn"), *said, remedy, *notes])


def _low(summary: dict[str, Any]) -> Markup:
    """What to change where an index misses many of the best documents."""
    recall = summary.get("recall@10")
    if recall is None or recall >= LOW:
        return EMPTY
    known = _type(summary)
    known_remedy = known.remedy if known and not summary.get("plan", {}).get("cut") else ""
    remedy = sentences.said(known_remedy) if known_remedy else t("indexes.remedy_cut")
    words = t("indexes.low", remedy=remedy)
    return Markup('<p class="rw-small">{}</p>').format(words)


def _type(summary: dict[str, Any]) -> IndexType | None:
    """The index's type; None where what added it is not there any more."""
    name = str(summary.get("structure", "flat"))
    return INDEX_TYPES.get(name) if name in INDEX_TYPES else None


def _skipped(summary: dict[str, Any]) -> Markup:
    """The pictures that could not be opened, each with its reason, folded away."""
    listed = summary.get("skipped_pictures")
    if not listed:
        return EMPTY
    lines = join(
        Markup("<li>{}</li>").format(
            t("indexes.skipped_one", id=one["id"], detail=sentences.said(one["detail"]))
        )
        for one in listed
    )
    head = t("indexes.skipped", count=count(summary["skipped"]))
    return Markup(
        '<details class="rw-small"><summary>{}</summary><ul class="rw-notes">{}</ul></details>'
    ).format(head, lines)
