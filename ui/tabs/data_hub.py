"""A hub's data set, before it is imported: a job looks at it, then it is shown as files are.

The menus of its subsets and splits are filled once the look is over. Nothing on the page waits for
the network.
"""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui import choices
from ui.feedback import QUICK, on, on_busy
from ui.job_slot import JobSlot, card_html, newest, updates
from ui.services import Services
from ui.words import t
from workbench.data import hub_look
from workbench.data.hub import PREFIX
from workbench.recipes.data import HubLookRecipe

TASKS = (HubLookRecipe.task,)


@dataclass(frozen=True)
class Hub:
    id: gr.Textbox
    look: gr.Button
    subset: gr.Dropdown
    split: gr.Dropdown
    #: The look that is running, or else the last one.
    job: JobSlot

    @property
    def inputs(self) -> list[Any]:
        return [self.id, self.subset, self.split]


def render() -> Hub:
    with gr.Accordion(t("bring.hub"), open=False, elem_id="data-hub-box"):
        with gr.Row(equal_height=False):
            id = gr.Textbox(
                label=t("bring.hub_id"),
                info=t("bring.hub_help"),
                placeholder=t("bring.hub_place"),
                max_lines=1,
                interactive=True,
                scale=4,
                elem_id="data-hub",
            )
            look = gr.Button(
                t("bring.look"), scale=0, min_width=120, size="sm", elem_id="data-hub-look"
            )
        with gr.Row(equal_height=False):
            subset = choices.open_menu(
                label=t("field.hub_subset"), info=t("bring.subset_help"), elem_id="data-hub-subset"
            )
            split = choices.open_menu(
                label=t("field.hub_split"),
                info=t("bring.split_help"),
                multiselect=True,
                elem_id="data-hub-split",
            )
        job = JobSlot("data-hub-job")
    return Hub(id, look, subset, split, job)


def listen(services: Services, hub: Hub) -> None:
    """Only what asks for a look. What comes of it is the concern of ``data_bring``."""

    def ask(id: str, subset: str | None) -> list[Any]:
        recipe = HubLookRecipe.read({"dataset_id": (id or "").strip(), "subset": subset or ""})
        services.workspace.jobs.submit(recipe)
        return view(services)

    def other(id: str, subset: str | None) -> Any:
        """Another subset has columns of its own: it is looked at unless that was done before."""
        if not id or look_of(services, id, subset):
            return [gr.skip()] * len(hub.job.outputs)
        return ask(id, subset)

    def again(id: str) -> list[Any]:
        return ask(id, "")

    on_busy(
        hub.look,
        ask,
        [hub.id, hub.subset],
        hub.job.outputs,
        says=t("bring.looking"),
        then=t("bring.look"),
    )
    on(hub.id.submit, again, hub.id, hub.job.outputs)
    on(hub.subset.input, other, [hub.id, hub.subset], hub.job.outputs)
    hub.job.listen(services, lambda _id: view(services), [], hub.job.outputs)
    # Another id has other subsets; the page forgets them by itself, at every key.
    hub.id.input(None, None, [hub.subset, hub.split], js="() => [null, []]", **QUICK)


def path_of(id: str | None) -> str:
    """'hf:OWNER/NAME'; '' where nothing was typed."""
    plain = (id or "").strip()
    return plain if not plain or plain.startswith(PREFIX) else PREFIX + plain


def values(subset: str | None, split: list[str] | None) -> dict[str, str]:
    """The fields of the import."""
    return {"hub_subset": subset or "", "hub_split": ",".join(split or [])}


def look_of(services: Services, id: str | None, subset: str | None) -> hub_look.Look | None:
    """What was seen of that subset."""
    if not path_of(id):
        return None
    return hub_look.look_at(services.workspace, path_of(id), subset or "")


def menus(look: hub_look.Look, split: list[str] | None) -> list[Any]:
    """Updates for the menus of subsets and splits; splits that were chosen stay if they can."""
    kept = [name for name in split or [] if name in look.splits]
    return [
        choices.update([(name, name) for name in look.subsets], look.subset or None),
        choices.update([(name, name) for name in look.splits], kept),
    ]


def view(services: Services) -> list[Any]:
    """Updates for ``Hub.job``: the newest look."""
    job = newest(services, TASKS)
    return updates(card_html(job), job)


def changed(services: Services, hub: Hub, card: str) -> dict[Any, Any]:
    """What a look after the job changes."""
    job = newest(services, TASKS)
    return hub.job.changed(card, card_html(job), job)
