"""The last job that a part of the Models tab started: its card while it runs or failed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.cards import job_card
from ui.feedback import on
from ui.markup import EMPTY, piece
from ui.services import Services
from ui.words import t
from workbench.records import Job, JobStatus


@dataclass(frozen=True)
class JobSlot:
    """``tasks``: the jobs that this place shows."""

    tasks: tuple[str, ...]
    card: gr.HTML
    cancel: gr.Button

    @property
    def parts(self) -> list[Any]:
        return [self.card, self.cancel]


def render(tasks: Sequence[str], elem_id: str) -> JobSlot:
    card = piece(elem_id=elem_id)
    with gr.Row(elem_classes="rw-actions"):
        cancel = gr.Button(t("job.cancel"), size="sm", variant="stop", visible=False)
    return JobSlot(tuple(tasks), card, cancel)


def listen(
    services: Services,
    slot: JobSlot,
    chosen: Any,
    outputs: list[Any],
    view: Callable[[str], list[Any]],
) -> None:
    def cancel(picked: str) -> list[Any]:
        job = newest_job(services, slot.tasks)
        if job is not None and not job.status.finished:
            services.workspace.jobs.cancel(job.id)
        return view(picked)

    on(slot.cancel.click, cancel, chosen, outputs)


def view(services: Services, tasks: Sequence[str]) -> list[Any]:
    """Updates for ``JobSlot.parts``."""
    job = newest_job(services, tasks)
    return [job_html(job), gr.Button(visible=job is not None and not job.status.finished)]


def newest_job(services: Services, tasks: Sequence[str]) -> Job | None:
    """The last job of these tasks."""
    found = [one for task in tasks for one in services.workspace.jobs.list(task=task, limit=1)]
    return max(found, key=lambda job: job.created_at, default=None)


def job_html(job: Job | None) -> str:
    if job is None or job.status is JobStatus.SUCCEEDED:
        return EMPTY
    return str(job_card(job))
