"""An index in the making: the form (data set, model, name, one of three presets, the rest folded
away) and the job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.cards import job_card
from ui.kit.choices import model_names, open_menu, update
from ui.kit.dropzone import dropzone, staged_files
from ui.kit.events import on
from ui.kit.form import choice_label, draw, from_component, label
from ui.kit.job_slot import card_html, find
from ui.kit.markup import EMPTY, join, pick, piece
from ui.services import Services
from ui.tabs.data.bring import name_from
from ui.tabs.search import indexes
from ui.words import sentences, t
from ui.words.amounts import count
from workbench.errors import BadInput, DatasetNotFound
from workbench.models.resolve import resolve
from workbench.recipes.data import ImportRecipe
from workbench.recipes.describe import describe
from workbench.recipes.evaluate import IndexRecipe, IndexUpdateRecipe
from workbench.records import Index, Job, JobStatus
from workbench.search.pictures import KIND, of_pictures
from workbench.search.staleness import prepare_index

#: Jobs that make or update an index.
TASKS = (IndexRecipe.task, IndexUpdateRecipe.task)
SPECS = {spec.name: spec for spec in describe(IndexRecipe)}
EXTRA = ("structure", "truncate_dim", "rescore", "probes", "code_bytes", "precision", "device")

_LOOKED_AT = 1_000


@dataclass(frozen=True)
class Build:
    dataset: gr.Dropdown
    model: gr.Dropdown
    name: gr.Textbox
    type: gr.Radio
    #: What of the chosen data the chosen model indexes, where pictures are among them.
    hint: gr.HTML
    extra: Mapping[str, Any]

    @property
    def inputs(self) -> list[Any]:
        return [self.dataset, self.model, self.name, self.type, *self.extra.values()]

    def read(self, raw: Sequence[Any]) -> IndexRecipe:
        """The recipe; raises BadRecipe with a sentence per bad field."""
        dataset, model, name, type, *more = raw
        values = {"dataset": dataset or "", "model": model or "", "name": name.strip()}
        extra = {
            field: from_component(SPECS[field], value)
            for field, value in zip(self.extra, more, strict=True)
        }
        return IndexRecipe.read({**values, "type": type, **extra})


def render() -> Build:
    with gr.Row(equal_height=False):
        dataset = open_menu(label=t("search.dataset"), min_width=200, elem_id="index-dataset")
        model = open_menu(label=t("search.model"), min_width=200, elem_id="index-model")
        name = gr.Textbox(
            label=t("search.name"),
            placeholder=t("search.name_hint"),
            max_lines=1,
            interactive=True,
            min_width=200,
            elem_id="index-name",
        )
    hint = piece(elem_id="index-hint")
    type = gr.Radio(
        [(choice_label(SPECS["type"], one), one) for one in SPECS["type"].choices],
        value="exact",
        label=label("type"),
        info=sentences.said(SPECS["type"].help),
        interactive=True,
        elem_id="index-type",
    )
    with gr.Accordion(t("indexes.more"), open=False), gr.Row(equal_height=False):
        extra = {field: draw(SPECS[field], SPECS[field].default, prefix="index") for field in EXTRA}
    return Build(dataset, model, name, type, hint, extra)


def listen(services: Services, form: Build) -> None:
    for menu in (form.dataset, form.model):
        on(
            menu.change,
            lambda dataset, model: hint_html(services, dataset, model),
            [form.dataset, form.model],
            form.hint,
        )


def job_html(services: Services, job: Job | None) -> str:
    """A build on its way or failed, and the import it waits for; one that succeeded is in the
    menu, and an update that did says what it changed."""
    if job is not None and job.status is JobStatus.SUCCEEDED and job.task == IndexUpdateRecipe.task:
        return indexes.done_html(services, job)
    waits = job is not None and job.status is JobStatus.QUEUED
    before = find(services, job.after) if job and waits else None
    return str(join([job_card(before) if before else EMPTY, card_html(job)]))


def hint_html(services: Services, dataset: str | None, model: str | None) -> Markup:
    """Whether pictures or their captions would be indexed; nothing where there is no picture in
    question, or where data or model are not in the workspace."""
    workspace = services.workspace
    if not (dataset and model and workspace.datasets.exists(dataset)):
        return EMPTY
    sees = [one.name for one in workspace.models.list() if one.kind == KIND]
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


# The menus of *Search*, and questions to begin with.

EXAMPLES = 6
#: The kinds of model that can be a second stage, and the words for one in the menu.
SECOND = {"reranker": "search.second_reranker", "late-interaction": "search.second_late"}


def encoders(services: Services) -> list[str]:
    """The models an index can be built with."""
    others = {model.name for model in services.workspace.models.list() if model.kind in SECOND}
    return [name for name in model_names(services.workspace) if name not in others]


def second_menu(services: Services, value: str | None) -> dict[str, Any]:
    """None, and the models that can be a second stage; not shown where there is none of these.

    The chosen one stays while it exists, and so does a typed folder or hub id.
    """
    models = [model for model in services.workspace.models.list() if model.kind in SECOND]
    choices = [(t(SECOND[model.kind], name=model.name), model.name) for model in models]
    typed = value is not None and "/" in value
    kept = value if typed or value in [name for _, name in choices] else ""
    none = (t("search.second_none"), "")
    return update([none, *choices], kept, visible=bool(choices) or typed)


def index_label(index: Index) -> str:
    key = "search.index_pictures" if of_pictures(index) else "search.index_one"
    return t(key, name=index.name, model=index.model, documents=count(index.documents))


def examples_html(services: Services, names: Sequence[str]) -> str:
    """A few questions of the first index's data set, its test queries first."""
    queries = examples(services, names)
    if not queries:
        return EMPTY
    chips = join(pick(query, query if len(query) < 90 else query[:88] + "…") for query in queries)
    return Markup('<p class="rw-quiet rw-small">{}</p><div class="rw-chips">{}</div>').format(
        t("search.examples"), chips
    )


def examples(services: Services, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    index = services.workspace.indexes.get(names[0])
    try:
        reader = services.workspace.datasets.read(index.dataset_id, index.version)
    except DatasetNotFound:
        return []
    rows = reader.page(0, EXAMPLES, split="test") or reader.page(0, EXAMPLES)
    return [row.query for row in rows]


# An index from files of one's own in one go: an import, and the index that waits for it.


@dataclass(frozen=True)
class Upload:
    drop: gr.HTML
    start: gr.Button


def render_upload(services: Services) -> Upload:
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


def begin_upload(services: Services, form: Build, files: str | None, raw: Any) -> Job:
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
