"""A job as a part of the page shows it: its card, and the buttons that stop it or have it go on.

The ids of the jobs shown go to the page with the card and come back with a click, so that a button
acts on what was to be seen when it was pressed, whatever has been started elsewhere since.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.cards import job_card
from ui.kit.events import on
from ui.kit.markup import EMPTY, join, pick, piece
from ui.services import Services
from ui.words import sentences, t
from workbench.errors import JobNotFound
from workbench.jobs.suggested import fitting, suggestions
from workbench.records import Job, JobStatus


class JobSlot:
    """Drawn inside the current block. ``actions`` is the row of its buttons, for more of them."""

    def __init__(self, elem_id: str) -> None:
        self.card = piece(elem_id=elem_id)
        #: The ids of the jobs that the card shows, with spaces between them.
        self.shown = gr.Textbox("", visible=False, label=t("tab.jobs"))
        with gr.Row(elem_classes="rw-actions") as self.actions:
            about: dict[str, Any] = {"size": "sm", "visible": False}
            self.stop = gr.Button(
                t("job.cancel"), variant="stop", elem_id=f"{elem_id}-stop", **about
            )
            self.resume = gr.Button(t("job.resume"), elem_id=f"{elem_id}-resume", **about)

    @property
    def outputs(self) -> list[Any]:
        return [self.card, self.stop, self.resume, self.shown]

    def changed(self, card: str | None, html: str, *jobs: Job | None) -> dict[Any, Any]:
        """What a look after the jobs changes where ``card`` is what stands in the card."""
        if html == (card or ""):
            return {}
        return self.show(html, *jobs)

    def show(self, html: str, *jobs: Job | None) -> dict[Any, Any]:
        """Updates by component: ``html`` shows these jobs."""
        found = [job for job in jobs if job is not None]
        active = any(not job.status.finished for job in found)
        resumable = not active and any(job.status.resumable for job in found)
        return {
            self.card: str(html),
            self.stop: gr.Button(visible=active),
            self.resume: gr.Button(visible=resumable),
            self.shown: " ".join(job.id for job in found),
        }

    def listen(
        self,
        services: Services,
        view: Callable[..., Any],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
    ) -> None:
        """``view(id, *inputs)`` gives the updates of ``outputs`` once the job shown, of several the
        last, was stopped or has gone on."""
        jobs = services.workspace.jobs

        def told(wanted: Callable[[JobStatus], bool], tell: Callable[[str], Job]) -> Any:
            def act(shown: str, *raw: Any) -> list[Any]:
                ids = shown.split()
                for id in ids:
                    if wanted(jobs.get(id).status):
                        tell(id)
                return view(ids[-1], *raw)

            return act

        given = [self.shown, *inputs]
        on(self.stop.click, told(lambda status: not status.finished, jobs.cancel), given, outputs)
        on(self.resume.click, told(lambda status: status.resumable, jobs.resume), given, outputs)


def card_html(job: Job | None) -> Markup:
    """A job on its way or failed. What one that succeeded has made stands elsewhere; that it did is
    here out of sight, so that the next look sees the difference."""
    if job is None:
        return EMPTY
    if job.status is JobStatus.SUCCEEDED:
        return Markup('<div data-job="{}"></div>').format(job.id)
    return job_card(job)


def find(services: Services, id: str | None, tasks: Collection[str] = ()) -> Job | None:
    """The job with that id, if it is still on record and of these tasks (none named: of any)."""
    try:
        job = services.workspace.jobs.get(id) if id else None
    except JobNotFound:
        return None
    return job if job is not None and (not tasks or job.task in tasks) else None


def succeeded(job: Job | None) -> Job | None:
    """The job, if it has succeeded and left a result."""
    return job if job and job.status is JobStatus.SUCCEEDED and job.result else None


def newest(services: Services, tasks: Collection[str], dataset: str | None = None) -> Job | None:
    """The last job of these tasks, about the data set of that name where one is named."""
    jobs = services.workspace.jobs
    found = (
        jobs.list(task=task, limit=1) if dataset is None else jobs.about(dataset, task)[:1]
        for task in tasks
    )
    return max((one for each in found for one in each), key=_created_at, default=None)


def _created_at(job: Job) -> float:
    return job.created_at


# Settings that would fit, below a run that ran out of memory; one click starts it with them.


def fitting_piece(elem_id: str) -> gr.HTML:
    return piece(elem_id=elem_id, picks=True)


def fitting_html(job: Job | None) -> str:
    """The suggestions, each with a button; nothing for any other ending."""
    return str(_fitting_list(job, buttons=True))


def fitting_list(job: Job) -> Markup:
    """The suggestions, to be read."""
    return _fitting_list(job, buttons=False)


def start_fitting(services: Services, id: str, event: gr.EventData) -> Job:
    """Queue the run again with the suggestion whose button was pressed."""
    workspace = services.workspace
    recipe = fitting(workspace, workspace.jobs.get(id), int(str(event.value)))
    return workspace.jobs.submit(recipe)


def _fitting_list(job: Job | None, *, buttons: bool) -> Markup:
    known = suggestions(job) if job is not None and job.status is JobStatus.FAILED else []
    if not known:
        return EMPTY
    lines = join(
        Markup("<li>{}{}</li>").format(
            sentences.said(one["sentence"]), _fitting_button(number) if buttons else EMPTY
        )
        for number, one in enumerate(known, start=1)
    )
    return Markup(
        '<article class="rw-card"><header><h3>{}</h3></header><ol class="rw-fitting">{}</ol>'
        "</article>"
    ).format(t("fitting.title"), lines)


def _fitting_button(number: int) -> Markup:
    return Markup(" {}").format(pick(str(number), t("fitting.start")))
