"""A data set changed or taken out: a sample, other splits, a merge, a name, an export, a hub."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit import form
from ui.kit.choices import dataset_names, models_menu, open_menu
from ui.kit.events import on, on_busy
from ui.kit.markup import EMPTY, piece
from ui.kit.pushing import Pushing, stays
from ui.routes.downloads import download_url
from ui.services import Services
from ui.tabs.data.section import Section, Shown
from ui.words import sentences, t
from ui.words.amounts import size
from workbench.data.push import push_dataset
from workbench.data.registry import Dependents
from workbench.data.resplit import columns_of
from workbench.errors import BadInput
from workbench.recipes.base import Recipe
from workbench.recipes.data import (
    KEPT,
    ExportDataRecipe,
    MergeDataRecipe,
    ResplitRecipe,
    SampleRowsRecipe,
)
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
                self.push = Pushing("data-push")
        self.place = [self.others, self.name, shown.name]
        columns = self.resplit.form.components["field"]
        self.outputs = [self.box, self.others, self.name, self.exported, columns]

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
        self.push.listen(self.shown.id, self._push)

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

    def _push(self, id: str, repo: str, **more: Any) -> dict[str, Any]:
        return push_dataset(self.workspace, self.dataset(id), repo, **more)

    def view(self, dataset: Dataset | None, place: Sequence[Any] | None) -> dict[Any, Any]:
        """``place``: what is chosen to be merged with it, the field of its name, and the name that
        was chosen on the tab."""
        if dataset is None:
            return {self.box: gr.Accordion(visible=False), self.exported: EMPTY}
        others, typed, chosen = place or (None, "", "")
        names = [name for name in dataset_names(self.workspace) if name != dataset.name]
        kept = [name for name in others or () if name in names]
        offered = models_menu(names, kept)
        if others is not None and len(kept) == len(others):
            del offered["value"]  # What is chosen meanwhile is not written over.
        columns = columns_of(self.workspace.datasets.read(dataset.name))
        found = {
            self.box: gr.Accordion(visible=True),
            self.others: offered,
            self.exported: exported_html(self.services, _newest_export(self.services, dataset)),
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
