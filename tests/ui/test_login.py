"""One login before everything; guessing is slowed down; cookies cannot be made up."""

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.ui.conftest import Ask
from ui.login import LIFETIME, Credentials, Sessions, Throttle, read_secret
from workbench.errors import BadInput
from workbench.serving.brake import MOST
from workbench.serving.keys import ApiKey

ANNA = Credentials("anna", "correct horse")
FORM = {"user": "anna", "password": "correct horse"}

PROTECTED = [
    ("GET", "/"),
    ("GET", "/config"),
    ("GET", "/gradio_api/info"),
    ("GET", "/gradio_api/startup-events"),
    ("GET", "/gradio_api/queue/data?session_hash=x"),
    ("GET", "/gradio_api/file=/etc/passwd"),
    ("POST", "/gradio_api/upload"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/run/predict"),
    ("GET", "/theme.css"),
    ("GET", "/api/assets/live.js"),
    ("GET", "/healthz"),
    ("GET", "/api/changes"),
    ("GET", "/api/jobs/abc/points"),
    ("GET", "/api/jobs/abc/log"),
    ("GET", "/api/download/models/all-MiniLM-L6-v2"),
    ("GET", "/api/download/evaluations.csv?id=a"),
    ("GET", "/api/download/evaluations.trec.zip?id=a"),
    ("POST", "/api/uploads"),
    ("GET", "/api/uploads/abc"),
    ("PUT", "/api/uploads/abc?offset=0"),
    ("DELETE", "/api/uploads/abc"),
    ("GET", "/no-such-page"),
]


@pytest.fixture
def guarded(ask: Ask) -> TestClient:
    return ask(credentials=ANNA)


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_every_route_asks_for_the_login(guarded: TestClient, method: str, path: str) -> None:
    answer = guarded.request(method, path)
    assert answer.status_code == 401
    assert "sign in" in answer.json()["error"]


def paths_of(routes: Iterable[Any], prefix: str = "") -> Iterator[str]:
    """Every path below these routes, through mounted apps and included routers."""
    for route in routes:
        path = prefix + getattr(route, "path", "")
        inner = getattr(route, "app", None) or getattr(route, "original_router", None)
        if hasattr(inner, "routes"):
            yield from paths_of(inner.routes, path.rstrip("/"))
        else:
            yield path


def test_every_route_of_the_app_is_behind_the_login(guarded: TestClient) -> None:
    """Also those this test does not know by name."""
    paths = set(paths_of(guarded.app.routes))  # type: ignore[attr-defined]
    assert len(paths) > 60
    assert {"/api/changes", "/api/uploads/{id}", "/gradio_api/upload", "/config"} <= paths
    for path in paths - {"/login", "/login/", "/logout"}:
        plain = path.replace("{path:path}", "x").replace("{", "").replace("}", "")
        answer = guarded.get(plain or "/", follow_redirects=False)
        assert answer.status_code == 401, path


def test_a_person_is_shown_the_form_and_comes_back_to_where_they_were(guarded: TestClient) -> None:
    html = {"accept": "text/html"}
    asked = guarded.get("/?tab=jobs", headers=html, follow_redirects=False)
    assert asked.status_code == 303
    assert asked.headers["location"] == "/login?next=%2F%3Ftab%3Djobs"
    form = guarded.get(asked.headers["location"])
    assert "<form" in form.text
    entered = guarded.post(asked.headers["location"], data=FORM, follow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, "/?tab=jobs")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert guarded.get("/").status_code == 200
    assert guarded.get("/api/changes").status_code == 200


def test_behind_https_the_cookie_is_secure(guarded: TestClient) -> None:
    https = {"x-forwarded-proto": "https"}
    answer = guarded.post("/login", data=FORM, headers=https, follow_redirects=False)
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "form", [{}, {"user": "anna"}, FORM | {"password": "x"}, FORM | {"user": ""}]
)
def test_a_wrong_login_opens_nothing(guarded: TestClient, form: dict[str, str]) -> None:
    answer = guarded.post("/login", data=form)
    assert answer.status_code == 401
    assert "not right" in answer.text
    assert guarded.get("/api/changes").status_code == 401


def test_gradios_own_login_route_is_out_of_reach(guarded: TestClient) -> None:
    for path in ("/login/", "/login"):
        assert guarded.post(path, data={"username": "a", "password": "b"}).status_code == 401


