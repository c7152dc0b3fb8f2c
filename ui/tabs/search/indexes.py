"""The indexes there are: what each was measured at, and whether it is out of date."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.choices import menu, open_menu
from ui.kit.events import on, on_busy
from ui.kit.form import draw, from_component
from ui.kit.markup import EMPTY, badge, join, pick, piece, table
from ui.services import Services
from ui.words import sentences, t
from ui.words.amounts import count, size
from workbench.errors import BadInput
from workbench.recipes.describe import describe
from workbench.recipes.evaluate import IndexUpdateRecipe
from workbench.records import Index, Job
from workbench.search.index_types import INDEX_TYPES, IndexType
from workbench.search.pictures import of_pictures
from workbench.search.staleness import Stale, stale

SPECS = {spec.name: spec for spec in describe(IndexUpdateRecipe)}
FIELDS = ("leave_out", "take_back", "rebuild")
#: Below this recall@10 a row says what would find more.
LOW = 0.9


class Indexes:
    """The list, each with what brings it up to date; below, what leaves single documents out."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.list = piece(elem_id="search-index-list", picks=True)
        with gr.Accordion(
            t("outside.title"), open=False, visible=False, elem_id="search-outside"
        ) as self.box:
            piece(Markup('<p class="rw-quiet">{}</p>').format(t("outside.about")))
            self.index = open_menu(label=t("outside.index"), elem_id="outside-index")
            with gr.Row(equal_height=False):
                self.fields = [draw(SPECS[name], [], prefix="outside") for name in FIELDS[:2]]
            self.fields.append(draw(SPECS["rebuild"], False, prefix="outside"))
            with gr.Row(elem_classes="rw-actions"):
                self.start = gr.Button(t("outside.start"), elem_id="outside-start")
        self.outputs = [self.list, self.box, self.index]

    def listen(self, show: Callable[[Job], dict[Any, Any]], outputs: Sequence[Any]) -> None:
        """``show(job)`` gives updates for ``outputs`` once a job was started."""
        jobs = self.services.workspace.jobs

        def update(event: gr.EventData) -> dict[Any, Any]:
            return show(jobs.submit(IndexUpdateRecipe.read({"index": str(event.value)})))

        def start(name: str | None, *raw: Any) -> dict[Any, Any]:
            job = begin(self.services, name, *raw)
            return {**dict(zip(self.fields, ("", "", False), strict=True)), **show(job)}

        on(self.list.select, update, None, outputs, queue=True)
        on_busy(
            *(self.start, start, [self.index, *self.fields], [*self.fields, *outputs]),
            says=t("outside.starting"),
            then=t("outside.start"),
        )

    def view(self, chosen: str | None) -> dict[Any, Any]:
        """``chosen``: the one that documents are left out of."""
        names = [index.name for index in self.services.workspace.indexes.list()]
        return {
            self.list: list_html(self.services),
            self.box: gr.Accordion(visible=bool(names)),
            self.index: menu(names, chosen),
        }


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
