"""A data set changed or taken out: a sample, other splits, a merge, a name, an export, a hub; and
how it came to be, its versions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import form
from ui.kit.choices import dataset_names, models_menu, open_menu
from ui.kit.events import on, on_busy
from ui.kit.job_slot import JobSlot, card_html
from ui.kit.markup import EMPTY, badge, clipped, facts, join, pick, piece, table
from ui.kit.pushing import Pushing, stays
from ui.routes.downloads import download_url
from ui.services import Services
from ui.tabs.data.section import Section, Shown
from ui.words import sentences, t
from ui.words.amounts import ago, count, size
from workbench.data.registry import Dependents
from workbench.data.versions import VersionInfo, versions
from workbench.errors import BadInput
from workbench.recipes.base import Recipe
from workbench.recipes.data import (
    KEPT,
    DataFixRecipe,
    ExportDataRecipe,
    MergeDataRecipe,
    ResplitRecipe,
    SampleRowsRecipe,
)
from workbench.recipes.push import PushDataRecipe
from workbench.records import Dataset, Job, JobStatus

#: Jobs that this part of the page starts.
CHANGES = tuple(
    recipe.task for recipe in (SampleRowsRecipe, ResplitRecipe, MergeDataRecipe, ExportDataRecipe)
)
#: Fields that the page knows, or that a first look does without.
_KNOWN = ("dataset", "dataset_version", "seed", "output")
#: Names of a warning that are written out.
_NAMED = 5


class ChangeSection(Section):
    """What makes another data set or version of the one that is shown, or writes it out."""

    job: JobSlot

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with (
            gr.Accordion(
                t("change.title"), open=False, visible=False, elem_id="data-change"
            ) as self.box,
            gr.Tabs(),
        ):
            with gr.Tab(t("change.sample"), id="sample"):
                self.sample = Starter(SampleRowsRecipe, "sample", t("change.sample_start"))
            with gr.Tab(t("change.resplit"), id="resplit"):
                self.resplit = Starter(ResplitRecipe, "resplit", t("change.resplit_start"))
            with gr.Tab(t("change.merge"), id="merge"):
                self.others = open_menu(
                    multiselect=True,
                    label=t("change.others"),
                    info=t("change.others_help"),
                    elem_id="merge-others",
                )
                self.merge_name = _name(t("field.name"), "merge-name")
                self.merge = _button(t("change.merge_start"), "merge-start")
            with gr.Tab(t("change.rename"), id="rename"):
                self.name = _name(t("change.new_name"), "rename-name")
                self.rename = _button(t("change.rename_start"), "rename-start")
            with gr.Tab(t("change.export"), id="export"):
                self.export = Starter(ExportDataRecipe, "export", t("change.export_start"))
                self.exported = piece(elem_id="data-exported")
            with gr.Tab(t("change.push"), id="push"):
                piece(Markup('<p class="rw-quiet">{}</p>').format(t("change.push_about")))
                self.push = Pushing(self.services, "data-push", PushDataRecipe, "dataset")
        self.place = [self.others, self.name, shown.name]
        columns = self.resplit.form.components["field"]
        self.job = self.push.job
        self.outputs = [self.box, self.others, self.name, self.exported, columns]
        self.outputs += self.push.outputs

    def listen(self) -> None:
        for one in (self.sample, self.resplit, self.export):
            form.listen_depends(one.form)
            inputs = [self.shown.id, self.shown.version, *one.form.inputs]
            says = t("change.starting")
            begun = on_busy(
                one.start, self._starter(one.form), inputs, None, says=says, then=one.words
            )
            self.shown.refill(begun)
        merged = on_busy(
            self.merge,
            self._merge,
            [self.shown.id, self.others, self.merge_name],
            [self.others, self.merge_name],
            says=t("change.starting"),
            then=t("change.merge_start"),
        )
        self.shown.refill(merged)
        given = [self.shown.id, self.name]
        self.shown.refill(on(self.rename.click, self._rename, given, self.shown.name))
        get = self.workspace.datasets.get
        self.push.listen(self.shown.id, get)
        stopped = lambda _job, id: self.push.view(get(id))  # noqa: E731
        self.job.listen(self.services, stopped, [self.shown.id], self.push.outputs)

    def _starter(self, drawn: form.Form) -> Callable[..., None]:
        def start(id: str, version: float, *raw: Any) -> None:
            name = self.dataset(id)
            # The version that is looked into is what is written out.
            about = {"dataset": name, "dataset_version": int(version) or None}
            recipe = drawn.recipe.read({**drawn.values(raw), **about})
            self.workspace.jobs.submit(recipe, name="" if getattr(recipe, "name", "") else name)

        return start

    def _merge(self, id: str, others: list[str], wanted: str) -> list[Any]:
        name = self.dataset(id)
        names = [name, *(one for one in others or [] if one != name)]
        if len(names) < 2:
            raise BadInput(t("change.no_others"), t("change.others_help"))
        recipe = MergeDataRecipe.read({"datasets": names, "name": wanted.strip()})
        self.workspace.jobs.submit(recipe)
        return [[], ""]

    def _rename(self, id: str, wanted: str) -> str:
        return self.workspace.datasets.rename(self.dataset(id), wanted).name

    def changed(self, name: str, _place: Sequence[Any], card: str) -> dict[Any, Any] | None:
        dataset = self.workspace.datasets.get(name)
        same = str(card_html(self.push.newest(dataset))) == card
        return {} if same else self.push.view(dataset)

    def view(self, dataset: Dataset | None, place: Sequence[Any] | None) -> dict[Any, Any]:
        """``place``: what is chosen to be merged with it, the field of its name, and the name that
        was chosen on the tab."""
        if dataset is None:
            hidden = {self.box: gr.Accordion(visible=False), self.exported: EMPTY}
            return {**hidden, **self.push.view(None)}
        others, typed, chosen = place or (None, "", "")
        names = [name for name in dataset_names(self.workspace) if name != dataset.name]
        kept = [name for name in others or () if name in names]
        offered = models_menu(names, kept)
        if others is not None and len(kept) == len(others):
            del offered["value"]  # What is chosen meanwhile is not written over.
        columns = self.workspace.datasets.read(dataset.name).own_columns()
        found = {
            self.box: gr.Accordion(visible=True),
            self.others: offered,
            self.exported: exported_html(self.services, _newest_export(self.services, dataset)),
            **self.push.view(dataset),
            # Only what is offered: what is chosen stays, however often the tab looks again.
            self.resplit.form.components["field"]: gr.update(choices=columns),
        }
        if place is None or typed == chosen != dataset.name:  # Shown afresh, or renamed elsewhere.
            found[self.name] = dataset.name
        return found


class Starter:
    """A recipe's form, and the button that starts it."""

    def __init__(self, recipe: type[Recipe], prefix: str, words: str) -> None:
        self.words = words
        self.form = form.render(recipe, skip=_KNOWN, prefix=prefix)
        self.start = _button(self.words, f"{prefix}-start")


