"""A data set changed or taken out: a sample, other splits, a merge, a name, an export, a hub."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui import form, pushing
from ui.choices import dataset_names, models_menu, open_menu, shown_dataset
from ui.feedback import on, on_busy
from ui.markup import EMPTY, piece
from ui.routes.downloads import download_url
from ui.services import Services
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
TASKS = tuple(
    recipe.task for recipe in (SampleRowsRecipe, ResplitRecipe, MergeDataRecipe, ExportDataRecipe)
)
#: Fields that the page knows, or that a first look does without.
_KNOWN = ("dataset", "dataset_version", "seed", "output")
#: Names of a warning that are written out.
_NAMED = 5


@dataclass(frozen=True)
class Change:
    box: gr.Accordion
    sample: form.Form
    sample_start: gr.Button
    resplit: form.Form
    resplit_start: gr.Button
    others: gr.Dropdown
    merge_name: gr.Textbox
    merge_start: gr.Button
    name: gr.Textbox
    rename: gr.Button
    export: form.Form
    export_start: gr.Button
    exported: gr.HTML
    push: pushing.Pushing

    @property
    def outputs(self) -> list[Any]:
        return [
            *(self.box, self.others, self.name, self.exported),
            self.resplit.components["field"],
        ]


def render() -> Change:
    box = gr.Accordion(t("change.title"), open=False, visible=False, elem_id="data-change")
    with box, gr.Tabs():
        with gr.Tab(t("change.sample"), id="sample"):
            sample, sample_start = _form(SampleRowsRecipe, "sample", t("change.sample_start"))
        with gr.Tab(t("change.resplit"), id="resplit"):
            resplit, resplit_start = _form(ResplitRecipe, "resplit", t("change.resplit_start"))
        with gr.Tab(t("change.merge"), id="merge"):
            others = open_menu(
                multiselect=True,
                label=t("change.others"),
                info=t("change.others_help"),
                elem_id="merge-others",
            )
            merge_name = _name(t("field.name"), "merge-name")
            merge_start = _button(t("change.merge_start"), "merge-start")
        with gr.Tab(t("change.rename"), id="rename"):
            name = _name(t("change.new_name"), "rename-name")
            rename = _button(t("change.rename_start"), "rename-start")
        with gr.Tab(t("change.export"), id="export"):
            export, export_start = _form(ExportDataRecipe, "export", t("change.export_start"))
            exported = piece(elem_id="data-exported")
        with gr.Tab(t("change.push"), id="push"):
            piece(Markup('<p class="rw-quiet">{}</p>').format(t("change.push_about")))
            push = pushing.render("data-push")
    return Change(
        box,
        sample,
        sample_start,
        resplit,
        resplit_start,
        others,
        merge_name,
        merge_start,
        name,
        rename,
        export,
        export_start,
        exported,
        push,
    )


def _form(recipe: type[Recipe], prefix: str, start: str) -> tuple[form.Form, gr.Button]:
    drawn = form.render(recipe, skip=_KNOWN, prefix=prefix)
    return drawn, _button(start, f"{prefix}-start")


def _button(text: str, id: str) -> gr.Button:
    return gr.Button(text, size="sm", elem_id=id, elem_classes="rw-fit")


def _name(label: str, id: str) -> gr.Textbox:
    return gr.Textbox(label=label, max_lines=1, interactive=True, elem_id=id)


def listen(
    services: Services,
    change: Change,
    name: gr.BrowserState,
    chosen: gr.Textbox,
    picked: gr.Number,
    again: Callable[[Any], None],
) -> None:
    """``name`` and ``chosen`` hold the name and the id of the data set that is shown.

    ``picked``: the version that is looked into, which is what is written out; 0: the current.
    ``again`` has the whole tab filled after an event.
    """
    jobs = services.workspace.jobs

    def starter(drawn: form.Form) -> Callable[..., None]:
        def start(name: str, version: float, *raw: Any) -> None:
            name = shown_dataset(services.workspace, name)
            about = {"dataset": name, "dataset_version": int(version) or None}
            recipe = drawn.recipe.read({**drawn.values(raw), **about})
            jobs.submit(recipe, name="" if getattr(recipe, "name", "") else name)

        return start

    def merge(name: str, others: list[str], wanted: str) -> list[Any]:
        name = shown_dataset(services.workspace, name)
        names = [name, *(one for one in others or [] if one != name)]
        if len(names) < 2:
            raise BadInput(t("change.no_others"), t("change.others_help"))
        jobs.submit(MergeDataRecipe.read({"datasets": names, "name": wanted.strip()}))
        return [[], ""]

    def rename(name: str, wanted: str) -> str:
        before = shown_dataset(services.workspace, name)
        return services.workspace.datasets.rename(before, wanted).name

    for drawn, button, words in (
        (change.sample, change.sample_start, "change.sample_start"),
        (change.resplit, change.resplit_start, "change.resplit_start"),
        (change.export, change.export_start, "change.export_start"),
    ):
        form.listen_depends(drawn)
        inputs = [chosen, picked, *drawn.inputs]
        says = t("change.starting")
        again(on_busy(button, starter(drawn), inputs, None, says=says, then=t(words)))
    merged = on_busy(
        change.merge_start,
        merge,
        [chosen, change.others, change.merge_name],
        [change.others, change.merge_name],
        says=t("change.starting"),
        then=t("change.merge_start"),
    )
    again(merged)
    again(on(change.rename.click, rename, [chosen, change.name], name))

    def push(picked: str, repo: str, **more: Any) -> dict[str, Any]:
        name = shown_dataset(services.workspace, picked)
        return push_dataset(services.workspace, name, repo, **more)

    pushing.listen(change.push, chosen, push)


def view(
    services: Services,
    dataset: Dataset | None,
    others: Sequence[str] | None = None,
    named: bool = True,
) -> list[Any]:
    """Updates for ``Change.outputs``. ``others``: what is chosen to be merged with it, None in a
    data set that was not shown before; ``named``: the field of its name is to hold it."""
    if dataset is None:
        return [gr.Accordion(visible=False), gr.skip(), gr.skip(), EMPTY, gr.skip()]
    names = [name for name in dataset_names(services.workspace) if name != dataset.name]
    kept = [name for name in others or () if name in names]
    offered = models_menu(names, kept)
    if others is not None and len(kept) == len(others):
        del offered["value"]  # What is chosen meanwhile is not written over.
    return [
        gr.Accordion(visible=True),
        offered,
        dataset.name if named else gr.skip(),
        exported_html(services, _newest_export(services, dataset)),
        # Only what is offered: what is chosen stays, however often the tab looks again.
        gr.update(choices=columns_of(services.workspace.datasets.read(dataset.name))),
    ]


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
    lost = how + pushing.stays(said["left_out"])
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
