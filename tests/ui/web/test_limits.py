"""No route reads more than it takes: each has a limit, which comes before its body is parsed."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.ui.conftest import Ask
from ui.uploads import MOST_FILES, MOST_SLICE
from ui.web import guards
from ui.web.guards import CLOSED, LIMITS, limit_of
from workbench.serving.bodies import BodyLimit

READING = {"POST", "PUT", "PATCH", "DELETE"}
#: Of a body that is too large for any route.
HUGE = 60 * 1024 * 1024


def bodies_of(routes: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every method and path that may take a body, through mounted apps and included routers."""
    for route in routes:
        path = prefix + getattr(route, "path", "")
        inner = getattr(route, "app", None) or getattr(route, "original_router", None)
        if hasattr(inner, "routes"):
            yield from bodies_of(inner.routes, path.rstrip("/"))
            continue
        for method in (getattr(route, "methods", None) or set()) & READING:
            yield method, path.rstrip("/") or "/"


@pytest.fixture(scope="module")
def app(apps: Callable[..., FastAPI]) -> FastAPI:
    return apps()


def test_every_route_that_takes_a_body_has_a_limit(app: FastAPI) -> None:
    """Also those this test does not know by name: a new one belongs into ``ui/web/guards.py``."""
    found = {one for one in bodies_of(app.routes) if not one[1].startswith("/v1")}
    assert len(found) > 15 and ("PUT", "/api/uploads/{id}") in found
    assert found - set(LIMITS) == set()
    # Gradio draws these two only with a login of its own, and they are answered before.
    gone = set(LIMITS) - found - {("POST", "/login"), ("POST", "/logout")}
    assert {path for _, path in gone} <= {
        path for (_, path), one in LIMITS.items() if one is CLOSED
    }


def test_what_nobody_named_is_allowed_next_to_nothing() -> None:
    for path in ("/", "/new/route", "/api/uploads/x/y", "/gradio_api/upload/../x"):
        for method in ("POST", "GET", "PATCH"):
            found = limit_of({"path": path, "method": method})
            assert found is not None and found.bytes <= 64 * 1024
    assert limit_of({"path": "/api/uploads/", "method": "POST"}) == LIMITS["POST", "/api/uploads"]


class Counted:
    """An endless body: how many pieces were asked for."""

    def __init__(self, first: bytes = b"") -> None:
        self.taken = 0
        self._first = first

    async def __call__(self) -> dict[str, Any]:
        self.taken += 1
        piece = self._first if self.taken == 1 else b" " * 65536
        return {"type": "http.request", "body": piece, "more_body": True}


async def send(
    app: FastAPI, method: str, path: str, body: Counted, **headers: str
) -> tuple[int, str]:
    """The status and text of an answer, straight from the app."""
    told: dict[str, Any] = {"body": b""}

    async def take(message: Any) -> None:
        told["status"] = message.get("status", told.get("status"))
        told["body"] += message.get("body", b"")

    said = {"host": "127.0.0.1:7860", "content-type": "application/json", **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"offset=0",
        "headers": [
            (one.replace("_", "-").encode(), value.encode()) for one, value in said.items()
        ],
        "client": ("192.0.2.9", 1),
        "server": ("127.0.0.1", 7860),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
    }
    await app(scope, body, take)
    return told["status"], told["body"].decode()


@pytest.mark.parametrize(("method", "path"), [*LIMITS, ("POST", "/gradio_api/mcp")])
async def test_a_body_of_60_mb_is_not_read(app: FastAPI, method: str, path: str) -> None:
    closed = LIMITS.get((method, path)) is CLOSED
    path = path.replace("{", "").replace("}", "")
    body = Counted()
    status, said = await send(app, method, path, body, content_length=str(HUGE + 2 * MOST_SLICE))
    assert (status, body.taken) == (404 if closed else 413, 0)
    assert "disabled" in said if closed else "larger than" in said


@pytest.mark.parametrize(("method", "path"), [one for one in LIMITS if LIMITS[one].bytes < HUGE])
async def test_a_body_without_a_length_is_read_to_its_limit(
    app: FastAPI, method: str, path: str
) -> None:
    limit = LIMITS[method, path]
    body = Counted()
    await send(
        app, method, path.replace("{", "").replace("}", ""), body, transfer_encoding="chunked"
    )
    assert body.taken <= limit.bytes // 65536 + 3


def post(client: TestClient, path: str, body: bytes, **headers: str) -> tuple[int, str]:
    kind = {"content-type": "application/json", **headers}
    answer = client.post(path, content=body, headers=kind)
    return answer.status_code, answer.text


def test_a_million_names_of_files_are_refused_before_they_are_read(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.routes.uploads.Begin.__init__", lambda *_: pytest.fail("was parsed"))
    names = b'["a",1],' * 200_000
    status, said = post(client, "/api/uploads", b'{"name":"a","size":1,"files":[' + names + b"[]]}")
    assert status == 413 and "more than 60,100 values" in said


def test_a_folder_of_as_many_files_as_allowed_is_taken(client: TestClient) -> None:
    files = [[f"folder/{'文' * 30}, [{number}]", 1] for number in range(MOST_FILES)]
    body = json.dumps({"name": "x", "size": MOST_FILES, "files": files}).encode()
    assert post(client, "/api/uploads", body)[0] == 201


def test_gradios_upload_is_closed_and_takes_no_form_apart(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gradio.route_utils.GradioMultiPartParser.__init__", lambda *_: pytest.fail("was parsed")
    )
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n.\r\n'
    form = {"content-type": "multipart/form-data; boundary=x"}
    for path in ("/gradio_api/upload", "/gradio_api/upload?upload_id=a", "/gradio_api/upload/"):
        assert post(client, path, part * 1000 + b"--x--", **form)[0] == 404
    for path in ("/gradio_api/component_server", "/gradio_api/queue/join", "/api/uploads", "/x"):
        assert post(client, path, part + b"--x--", **form)[0] == 415


@pytest.mark.parametrize(
    "path",
    [
        *("/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/call/search"),
        *("/gradio_api/component_server", "/api/answers", "/api/uploads", "/gradio_api/mcp/"),
    ],
)
def test_json_that_is_deep_or_of_many_values_is_not_parsed(client: TestClient, path: str) -> None:
    for body in (b"[" * 100_000, b'{"data":' * 1000, b'{"data":[' + b"{}," * 200_000 + b"1]}"):
        status, said = post(client, path, body)
        assert status == 413 and ("nested deeper" in said or "values" in said or "larger" in said)


def test_refusals_are_said_in_the_pages_language(client: TestClient) -> None:
    _, said = post(client, "/api/answers", b"[" * 100, **{"accept-language": "zh"})
    assert "嵌套" in said


def test_a_login_is_asked_for_before_anything_is_read(ask: Ask) -> None:
    from ui.web.sessions import Credentials

    client = ask(credentials=Credentials("anna", "correct horse"))
    assert post(client, "/gradio_api/upload", b"x")[0] == 401
    assert post(client, "/api/uploads", b"[" * 1000)[0] == 401
    assert client.post("/login", content=b"user=" + b"x" * 10**6).status_code == 401


def test_a_piece_of_an_upload_that_is_allowed_is_not_held_in_memory() -> None:
    """It is handed on as it comes."""
    assert LIMITS["PUT", "/api/uploads/{id}"] == BodyLimit(MOST_SLICE, seconds=1800.0, pause=60.0)
    assert all(one.pause == 0 for (method, _), one in LIMITS.items() if method == "POST")
    assert max(one.bytes for one in LIMITS.values() if not one.pause) <= 16 * guards.MB
