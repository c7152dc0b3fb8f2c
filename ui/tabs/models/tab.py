"""The models of the workspace: what they are, what they gained, what they take on disk."""

from typing import Any

import gradio as gr

from ui.kit.confirm import Confirm
from ui.kit.events import on
from ui.kit.job_slot import JobSlot, card_html, newest
from ui.kit.live import on_look, pulse
from ui.kit.markup import EMPTY, heading, piece
from ui.services import Services
from ui.tabs.models.blend import Blend, Merge
from ui.tabs.models.contract import Add, ContractEditor
from ui.tabs.models.details import (
    Cache,
    Take,
    catalogue_piece,
    details_html,
    download_html,
    find,
    list_html,
)
from ui.words import t
from ui.words.amounts import size
from workbench.models.resolve import can_be_trained
from workbench.recipes.data import AddModelRecipe
from workbench.recipes.merge import BlendRecipe, MergeRecipe
from workbench.records import Job, Model

#: Jobs that add a model, and those that are started from one.
ADDING = (AddModelRecipe.task,)
TASKS = (MergeRecipe.task, BlendRecipe.task)


class ModelsTab:
    """The list of models, and below it the one that is chosen; then how one is added."""

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Tab(t("tab.models"), id="models") as self.tab:
            self.beat = pulse(services)
            #: The name of the model that is shown.
            self.chosen = gr.BrowserState("", storage_key="workbench-model", secret="workbench")
            piece(heading(t("models.title"), t("models.about")))
            self.list = piece(elem_id="models-list", picks=True)
            with gr.Column(visible=False) as self.box:
                self._draw_model()
            self.add = Add(services)
            self.cache = Cache(services)
            catalogue_piece()
        self.inputs = [self.chosen, self.blend.curve]
        self.outputs = [
            *(self.list, self.box, self.details, self.to_train, self.download),
            *(*self.add.job.outputs, *self.job.outputs, self.take.use, self.cache.line),
            *self.take.push.outputs,
            *(*self.merge.outputs, *self.blend.outputs),
        ]

    def _draw_model(self) -> None:
        self.details = piece(elem_id="model-details")
        self.contract = ContractEditor(self.services)
        with gr.Row(elem_classes="rw-actions"):
            self.to_train = gr.Button(t("models.to_train"), size="sm")
            self.to_compare = gr.Button(t("models.to_compare"), size="sm")
            self.to_search = gr.Button(t("models.to_search"), size="sm")
        self.download = piece(elem_id="model-download")
        self.merge = Merge(self.services)
        self.blend = Blend(self.services)
        self.job = JobSlot("model-work")
        self.take = Take(self.services)
        self.remove = Confirm(t("models.remove"), t("models.remove_yes"))

    def listen(self) -> None:
        closing = [self.contract.box, self.contract.said, self.blend.box, *self.remove.outputs]
        everything = [self.chosen, *self.outputs, *closing]
        on(self.list.select, self._show, None, everything)
        cards = [self.add.job.card, self.job.card, self.take.push.job.card, self.list]
        on_look(self.beat, self._look, [*cards, *self.inputs], self.outputs)
        get = self.services.workspace.models.get
        self.remove.listen(self._warn, self._remove, get, [self.chosen], everything)
        self.take.listen(self.chosen)
        self.cache.listen()
        for part in (self.add, self.contract, self.merge, self.blend):
            part.listen(self.chosen, self.refresh, self.outputs)
        stopped = lambda _job, picked: self.refresh(picked)  # noqa: E731
        for slot in (self.add.job, self.job, self.take.push.job):
            slot.listen(self.services, stopped, [self.chosen], self.outputs)

    def _show(self, event: gr.EventData) -> dict[Any, Any]:
        return self._chosen(str(event.value))

    def _chosen(self, name: str) -> dict[Any, Any]:
        """Another model: the forms of the one before are folded away, and what was asked of it."""
        folded = self.contract.closed() | self.blend.closed() | self.remove.closed()
        return {self.chosen: name, **self.refresh(name), **folded}

    def _look(self, *raw: str | None) -> Any:
        """Only what a job has changed since; first the cards and the list, then ``inputs``."""
        now = [value or "" for value in raw[-len(self.inputs) :]]
        model = find(self.services, now[0])
        jobs = [*self._jobs(), self.take.push.newest(model) if model else None]
        cards = [*(str(card_html(job)) for job in jobs), list_html(self.services, now[0])]
        return gr.skip() if cards == [card or "" for card in raw[:4]] else self.refresh(*now)

    def _jobs(self) -> list[Job | None]:
        """The last that added a model, and the last that was started from one."""
        return [newest(self.services, tasks) for tasks in (ADDING, TASKS)]

    def _warn(self, picked: str) -> tuple[list[Model], str]:
        models = self.services.workspace.models
        model = models.get(picked)
        taken = size(models.bytes(model))
        return [model], t("models.remove_warning", name=model.name, size=taken)

    def _remove(self, found: list[Model]) -> dict[Any, Any]:
        for model in found:
            self.services.workspace.models.remove(model.id)
        return self._chosen("")

    def refresh(self, picked: str | None, curve: str = "") -> dict[Any, Any]:
        """``curve``: the blend whose curve is on the page; while it stays, so does its point."""
        model = find(self.services, picked)
        added, work = self._jobs()
        return {
            self.list: list_html(self.services, picked),
            self.box: gr.Column(visible=model is not None),
            self.details: details_html(self.services, model) if model else EMPTY,
            self.to_train: gr.Button(visible=model is not None and can_be_trained(model.contract)),
            self.download: download_html(self.services, model) if model else EMPTY,
            **self.add.job.show(card_html(added), added),
            **self.job.show(card_html(work), work),
            **self.take.view(model),
            **self.merge.view(model),
            **self.blend.view(model, curve),
            **self.cache.view(),
        }
