"""The page: a heading, the tabs in order, and what ties them together."""

from collections.abc import Callable

import gradio as gr
from markupsafe import Markup

from ui.agents import add_tools
from ui.kit.events import on
from ui.kit.live import notices
from ui.kit.markup import EMPTY, piece
from ui.page import Page, Tab, connect
from ui.services import Services
from ui.tabs.compare.tab import CompareTab
from ui.tabs.data.tab import DataTab
from ui.tabs.jobs import JobsTab
from ui.tabs.models.tab import ModelsTab
from ui.tabs.quantize.tab import QuantizeTab
from ui.tabs.search.tab import SearchTab
from ui.tabs.start import StartTab
from ui.tabs.train.tab import TrainTab
from ui.web.editions import switch
from ui.web.sessions import COOKIE
from ui.words import t

#: The tabs in their order. One more is a class (``ui.page.Tab``) and its name here.
TABS: tuple[Callable[[Services], Tab], ...] = (
    StartTab,
    DataTab,
    TrainTab,
    CompareTab,
    QuantizeTab,
    SearchTab,
    ModelsTab,
    JobsTab,
)


def build(services: Services, *, agents: bool = False) -> gr.Blocks:
    """Draw the page and wire it. Every value it shows is read from the workspace.

    ``agents``: with the tools that agents find.
    """
    with gr.Blocks(title=t("app.name"), analytics_enabled=False, fill_width=False) as demo:
        piece(_head(services))
        leave = piece(elem_id="sign-out")
        with gr.Tabs(elem_id="tabs") as tabs:
            parts = [draw(services) for draw in TABS]
        first = tabs.selected = parts[0].tab.id
        open_tab = gr.BrowserState(first, storage_key="workbench-tab", secret="workbench")
        told = notices(services)
        page = Page(demo, tabs, open_tab, parts)
        page.listen()
        connect(services, page, told)
        on(demo.load, _leave(services), None, leave)
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


def _head(services: Services) -> Markup:
    head = Markup('<header class="rw-head"><h1>{}</h1><p>{}</p>{}</header>')
    return head.format(t("app.name"), t("app.about"), switch(services.root_path))
