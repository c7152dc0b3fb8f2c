"""An index in the making: the form (data set, model, name, one of three presets, the rest folded
away) and the job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.cards import job_card
from ui.kit.choices import open_menu
from ui.kit.events import on
from ui.kit.form import choice_label, draw, from_component, label
from ui.kit.job_slot import card_html, find
from ui.kit.markup import EMPTY, join, piece
from ui.services import Services
from ui.tabs import search_outside
from ui.words import sentences, t
from workbench.model_kinds import seeing
from workbench.recipes.describe import describe
from workbench.recipes.evaluate import IndexRecipe, IndexUpdateRecipe
from workbench.records import Job, JobStatus

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
        return search_outside.done_html(services, job)
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
