"""Foreign hosts and origins, headers, prefixes: before every route, Gradio's too."""

import pytest
from starlette.testclient import TestClient

from tests.ui.conftest import Ask
from ui.web.guards import HEADERS, allowed_hosts, hostname, is_loopback
from workbench.workspace import Workspace

OURS = "/api/changes"
GRADIO = "/gradio_api/upload"


@pytest.mark.parametrize("path", ["/", OURS, "/config", "/api/assets/live.js"])
def test_a_foreign_host_is_refused(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"host": "evil.example"})
    assert answer.status_code == 421
    assert "evil.example" in answer.json()["error"]


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860", "LOCALHOST"])
def test_this_machines_names_are_ours(client: TestClient, host: str) -> None:
    assert client.get(OURS, headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["", "127.0.0.1.evil.example", "evil.example:7860", "[", "a@b"])
def test_what_only_looks_like_our_name_is_not(client: TestClient, host: str) -> None:
    assert client.get(OURS, headers={"host": host}).status_code == 421


def test_names_can_be_allowed_by_hand(ask: Ask) -> None:
    client = ask(allowed_hosts=("hub.example.org", "*.inside.example"))
    for host in ("hub.example.org", "a.inside.example:8000"):
        assert client.get(OURS, headers={"host": host}).status_code == 200
    for host in ("example.org", "inside.example.evil"):
        assert client.get(OURS, headers={"host": host}).status_code == 421


@pytest.mark.parametrize("path", ["/api/uploads", GRADIO, "/gradio_api/queue/join"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:8888"},  # another program of this machine
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_another_sites_page_changes_nothing(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    answer = client.post(path, headers=headers, json={"name": "a.txt", "size": 3})
    assert answer.status_code == 403
    assert "another site" in answer.json()["error"]


def test_another_sites_page_reads_nothing_but_may_link_here(client: TestClient) -> None:
    assert client.get(OURS, headers={"origin": "https://evil.example"}).status_code == 403
    embedded = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert client.get("/api/assets/live.js", headers=embedded).status_code == 403
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=followed).status_code == 200


def test_our_own_page_may_send(client: TestClient) -> None:
    headers = {"origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"}
    answer = client.post("/api/uploads", headers=headers, json={"name": "a.txt", "size": 3})
    assert answer.status_code == 201


def test_a_proxy_may_change_the_host(ask: Ask) -> None:
    client = ask(allowed_hosts=("hub.example.org",))
    body = {"name": "a.txt", "size": 3}
    good = client.post("/api/uploads", headers={"origin": "https://hub.example.org"}, json=body)
    bad = client.post("/api/uploads", headers={"origin": "https://evil.example"}, json=body)
    assert (good.status_code, bad.status_code) == (201, 403)


@pytest.mark.parametrize("path", ["/", OURS, "/config", "/no-such-page", "/api/jobs/none/points"])
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_a_refusal_has_the_headers_too(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example"}).headers["x-frame-options"]


def test_the_page_lives_below_a_prefix_whether_the_proxy_strips_it_or_not(ask: Ask) -> None:
    client = ask(root_path="/user/me")
    for path in (OURS, f"/user/me{OURS}"):
        assert client.get(path).status_code == 200
    page = client.get("/user/me/")
    assert page.status_code == 200
    assert '"root":"http://127.0.0.1:7860/user/me"' in page.text.replace(" ", "")


def test_nothing_of_the_home_is_served(client: TestClient) -> None:
    for path in ("/gradio_api/file=", "/file="):
        assert client.get(f"{path}/etc/passwd").status_code in (403, 404)
    for path in ("/api/assets/../app.py", "/api/assets/%2e%2e/server.py", "/api/assets/server.py"):
        assert client.get(path).status_code in (403, 404)


def test_the_database_is_not_served_through_gradio(client: TestClient, shared: Workspace) -> None:
    path = shared.home / "workbench.db"
    assert path.is_file()
    answer = client.get(f"/gradio_api/file={path}")
    assert answer.status_code in (403, 404)


def test_api_pages_monitoring_and_history_are_off(client: TestClient) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 404
    assert client.get("/monitoring").status_code in (403, 404)
    config = client.get("/config").json()
    assert config["footer_links"] == []
    assert not config["show_error"]


def test_which_addresses_are_this_machines() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.5", "my-laptop"))
    assert "127.0.0.1" in allowed_hosts("0.0.0.0")
    assert "10.0.0.5" in allowed_hosts("10.0.0.5")
    assert hostname("[::1]:80") == "::1"
