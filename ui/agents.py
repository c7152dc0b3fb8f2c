"""The tools that agents find (MCP): a handful that read the workspace, and search.

Gradio makes a tool of every public endpoint; all events of the page are private, so these are all.
The docstrings are what an agent reads, in the form that Gradio takes apart; the answers are JSON.
"""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Any

import gradio as gr
import orjson

from ui.services import Services
from workbench.agents import Tools

_NONE = Parameter.empty


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


def take_nulls(blocks: gr.Blocks) -> None:
    """Let an agent's null for an optional argument mean that it is left out: many send it, and the
    protocol's check of types comes before any code of the tool."""
    # Here, and not above: it takes a second to import, and most pages start without it.
    from mcp.types import CallToolRequest

    assert blocks.mcp_server_obj is not None
    server = blocks.mcp_server_obj.mcp_server
    check = server.request_handlers[CallToolRequest]

    async def without_nulls(request: CallToolRequest) -> Any:
        given = request.params.arguments
        if given:
            kept = {name: value for name, value in given.items() if value is not None}
            request.params.arguments = kept
        return await check(request)

    server.request_handlers[CallToolRequest] = without_nulls


def _as_json(tool: Callable[..., Any]) -> Callable[..., str]:
    """The same function, its answer as JSON text: Gradio would write it as Python does."""

    defaults = [one.default for one in signature(tool).parameters.values()]

    @wraps(tool)
    def answered(*values: Any) -> str:
        given = zip(values, defaults, strict=False)
        taken = [usual if one is None and usual is not _NONE else one for one, usual in given]
        return orjson.dumps(tool(*taken)).decode()

    answered.__annotations__ = {**tool.__annotations__, "return": str}
    return answered
