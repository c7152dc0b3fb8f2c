"""Settings that would fit, below a run that ran out of memory; one click starts it with them."""

import gradio as gr
from markupsafe import Markup

from ui.markup import EMPTY, join, pick, piece
from ui.services import Services
from ui.words import sentences, t
from workbench.jobs.suggested import fitting, suggestions
from workbench.records import Job, JobStatus


def render(elem_id: str) -> gr.HTML:
    return piece(elem_id=elem_id, picks=True)


def html(job: Job | None) -> str:
    """The suggestions, each with a button; nothing for any other ending."""
    return str(_list(job, buttons=True))


def listed(job: Job) -> Markup:
    """The suggestions, to be read."""
    return _list(job, buttons=False)


def start(services: Services, id: str, event: gr.EventData) -> Job:
    """Queue the run again with the suggestion whose button was pressed."""
    workspace = services.workspace
    recipe = fitting(workspace, workspace.jobs.get(id), int(str(event.value)))
    return workspace.jobs.submit(recipe)


def _list(job: Job | None, *, buttons: bool) -> Markup:
    known = suggestions(job) if job is not None and job.status is JobStatus.FAILED else []
    if not known:
        return EMPTY
    lines = join(
        Markup("<li>{}{}</li>").format(
            sentences.said(one["sentence"]), _button(number) if buttons else EMPTY
        )
        for number, one in enumerate(known, start=1)
    )
    return Markup(
        '<article class="rw-card"><header><h3>{}</h3></header><ol class="rw-fitting">{}</ol>'
        "</article>"
    ).format(t("fitting.title"), lines)


def _button(number: int) -> Markup:
    return Markup(" {}").format(pick(str(number), t("fitting.start")))