def _button(text: str, id: str) -> gr.Button:
    return gr.Button(text, size="sm", elem_id=id, elem_classes="rw-fit")


def _name(label: str, id: str) -> gr.Textbox:
    return gr.Textbox(label=label, max_lines=1, interactive=True, elem_id=id)


def _newest_export(services: Services, dataset: Dataset) -> Job | None:
    jobs = services.workspace.jobs
    return next(iter(jobs.about(dataset.name, ExportDataRecipe.task, JobStatus.SUCCEEDED)), None)


def exported_html(services: Services, job: Job | None) -> Markup:
    """Where the last export is, what is in it, and what its shape has no place for."""
    if job is None or not job.result:
        return EMPTY
    said = job.result
    files = ", ".join(one["file"] for one in said["files"])
    about = t("change.exported", version=said["version"], files=files, size=size(said["bytes"]))
    link = EMPTY
    if not said["output"]:
        url = download_url(services, "jobs", job.id, KEPT)
        link = Markup('<a class="rw-pick" href="{}" download>{}</a>').format(
            url, t("change.download")
        )
    how = EMPTY
    if said.get("scores"):
        how = Markup('<p class="rw-quiet">{}</p>').format(sentences.said(said["scores"]))
    lost = how + stays(said["left_out"])
    return Markup('<article class="rw-card"><p>{} {}</p>{}</article>').format(about, link, lost)


def warning(found: Dependents) -> str:
    """What a data set's removal costs, in sentences; '' when nothing depends on it."""
    said = []
    if found.models:
        said.append(t("change.models_lose", names=_names(found.models)))
    if found.indexes:
        said.append(t("change.indexes_lose", names=_names(found.indexes)))
    if found.evaluations:
        said.append(t("change.evaluations_lose", count=found.evaluations))
    return " ".join(said)


def _names(names: list[str]) -> str:
    more = f" +{len(names) - _NAMED}" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


# How a data set came to be: its versions, a look into one, and which is the current one.

#: Queries of a version that are shown.
ROWS = 5


