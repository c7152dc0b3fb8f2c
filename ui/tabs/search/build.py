"""An index in the making: its form, and the job."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.cards import job_card
from ui.kit.choices import (
    PACKAGED,
    dataset_names,
    menu,
    model_menu,
    model_names,
    open_menu,
)
from ui.kit.dropzone import dropzone, staged_files
from ui.kit.events import on, on_busy
from ui.kit.form import choice_label, draw, from_component, label
from ui.kit.job_slot import card_html, find
from ui.kit.markup import EMPTY, join, piece
from ui.services import Services
from ui.tabs.data.bring import name_from
from ui.tabs.search.indexes import done_html
from ui.words import sentences, t
from workbench.errors import BadInput
from workbench.model_kinds import scoring, seeing
from workbench.models.resolve import resolve
from workbench.prepare import prepare
from workbench.recipes.data import ImportRecipe
from workbench.recipes.describe import describe
from workbench.recipes.evaluate import IndexRecipe, IndexUpdateRecipe
from workbench.records import Job, JobStatus

#: Jobs that make or update an index.
TASKS = (IndexRecipe.task, IndexUpdateRecipe.task)
SPECS = {spec.name: spec for spec in describe(IndexRecipe)}
EXTRA = ("structure", "truncate_dim", "rescore", "probes", "code_bytes", "precision", "device")

_LOOKED_AT = 1_000


class Build:
    """The form of an index (data set, model, name, one of three presets, the rest folded away), and
    the way from files of one's own to one in one go."""

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Row(equal_height=False):
            about: dict[str, Any] = {"min_width": 200}
            self.dataset = open_menu(label=t("search.dataset"), elem_id="index-dataset", **about)
            self.model = open_menu(label=t("search.model"), elem_id="index-model", **about)
            self.name = gr.Textbox(
                label=t("search.name"),
                placeholder=t("search.name_hint"),
                max_lines=1,
                interactive=True,
                elem_id="index-name",
                **about,
            )
        #: What of the chosen data the chosen model indexes, where pictures are among them.
        self.hint = piece(elem_id="index-hint")
        self.type = gr.Radio(
            [(choice_label(SPECS["type"], one), one) for one in SPECS["type"].choices],
            value="exact",
            label=label("type"),
            info=sentences.said(SPECS["type"].help),
            interactive=True,
            elem_id="index-type",
        )
        with gr.Accordion(t("indexes.more"), open=False), gr.Row(equal_height=False):
            self.extra = {
                field: draw(SPECS[field], SPECS[field].default, prefix="index") for field in EXTRA
            }
        self.start = gr.Button(t("search.build"), elem_id="index-build", elem_classes="rw-fit")
        self._draw_upload()
        self.inputs = [self.dataset, self.model, self.name, self.type, *self.extra.values()]

    def _draw_upload(self) -> None:
        with gr.Accordion(t("upload_index.title"), open=False, elem_id="index-upload"):
            piece(Markup('<p class="rw-quiet">{}</p>').format(t("upload_index.about")))
            self.drop = dropzone(
                self.services,
                elem_id="index-drop",
                label=t("upload_index.label"),
                hint=t("upload_index.hint"),
            )
            with gr.Row(elem_classes="rw-actions"):
                self.upload = gr.Button(t("upload_index.start"), elem_id="index-upload-start")
            piece(Markup('<p class="rw-quiet rw-small">{}</p>').format(t("upload_index.more")))

    def listen(self, show: Callable[[Job], dict[Any, Any]], outputs: Sequence[Any]) -> None:
        """``show(job)`` gives updates for ``outputs`` once a job was started."""

        def start(*raw: Any) -> dict[Any, Any]:
            job = self.services.workspace.jobs.submit(self.read(raw))
            return {self.name: "", **show(job)}

        def upload(files: str | None, *raw: Any) -> dict[Any, Any]:
            return {self.drop: "", self.name: "", **show(self.begin_upload(files, raw))}

        on_busy(
            *(self.start, start, self.inputs, [self.name, *outputs]),
            says=t("search.building"),
            then=t("search.build"),
        )
        on_busy(
            *(self.upload, upload, [self.drop, *self.inputs]),
            [self.drop, self.name, *outputs],
            says=t("upload_index.starting"),
            then=t("upload_index.start"),
        )
        for one in (self.dataset, self.model):
            on(
                one.change,
                lambda dataset, model: hint_html(self.services, dataset, model),
                [self.dataset, self.model],
                self.hint,
            )

    def read(self, raw: Sequence[Any]) -> IndexRecipe:
        """The recipe; raises BadRecipe with a sentence per bad field."""
        dataset, model, name, type, *more = raw
        values = {"dataset": dataset or "", "model": model or "", "name": name.strip()}
        extra = {
            field: from_component(SPECS[field], value)
            for field, value in zip(self.extra, more, strict=True)
        }
        return IndexRecipe.read({**values, "type": type, **extra})

    def begin_upload(self, files: str | None, raw: Sequence[Any]) -> Job:
        """Start an import and the index that waits for it; the latter.

        Raises :class:`BadInput` where there is no file, and what the form may raise; then neither
        was started.
        """
        workspace = self.services.workspace
        paths = [str(path) for path in staged_files(self.services, files)]
        if not paths:
            raise BadInput(t("upload_index.no_files"), t("upload_index.no_files_hint"))
        name = workspace.datasets.free_name(name_from(paths))
        recipe = self.read([name, *raw[1:]])
        # What can be refused is refused before the files are taken.
        resolve(workspace, recipe.model)
        prepare(recipe, workspace, True)
        made = workspace.jobs.submit(ImportRecipe(paths=paths, name=name, remove_after=True))
        return workspace.jobs.submit(recipe, after=made.id)

    def view(self, dataset: str | None, model: str | None) -> dict[Any, Any]:
        """The menus, as they are chosen."""
        return {
            self.dataset: menu(dataset_names(self.services.workspace), dataset),
            self.model: model_menu(encoders(self.services), model or PACKAGED),
        }


def encoders(services: Services) -> list[str]:
    """The models an index can be built with."""
    others = {model.name for model in services.workspace.models.list() if model.kind in scoring()}
    return [name for name in model_names(services.workspace) if name not in others]


def job_html(services: Services, job: Job | None) -> str:
    """A build on its way or failed, and the import it waits for; one that succeeded is in the
    menu, and an update that did says what it changed."""
    if job is not None and job.status is JobStatus.SUCCEEDED and job.task == IndexUpdateRecipe.task:
        return done_html(services, job)
    waits = job is not None and job.status is JobStatus.QUEUED
    before = find(services, job.after) if job and waits else None
    return str(join([job_card(before) if before else EMPTY, card_html(job)]))


def hint_html(services: Services, dataset: str | None, model: str | None) -> Markup:
    """Whether pictures or their captions would be indexed; nothing where there is no picture in
    question, or where data or model are not in the workspace."""
    workspace = services.workspace
    if not (dataset and model and workspace.datasets.exists(dataset)):
        return EMPTY
    sees = [one.name for one in workspace.models.list() if one.kind in seeing()]
    # A look at the beginning: this is asked at each choice, and data sets may be large.
    seen = workspace.datasets.read(dataset).documents(0, _LOOKED_AT)["picture"]
    pictures = seen.null_count < len(seen)
    if model in sees:
        key = "build.sees" if pictures else "build.none_seen"
    elif not pictures:
        return EMPTY
    else:
        key = "build.captions_have" if sees else "build.captions"
    words = t(key, dataset=dataset, model=model, names=", ".join(sees[:3]))
    return Markup('<p class="rw-quiet rw-small">{}</p>').format(words)
