"""The tools that agents find (MCP): a handful that read the workspace, and search.

Gradio makes a tool of every public endpoint; all events of the page are private, so these are all.
The docstrings are what an agent reads, in the form that Gradio takes apart; the answers are JSON.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr
import orjson

from ui.services import Services
from workbench.agents import Tools


def add_tools(services: Services) -> None:
    """Inside a page's Blocks."""
    tools = Tools(services.workspace, services.search)
    for tool in (
        tools.list_datasets,
        tools.list_models,
        tools.list_indexes,
        tools.list_jobs,
        tools.search,
        tools.answer,
        tools.compare,
    ):
        # Past the queue: answered at once, in a thread, and never by way of the app's own address.
        gr.api(_as_json(tool), api_name=tool.__name__, queue=False, concurrency_limit=None)


def _as_json(tool: Callable[..., Any]) -> Callable[..., str]:
    """The same function, its answer as JSON text: Gradio would write it as Python does."""

    @wraps(tool)
    def answered(*values: Any) -> str:
        return orjson.dumps(tool(*values)).decode()

    answered.__annotations__ = {**tool.__annotations__, "return": str}
    return answered