class VersionsSection(Section):
    """The versions of the data set, and a look into one."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(
            t("versions.title"), open=False, visible=False, elem_id="data-versions"
        ) as self.box:
            self.table = piece(elem_id="version-list", picks=True)
            self.about = piece(elem_id="version-shown")
            self.use = gr.Button(
                t("versions.use"),
                size="sm",
                visible=False,
                elem_id="version-use",
                elem_classes="rw-fit",
            )
        self.place = [shown.version]
        self.outputs = [self.box, self.table, shown.version, self.about, self.use]

    def listen(self) -> None:
        on(self.table.select, self._look, self.shown.id, self.outputs)
        used = on(self.use.click, self._use, [self.shown.id, self.shown.version])
        self.shown.refill(used)

    def _look(self, id: str, event: gr.EventData) -> dict[Any, Any]:
        dataset = self.workspace.datasets.get(self.dataset(id))
        return self.view(dataset, [int(str(event.value))])

    def _use(self, id: str, picked: float) -> None:
        self.workspace.datasets.make_current(self.dataset(id), int(picked))

    def view(self, dataset: Dataset | None, place: Sequence[Any] | None) -> dict[Any, Any]:
        """``place``: the number of the version that is looked into."""
        picked = int(place[0] or 0) if place else 0
        found = versions(self.workspace, dataset.name) if dataset else []
        at = next((place for place, one in enumerate(found) if one.version == picked), None)
        one = None if at is None else found[at]
        count = gr.Accordion(label=t("versions.count", count=len(found)), visible=True)
        return {
            self.box: count if dataset else gr.Accordion(visible=False),
            self.table: list_html(found, at) if dataset else EMPTY,
            self.shown.version: picked if one else 0,
            self.about: version_html(self.services, dataset, one) if dataset and one else EMPTY,
            self.use: gr.Button(visible=one is not None and not one.current),
        }


def list_html(found: list[VersionInfo], at: int | None) -> str:
    """The newest first."""
    heads = [t("versions.number"), t("versions.what"), t("data.col_queries")]
    heads += [t("data.col_documents"), t("versions.judgments"), t("versions.candidates")]
    heads.append(t("versions.made"))
    lines = [_line(one, place == at) for place, one in reversed(list(enumerate(found)))]
    chosen = None if at is None else len(found) - 1 - at
    caption = t("versions.title")
    return table(heads, lines, caption=caption, numeric=[2, 3, 4, 5], chosen=chosen)


def _line(one: VersionInfo, chosen: bool) -> list[str]:
    number = pick(str(one.version), str(one.version), chosen)
    if one.current:
        number = join([number, " ", badge(t("versions.current"), "good")])
    kinds = ("queries", "documents", "judgments", "candidates")
    counts = [count(one.summary.get(kind) or 0) for kind in kinds]
    return [number, what_words(one), *counts, ago(one.created_at)]


def what_words(one: VersionInfo) -> str:
    """What made a version, with what it counted."""
    if one.by == DataFixRecipe.task:
        what, said = t("versions.fixed", what=_fixes(one.counts)), ""
    else:
        what, said = sentences.said(one.what), ", ".join(_counted(one.counts))
    origin = t("versions.from", version=one.parent) if one.parent else ""
    return " · ".join(part for part in (what, said, origin) if part)


def _fixes(counts: Mapping[str, Any]) -> str:
    """Each fix with the number of things it changed. What left with them is the list's to show."""
    return ", ".join(
        f"{t(f'fixed_by.{code}')} ({count(sum(changed.values()))})"
        for code, changed in counts.items()
        if isinstance(changed, Mapping)
    )


def _counted(counts: Mapping[str, Any]) -> Iterator[str]:
    for key, value in counts.items():
        yield f"{sentences.said(key.replace('_', ' '))}: {_short(value)}"


def _short(value: Any) -> str:
    return count(value) if isinstance(value, int | float) else str(value)


def version_html(services: Services, dataset: Dataset, one: VersionInfo) -> Markup:
    """A version's splits and lineage, and its first queries."""
    splits = one.summary.get("pair_splits") or one.summary.get("splits") or {}
    about = {t(f"split.{split}"): count(number) for split, number in splits.items()}
    about |= {
        t("versions.step", version=step["version"]): sentences.said(str(step.get("what", "")))
        for step in one.lineage
    }
    reader = services.workspace.datasets.read(dataset.name, one.version)
    rows = [
        [badge(t(f"split.{row.split}")), clipped(row.query), _first(row.positives)]
        for row in reader.page(0, ROWS)
    ]
    heads = [t("rows.split"), t("rows.query"), t("rows.positives")]
    shown = table(heads, rows, caption=t("versions.rows", version=one.version)) if rows else EMPTY
    return Markup('<article class="rw-card"><h3>{}</h3>{}{}</article>').format(
        t("versions.rows", version=one.version), facts(about), shown
    )


def _first(texts: list[str]) -> Markup:
    return clipped(texts[0]) if texts else EMPTY
