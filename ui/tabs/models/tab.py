"""The models of the workspace: what they are, what they gained, what they take on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.kit import confirm
from ui.kit.events import on
from ui.kit.job_slot import JobSlot, card_html, newest, updates
from ui.kit.live import on_look, pulse
from ui.kit.markup import EMPTY, heading, piece
from ui.services import Services
from ui.tabs.models import add as models_add
from ui.tabs.models import blend as models_blend
from ui.tabs.models import contract as models_contract
from ui.tabs.models import details as models_details
from ui.tabs.models import merge as models_merge
from ui.tabs.models import take as models_take
from ui.tabs.models.details import details_html, download_html, find, list_html
from ui.words import t
from ui.words.amounts import size
from workbench.models.towers import can_be_trained
from workbench.records import Model

#: Jobs that are started from a model.
TASKS = (models_merge.TASK, models_blend.TASK)


@dataclass(frozen=True)
class Models:
    services: Services
    tab: gr.Tab
    beat: gr.HTML
    #: The name of the model that is shown.
    chosen: gr.BrowserState
    list: gr.HTML
    details: gr.HTML
    box: gr.Column
    to_train: gr.Button
    to_compare: gr.Button
    to_search: gr.Button
    download: gr.HTML
    contract: models_contract.Editor
    take: models_take.Take
    merge: models_merge.Merge
    blend: models_blend.Blend
    job: JobSlot
    remove: confirm.Confirm
    add: models_add.Add
    cache: models_details.Cache
    refresh: Callable[..., Any]

    @property
    def inputs(self) -> list[Any]:
        return [self.chosen, self.blend.curve]

    @property
    def outputs(self) -> list[Any]:
        """What :func:`view` gives updates for."""
        merge = [self.merge.name, self.merge.start, self.merge.shown]
        blend = self.blend.shown
        jobs = [*self.add.job.outputs, *self.job.outputs]
        shown = [self.list, self.box, self.details, self.to_train, self.download]
        return [*shown, *jobs, self.take.shown, *merge, *blend, self.cache.line]

    def listen(self) -> None:
        listen(self.services, self)


def render(services: Services) -> Models:
    with gr.Tab(t("tab.models"), id="models") as tab:
        beat = pulse(services)
        chosen = gr.BrowserState("", storage_key="workbench-model", secret="workbench")
        piece(heading(t("models.title"), t("models.about")))
        listed = piece(elem_id="models-list", picks=True)
        with gr.Column(visible=False) as box:
            details = piece(elem_id="model-details")
            contract = models_contract.render()
            with gr.Row(elem_classes="rw-actions"):
                to_train = gr.Button(t("models.to_train"), size="sm")
                to_compare = gr.Button(t("models.to_compare"), size="sm")
                to_search = gr.Button(t("models.to_search"), size="sm")
            download = piece(elem_id="model-download")
            merge = models_merge.render()
            blend = models_blend.render()
            job = JobSlot("model-work")
            take = models_take.render()
            remove = confirm.render(t("models.remove"), t("models.remove_yes"))
        add = models_add.render()
        cache = models_details.render_cache()
        models_details.catalogue_piece()
    return Models(
        services=services,
        tab=tab,
        beat=beat,
        chosen=chosen,
        list=listed,
        details=details,
        box=box,
        to_train=to_train,
        to_compare=to_compare,
        to_search=to_search,
        download=download,
        contract=contract,
        take=take,
        merge=merge,
        blend=blend,
        job=job,
        remove=remove,
        add=add,
        cache=cache,
        refresh=lambda *now: view(services, *now),
    )


def listen(services: Services, models: Models) -> None:
    workspace = services.workspace
    outputs = models.outputs

    def shown(picked: str) -> list[Any]:
        return view(services, picked)

    def show(event: gr.EventData) -> list[Any]:
        name = str(event.value)
        return [name, *shown(name), *_closed()]

    def tick(add: str | None, work: str | None, listed: str | None, *now: str) -> Any:
        cards = [str(card_html(newest(services, tasks))) for tasks in (models_add.TASKS, TASKS)]
        if [*cards, list_html(services, now[0])] == [add or "", work or "", listed or ""]:
            return gr.skip()
        return view(services, *now)

    def warn(picked: str) -> tuple[list[Model], str]:
        model = workspace.models.get(picked)
        taken = size(workspace.models.bytes(model))
        return [model], t("models.remove_warning", name=model.name, size=taken)

    def remove(found: list[Model]) -> list[Any]:
        for model in found:
            workspace.models.remove(model.id)
        return ["", *shown(""), *_closed()]

    closing = [models.contract.box, models.contract.said, models.blend.box, *models.remove.outputs]
    everything = [models.chosen, *outputs, *closing]
    on(models.list.select, show, None, everything)
    ticked = [models.add.job.card, models.job.card, models.list, *models.inputs]
    on_look(models.beat, tick, ticked, outputs)
    get = workspace.models.get
    confirm.listen(models.remove, warn, remove, get, [models.chosen], everything)
    models_take.listen(services, models.take, models.chosen)
    models_details.listen_cache(services, models.cache)
    for part, one in (
        (models_add, models.add),
        (models_contract, models.contract),
        (models_merge, models.merge),
        (models_blend, models.blend),
    ):
        part.listen(services, one, models.chosen, outputs, shown)
    for slot in (models.add.job, models.job):
        slot.listen(services, lambda _job, picked: shown(picked), [models.chosen], outputs)


def _closed() -> list[Any]:
    """The forms of another model are folded away, and what was asked about it."""
    return [*models_contract.closed(), gr.Column(visible=False), *confirm.closed()]


def view(services: Services, picked: str | None, curve: str = "") -> list[Any]:
    """Updates for ``Models.outputs``; the values of ``Models.inputs``."""
    model = find(services, picked)
    jobs = [newest(services, tasks) for tasks in (models_add.TASKS, TASKS)]
    return [
        list_html(services, picked),
        gr.Column(visible=model is not None),
        details_html(services, model) if model else EMPTY,
        gr.Button(visible=model is not None and can_be_trained(model.contract)),
        download_html(services, model) if model else EMPTY,
        *(part for job in jobs for part in updates(card_html(job), job)),
        models_take.html(services, model) if model else EMPTY,
        *models_merge.view(services, model),
        *models_blend.view(services, model, curve),
        models_details.kept_html(services),
    ]
