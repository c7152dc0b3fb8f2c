"""One login before everything; guessing is slowed down; cookies cannot be made up."""

import asyncio
import json
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from tests.ui.conftest import HOST, Ask
from ui.web.login import EVERYWHERE, OWN, SLOTS, Guesser, Throttle, sessions_of
from ui.web.login import MOST as MOST_COUNTS
from ui.web.sessions import LIFETIME, Credentials, Sessions, read_secret
from workbench.errors import BadInput
from workbench.serving.api import MOST, ApiKey
from workbench.serving.server import Proxies
from workbench.workspace import Workspace

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
    assert "is wrong" in answer.text
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


async def test_sixty_guesses_at_once_are_sixty(guarded: TestClient) -> None:
    """Each is counted before it is looked at; the rest are told to wait, and never looked at."""
    transport = httpx.ASGITransport(app=guarded.app, client=("192.0.2.200", 1))
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
        forms = [FORM | {"password": f"guess {number}"} for number in range(60)]
        answers = await asyncio.gather(*(client.post("/login", data=form) for form in forms))
    assert Counter(one.status_code for one in answers) == {401: OWN.free, 429: 60 - OWN.free}


async def test_a_right_one_among_sixty_is_not_told_from_them(guarded: TestClient) -> None:
    transport = httpx.ASGITransport(app=guarded.app, client=("192.0.2.201", 1))
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
        for number in range(OWN.free):
            await client.post("/login", data=FORM | {"password": f"guess {number}"})
        assert (await client.post("/login", data=FORM)).status_code == 429


def guess(throttle: Throttle, who: Guesser, count: int, now: float = 0.0) -> int:
    """How many of so many attempts at one moment are looked at."""
    return sum(throttle.attempt(who, now) == 0 for _ in range(count))


def test_each_wrong_guess_makes_the_next_wait_longer_up_to_a_limit() -> None:
    throttle, who, now, waits = Throttle(), Guesser("anna", "a"), 0.0, []
    for _ in range(OWN.free + 8):
        wait = throttle.attempt(who, now)
        if wait:
            now += wait
            assert throttle.attempt(who, now) == 0
        waits.append(wait)
    assert waits[: OWN.free] == [0] * OWN.free
    assert waits[OWN.free :] == sorted(waits[OWN.free :])
    assert waits[OWN.free] <= 2 and waits[-1] <= OWN.longest + 1
    assert guess(throttle, who, 99, now + 3600) == OWN.free, "it is forgotten"


def test_who_guesses_holds_up_nobody_else_at_the_same_address() -> None:
    throttle = Throttle()
    guess(throttle, Guesser("ben", "proxy"), 1000)
    assert throttle.attempt(Guesser("anna", "proxy"), 0.0) == 0
    # Anna's own name is guessed from her own address: her browser is known, others wait shortly.
    guess(throttle, Guesser("anna", "proxy"), 1000)
    assert 0 < throttle.attempt(Guesser("anna", "proxy"), 0.0) <= OWN.longest
    assert throttle.attempt(Guesser("anna", "proxy", device="hers"), 0.0) == 0
    assert guess(throttle, Guesser("anna", "elsewhere", device="hers"), 99) == OWN.free - 1


def test_one_name_is_guessed_slowly_from_any_number_of_addresses() -> None:
    throttle = Throttle()
    looked = sum(throttle.attempt(Guesser("anna", f"a{at}"), 0.0) == 0 for at in range(9999))
    assert looked == EVERYWHERE.free
    day = 24 * 3600
    later = sum(throttle.attempt(Guesser("anna", f"b{now}"), now) == 0 for now in range(1, day, 5))
    assert later <= day / EVERYWHERE.longest + 10


def test_names_made_up_push_no_count_out() -> None:
    throttle, who = Throttle(), Guesser("anna", "a")
    for at in range(EVERYWHERE.free):
        throttle.attempt(Guesser("anna", f"a{at}"), 0.0)
    for at in range(MOST_COUNTS + SLOTS):
        throttle.attempt(Guesser(f"name {at}", "b"), 0.0)
    assert throttle.attempt(who, 0.0) > 0
    assert len(throttle._own) <= MOST_COUNTS + 1 and len(throttle._users) <= SLOTS


def test_who_gets_it_right_has_made_no_guess() -> None:
    throttle, who = Throttle(), Guesser("anna", "a")
    for _ in range(10 * EVERYWHERE.free):
        assert throttle.attempt(who, 0.0) == 0
        throttle.succeeded(who, 0.0)


def test_a_browser_that_signed_in_before_is_not_held_by_others(
    ask: Ask, guarded: TestClient
) -> None:
    guarded.post("/login", data=FORM)
    guarded.post("/logout")
    proxy = guarded._transport.client  # type: ignore[attr-defined]
    other = TestClient(guarded.app, base_url=HOST, client=proxy)
    for _ in range(2 * OWN.free):
        other.post("/login", data=FORM | {"password": "guess"})
    assert other.post("/login", data=FORM).status_code == 429
    entered = guarded.post("/login", data=FORM, follow_redirects=False)
    assert entered.status_code == 303
    # Only what was signed here counts as known.
    (name,) = [one for one in guarded.cookies if one.startswith("workbench-known")]
    other.cookies.set(name, "known.0123.4567")
    assert other.post("/login", data=FORM).status_code == 429


