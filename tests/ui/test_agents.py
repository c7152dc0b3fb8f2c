"""Tools for agents as the protocol carries them: null for what was left out."""

import json
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from starlette.testclient import TestClient

from tests.ui.conftest import HOST
from ui.agents import add_tools
from ui.services import Services
from ui.web.server import ServerOptions, create_app
from workbench.workspace import Workspace


@pytest.fixture
def client(shared: Workspace) -> Iterator[TestClient]:
    services = Services(shared)
    with gr.Blocks() as blocks:
        add_tools(services)
    app = create_app(services, ServerOptions(mcp=True), blocks)
    with TestClient(app, base_url=HOST) as opened:
        yield opened


def call(client: TestClient, name: str, **arguments: Any) -> tuple[bool, str]:
    """Whether a tool failed, and what it says."""
    asked = {"name": name, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}
    accept = {"accept": "application/json, text/event-stream"}
    answer = client.post("/gradio_api/mcp/", json=body, headers=accept)
    assert answer.status_code == 200, answer.text
    (line,) = [one for one in answer.text.splitlines() if one.startswith("data: ")]
    result = json.loads(line.removeprefix("data: "))["result"]
    return result.get("isError", False), result["content"][0]["text"]


def test_null_for_an_optional_argument_is_none_at_all(client: TestClient) -> None:
    failed, said = call(client, "list_jobs", limit=None)
    assert (failed, said) == call(client, "list_jobs")
    assert not failed and isinstance(json.loads(said), list)
    failed, said = call(client, "compare", dataset="none", split=None)
    assert failed and "There is no data set named 'none'" in said
    nulls = {"top_k": None, "reranker": None, "where": None}
    failed, said = call(client, "search", index="one", query="x", **nulls)
    assert failed and "cannot search" in said, "the tool itself was reached"


def test_null_for_what_is_needed_is_refused(client: TestClient) -> None:
    failed, said = call(client, "search", index=None, query="x")
    assert failed and "index" in said


def test_null_by_the_plain_route_is_none_either(client: TestClient) -> None:
    body = {"data": [None], "session_hash": "x"}
    answer = client.post("/gradio_api/run/list_jobs", json=body)
    assert answer.status_code == 200
    (said,) = answer.json()["data"]
    assert isinstance(json.loads(said), list)
