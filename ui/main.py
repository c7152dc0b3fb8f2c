"""The page: a heading, the tabs in order, and what ties them together."""

from collections.abc import Callable

import gradio as gr
from markupsafe import Markup

from ui import page as pages
from ui.agents import add_tools
from ui.feedback import on
from ui.language import switch
from ui.markup import EMPTY, piece
from ui.notices import notices
from ui.page import Page
from ui.services import Services
from ui.sessions import COOKIE
from ui.tabs import compare, data, jobs, models, quantize, search, start, train
from ui.words import t

TABS = (start, data, train, compare, quantize, search, models, jobs)


def build(services: Services, *, agents: bool = False) -> gr.Blocks:
    """Draw the page and wire it. Every value it shows is read from the workspace.

    ``agents``: with the tools that agents find.
    """
    with gr.Blocks(title=t("app.name"), analytics_enabled=False, fill_width=False) as demo:
        piece(_head(services))
        leave = piece(elem_id="sign-out")
        open_tab = gr.BrowserState("start", storage_key="workbench-tab", secret="workbench")
        with gr.Tabs(selected="start", elem_id="tabs") as tabs:
            parts = [tab.render(services) for tab in TABS]
        told = notices(services)
        page = Page(demo, tabs, open_tab, *parts)
        for tab in TABS:
            tab.listen(services, page)
        pages.listen(page)
        on(demo.load, _leave(services), None, leave)
        page.go(told.select, "jobs", _picked, None, [page.jobs.chosen])
        if agents:
            add_tools(services)
    return demo


def _leave(services: Services) -> Callable[[gr.Request], str]:
    """Shows a way to sign out to whoever signed in."""

    def leave(request: gr.Request) -> str:
        # Gradio's own kind of mapping, which gives pairs where another gives names.
        if not any(name.startswith(COOKIE) for name in dict(request.cookies)):
            return EMPTY
        return Markup(
            '<form class="rw-leave" method="post" action="{}"><button class="rw-pick">{}</button>'
            "</form>"
        ).format(services.url("/logout"), t("login.out"))

    return leave


def _picked(event: gr.EventData) -> list[str]:
    """The job whose notice was clicked."""
    return [str(event.value)]


def _head(services: Services) -> Markup:
    head = Markup('<header class="rw-head"><h1>{}</h1><p>{}</p>{}</header>')
    return head.format(t("app.name"), t("app.about"), switch(services.root_path))