def test_behind_a_proxy_each_has_an_address_of_its_own(ask: Ask) -> None:
    proxies = Proxies.read(["198.51.100.0/24"])
    made = ask(credentials=ANNA, proxies=proxies)
    client = TestClient(made.app, base_url=HOST, client=("198.51.100.7", 1))

    def attempt(forwarded: str, password: str = "guess") -> int:
        headers = {"x-forwarded-for": forwarded}
        form = FORM | {"password": password}
        answer = client.post("/login", data=form, headers=headers, follow_redirects=False)
        return answer.status_code

    guesses = [attempt(f"10.9.9.{at}, 203.0.113.5") for at in range(OWN.free + 1)]
    assert guesses == [401] * OWN.free + [429], "what the guesser writes before counts for nothing"
    assert attempt("203.0.113.6", FORM["password"]) == 303
    direct = TestClient(made.app, base_url=HOST, client=("192.0.2.250", 1))
    said = [
        direct.post(
            "/login", data=FORM | {"password": "x"}, headers={"x-forwarded-for": f"10.0.0.{at}"}
        ).status_code
        for at in range(OWN.free + 1)
    ]
    assert said == [401] * OWN.free + [429], "nobody else may say who asks"


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


def test_a_copy_of_the_cookie_ends_with_the_session(guarded: TestClient, shared: Workspace) -> None:
    """On the server: now, and after it was started again. Another session goes on."""
    other = TestClient(guarded.app, base_url=HOST, client=("192.0.2.251", 1))
    for one in (guarded, other):
        one.post("/login", data=FORM)
    copy = dict(guarded.cookies)
    guarded.post("/logout")
    assert guarded.get("/api/changes", headers=as_cookie(copy)).status_code == 401
    assert other.get("/api/changes").status_code == 200
    again = sessions_of(shared.home, ANNA)
    assert [again.valid(value) for name, value in copy.items() if name == again.cookie] == [False]
    assert again.valid(other.cookies[again.cookie])
    # Signing out what is no session changes nothing.
    assert guarded.post("/logout", headers={"cookie": "x=y"}).status_code == 200


def as_cookie(values: dict[str, str]) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in values.items())}


def test_two_apps_of_one_home_hear_of_each_others_sign_outs(tmp_path: Path) -> None:
    one, other = (Sessions.open(ANNA, b"s" * 32, tmp_path / "ended.json") for _ in range(2))
    value = one.make(now=0.0)
    assert other.valid(value, now=1.0)
    one.end(value, now=1.0)
    assert not other.valid(value, now=1.0)
    late = one.make(now=LIFETIME + 1.0)
    one.end(late, now=LIFETIME + 1.0)
    kept = json.loads((tmp_path / "ended.json").read_text())
    assert len(kept) == 1, "what would be over anyway is not kept"
    (tmp_path / "ended.json").write_text("{")
    assert not one.valid(late, now=LIFETIME + 2.0)


def test_a_known_browser_is_not_signed_in(guarded: TestClient) -> None:
    guarded.post("/login", data=FORM)
    sessions = sessions_of_app(guarded)
    known = guarded.cookies[sessions.device_cookie]
    assert sessions.device(known)
    assert not sessions.valid(known) and not sessions.device(guarded.cookies[sessions.cookie])
    fresh = {sessions.cookie: known, sessions.device_cookie: known}
    other = TestClient(guarded.app, base_url=HOST, client=("192.0.2.252", 1))
    assert other.get("/api/changes", headers=as_cookie(fresh)).status_code == 401


def sessions_of_app(client: TestClient) -> Sessions:
    (found,) = [
        one.kwargs["sessions"]
        for one in client.app.user_middleware  # type: ignore[attr-defined]
        if "sessions" in one.kwargs
    ]
    return found  # type: ignore[no-any-return]


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
    end, number, signature = value.split(".")
    for forged in (
        *("", ".", "..", "x.y", f"{int(end) + 9}.{number}.{signature}", f"{end}.{number}."),
        *(f"{end}.{signature}", f"{end}..{signature}", f"{end}.{number}.ü", f"known.{value}"),
    ):
        assert not sessions.valid(forged, now=1001.0)


def test_the_secret_is_the_owners_only_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "session.key"
    assert read_secret(path) == read_secret(path)
    assert len(read_secret(path)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text", ["", "anna", "anna:", ":long enough", "anna:abc", "anna:1234567", "anna:  1234567 "]
)
def test_a_login_must_be_written_as_one(text: str) -> None:
    with pytest.raises(BadInput, match="user:password"):
        Credentials.parse(text)


def test_a_password_may_hold_colons_and_is_never_printed() -> None:
    parsed = Credentials.parse("anna:a:b:c:d:e\n")
    assert parsed.match("anna", "a:b:c:d:e")
    assert not parsed.match("anna", "a:b:c:d")
    assert "a:b:c:d:e" not in repr(parsed)
    assert Credentials.parse("anna:密码密码密码密码").match("anna", "密码密码密码密码")