def test_five_failures_in_a_minute_are_enough(guarded: TestClient) -> None:
    for _ in range(5):
        assert guarded.post("/login", data=FORM | {"password": "guess"}).status_code == 401
    answer = guarded.post("/login", data=FORM)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "Too many attempts" in answer.text


def test_wrong_keys_for_agents_have_to_wait_and_the_same_again_has_not(ask: Ask) -> None:
    """Behind a login a key stands for it at the tools; guessing it is slowed down as at /v1."""
    key = "0123456789-0123456789"
    client = ask(credentials=ANNA, key=ApiKey.of(key), mcp=True)

    def tools(given: str) -> int:
        headers = {"authorization": f"Bearer {given}"}
        return client.post("/gradio_api/mcp", headers=headers, json={}).status_code

    assert {tools("last year's key") for _ in range(2 * MOST)} == {401}
    # Let in: what it says there is no call of a tool.
    assert tools(key) not in (401, 429)
    assert [tools(f"guess {number}") for number in range(MOST - 1)] == [401] * (MOST - 1)
    assert tools(key) == 429
    held = client.get("/gradio_api/mcp/", headers={"authorization": "Bearer one more"})
    assert held.status_code == 429 and int(held.headers["retry-after"]) > 0
    assert "wrong keys" in held.json()["error"]
    # Who signs in with the password is not held.
    assert client.post("/login", data=FORM, follow_redirects=False).status_code == 303


def test_the_brake_is_per_address_forgets_and_holds_everybody_at_last() -> None:
    throttle = Throttle(per_address=2, overall=5)
    for now in (0.0, 1.0):
        throttle.failed("a", now)
    assert throttle.wait("a", 2.0) == 58
    assert throttle.wait("b", 2.0) == 0
    assert throttle.wait("a", 61.5) == 0
    for number in range(5):
        throttle.failed(f"c{number}", 70.0)
    assert throttle.wait("new", 71.0) == 59


@pytest.mark.parametrize("after", ["//evil.example", "https://evil.example", "/\\evil", "/a\nb"])
def test_the_login_never_leads_to_another_site(guarded: TestClient, after: str) -> None:
    entered = guarded.post("/login", params={"next": after}, data=FORM, follow_redirects=False)
    assert entered.headers["location"] == "/"


def test_another_sites_page_cannot_sign_one_in_or_out(guarded: TestClient) -> None:
    foreign = {"origin": "https://evil.example"}
    assert guarded.post("/login", data=FORM, headers=foreign).status_code == 403
    guarded.post("/login", data=FORM)
    assert guarded.post("/logout", headers=foreign).status_code == 403
    assert guarded.get("/api/changes").status_code == 200


def test_signing_out(guarded: TestClient) -> None:
    guarded.post("/login", data=FORM)
    assert guarded.get("/logout", follow_redirects=False).headers["location"] == "/"
    assert guarded.get("/api/changes").status_code == 200
    guarded.post("/logout")
    assert guarded.get("/api/changes").status_code == 401


def test_what_is_typed_is_shown_as_text(guarded: TestClient) -> None:
    answer = guarded.get("/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script" not in answer.text


def test_a_cookie_holds_its_time_survives_a_restart_and_dies_with_the_password() -> None:
    secret = b"s" * 32
    sessions = Sessions.open(ANNA, secret)
    value = sessions.make(now=1000.0)
    assert Sessions.open(ANNA, secret).valid(value, now=1001.0)
    assert not sessions.valid(value, now=1001.0 + LIFETIME)
    assert not Sessions.open(Credentials("anna", "another"), secret).valid(value, now=1001.0)
    end, _, signature = value.partition(".")
    for forged in ("", ".", f"{int(end) + 9}.{signature}", f"{end}.", f"{end}.ü", "x.y"):
        assert not sessions.valid(forged, now=1001.0)


def test_the_secret_is_the_owners_only_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "session.key"
    assert read_secret(path) == read_secret(path)
    assert len(read_secret(path)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "anna", "anna:", ":secret", "anna:abc"])
def test_a_login_must_be_written_as_one(text: str) -> None:
    with pytest.raises(BadInput, match="user:password"):
        Credentials.parse(text)


def test_a_password_may_hold_colons_and_is_never_printed() -> None:
    parsed = Credentials.parse("anna:a:b:c:d\n")
    assert parsed.match("anna", "a:b:c:d")
    assert not parsed.match("anna", "a:b:c")
    assert "a:b:c:d" not in repr(parsed)
