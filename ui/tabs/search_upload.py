"""An index from files of one's own in one go: an import, and the index that waits for it."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.dropzone import dropzone, staged_files
from ui.kit.markup import piece
from ui.services import Services
from ui.tabs.data.bring import name_from
from ui.tabs.search_build import Build
from ui.words import t
from workbench.errors import BadInput
from workbench.models.resolve import resolve
from workbench.recipes.data import ImportRecipe
from workbench.records import Job
from workbench.search.staleness import prepare_index


@dataclass(frozen=True)
class Upload:
    drop: gr.HTML
    start: gr.Button


def render(services: Services) -> Upload:
    with gr.Accordion(t("upload_index.title"), open=False, elem_id="index-upload"):
        piece(Markup('<p class="rw-quiet">{}</p>').format(t("upload_index.about")))
        drop = dropzone(
            services,
            elem_id="index-drop",
            label=t("upload_index.label"),
            hint=t("upload_index.hint"),
        )
        with gr.Row(elem_classes="rw-actions"):
            start = gr.Button(t("upload_index.start"), elem_id="index-upload-start")
        piece(Markup('<p class="rw-quiet rw-small">{}</p>').format(t("upload_index.more")))
    return Upload(drop, start)


def begin(services: Services, form: Build, files: str | None, raw: Any) -> Job:
    """Start both; the index's job, which waits for the data set.

    Raises :class:`BadInput` where there is no file, and what the index's form may raise; then
    neither was started.
    """
    paths = [str(path) for path in staged_files(services, files)]
    if not paths:
        raise BadInput(t("upload_index.no_files"), t("upload_index.no_files_hint"))
    jobs = services.workspace.jobs
    name = services.workspace.datasets.free_name(name_from(paths))
    recipe = form.read([name, *raw[1:]])
    # What can be refused is refused before the files are taken.
    resolve(services.workspace, recipe.model)
    prepare_index(recipe, services.workspace, True)
    made = jobs.submit(ImportRecipe(paths=paths, name=name, remove_after=True))
    return jobs.submit(recipe, after=made.id)
