"""The route that shows data sets' pictures: small ones, by row, and nothing else."""

import pytest
from starlette.testclient import TestClient

from tests.ui.conftest import Ask
from tests.workbench.data.fakes import bring
from tests.workbench.pictures.fakes import noise
from ui.routes.pictures import picture_html, picture_url
from ui.services import Services
from ui.web.sessions import Credentials
from workbench.workspace import Workspace


@pytest.fixture(scope="module")
def id(shared: Workspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("shown")
    (folder / "a bag.png").write_bytes(noise(1, 300))
    (folder / "rows.txt").write_text("text")
    bring(shared, folder / "a bag.png", name="shown")
    text = folder / "a.jsonl"
    text.write_text('{"query": "q", "pos": ["p"]}\n')
    bring(shared, text, name="texts")
    return shared.datasets.get("shown").id


def test_a_picture_comes_small_and_may_be_kept(
    client: TestClient, shared: Workspace, id: str
) -> None:
    answer = client.get(picture_url(Services(shared), id, 1, 0, 64))
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/webp"
    assert answer.content[8:12] == b"WEBP"
    assert "private" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("shown/1/7", 404),
        ("shown/9/0", 404),
        ("nobody/1/0", 404),
        ("texts/1/0", 404),
        ("shown/1/../../workbench.db", 404),
        ("shown/1/..%2f..%2fworkbench.db", 404),
        ("..%2f..%2f/1/0", 404),
        ("shown/1/workbench.db", 422),
        ("shown/1/0?size=large", 422),
    ],
)
def test_anything_else_is_refused_in_words(
    client: TestClient, id: str, address: str, status: int
) -> None:
    answer = client.get(f"/api/pictures/{address}")
    assert answer.status_code == status, id
    said = answer.json()
    # What is no address of ours is Gradio's to refuse.
    assert said.get("error") or said == {"detail": "Not Found"}


def test_it_needs_the_login(ask: Ask, id: str) -> None:
    client = ask(credentials=Credentials("me", "secret"))
    answer = client.get(f"/api/pictures/{id}/1/0", follow_redirects=False)
    assert answer.status_code in (303, 401)


def test_its_address_carries_the_prefix(shared: Workspace, id: str) -> None:
    services = Services(shared, root_path="/me")
    assert picture_url(services, id, 1, 3).startswith(f"/me/api/pictures/{id}/1/3")
    assert 'alt="Picture 4"' in picture_html(services, id, 1, 3)
