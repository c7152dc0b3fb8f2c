"""Scripts and styles: ours beside Gradio's own, kept by the browser until they change."""

import re

import pytest
from starlette.testclient import TestClient

from ui.routes.assets import NAMES, asset_url, path_of
from ui.services import Services
from workbench.workspace import Workspace


@pytest.mark.parametrize("name", NAMES)
def test_our_assets_are_served_small_and_for_good(
    client: TestClient, shared: Workspace, name: str
) -> None:
    answer = client.get(asset_url(Services(shared), name))
    assert answer.status_code == 200
    assert answer.content == path_of(name).read_bytes()
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"


def test_their_addresses_carry_the_prefix(shared: Workspace) -> None:
    assert asset_url(Services(shared, root_path="/me"), "live.js").startswith("/me/api/assets/")


def test_gradios_assets_are_still_gradios(client: TestClient) -> None:
    page = client.get("/").text
    found = re.search(r"assets/[\w.-]+\.js", page)
    assert found is not None
    assert client.get("/" + found.group()).status_code == 200
