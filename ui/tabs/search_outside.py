"""Leaving single documents out of an index, taking them back, and what an update has done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.choices import open_menu
from ui.kit.form import draw, from_component
from ui.kit.markup import EMPTY, join, piece
from ui.services import Services
from ui.words import t
from ui.words.amounts import count
from workbench.errors import BadInput
from workbench.recipes.describe import describe
from workbench.recipes.evaluate import IndexUpdateRecipe
from workbench.records import Index, Job

SPECS = {spec.name: spec for spec in describe(IndexUpdateRecipe)}
FIELDS = ("leave_out", "take_back", "rebuild")


@dataclass(frozen=True)
class Outside:
    box: gr.Accordion
    index: gr.Dropdown
    fields: list[Any]
    start: gr.Button


def render() -> Outside:
    with gr.Accordion(
        t("outside.title"), open=False, visible=False, elem_id="search-outside"
    ) as box:
        piece(Markup('<p class="rw-quiet">{}</p>').format(t("outside.about")))
        index = open_menu(label=t("outside.index"), elem_id="outside-index")
        with gr.Row(equal_height=False):
            lists = [draw(SPECS[name], [], prefix="outside") for name in FIELDS[:2]]
        anew = draw(SPECS["rebuild"], False, prefix="outside")
        with gr.Row(elem_classes="rw-actions"):
            start = gr.Button(t("outside.start"), elem_id="outside-start")
    return Outside(box, index, [*lists, anew], start)


def begin(services: Services, name: str | None, *raw: Any) -> Job:
    """Start the update that the fields ask for.

    Raises :class:`BadInput` where nothing is asked for, or a document is to be taken back that was
    not left out; ids to leave out are looked up by the job, which reads the data set anyway.
    """
    if not name:
        raise BadInput(t("outside.no_index"), t("outside.no_index_hint"))
    values = {
        field: from_component(SPECS[field], value) for field, value in zip(FIELDS, raw, strict=True)
    }
    for field in FIELDS[:2]:
        values[field] = [id for one in values[field] if (id := one.strip())]
    if not any(values.values()):
        raise BadInput(t("outside.nothing"), t("outside.nothing_hint"))
    index = services.workspace.indexes.get(name)
    for id in values["take_back"]:
        if id not in left_out(index):
            raise BadInput(t("outside.not_out", id=id, index=index.name), t("outside.not_out_hint"))
    return services.workspace.jobs.submit(IndexUpdateRecipe.read({"index": name, **values}))


def left_out(index: Index) -> Sequence[str]:
    """The ids of the documents that the index is without because somebody said so."""
    found: Sequence[str] = index.summary.get("left_out", [])
    return found


def listed_html(index: Index) -> Markup:
    """Those ids, folded away; nothing where there are none."""
    ids = left_out(index)
    if not ids:
        return EMPTY
    return Markup(
        '<details class="rw-small"><summary>{}</summary><ul class="rw-notes">{}</ul></details>'
    ).format(
        t("outside.listed", count=count(len(ids))),
        join(Markup("<li><code>{}</code></li>").format(id) for id in ids),
    )


def done_html(services: Services, job: Job) -> Markup:
    """What an update that is done has changed."""
    result = job.result or {}
    name = str(result.get("index", job.recipe.get("index", "")))
    numbers = {field: count(int(result.get(field, 0))) for field in ("added", "removed")}
    documents = count(int(result.get("documents", 0)))
    if result.get("rebuilt"):
        words = t("outside.done_anew", index=name, documents=documents)
    else:
        words = t("outside.done", index=name, documents=documents, **numbers)
    indexes = services.workspace.indexes
    out = len(left_out(indexes.get(name))) if indexes.exists(name) else 0
    if out:
        words = f"{words} {t('outside.done_out', count=count(out))}"
    return Markup('<article class="rw-card" role="status"><p>{}</p></article>').format(words)
