"""Guessing the key is slowed down, address by address; who has it is not bothered by others."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from workbench.serving import api
from workbench.serving.api import MOST, WINDOW, ApiKey, RateLimit, RequireKey

KEY = "0123456789-0123456789"


def client(app: RequireKey, address: str, key: str | None) -> TestClient:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return TestClient(app, headers=headers, client=(address, 5000))


@pytest.fixture
def app() -> Iterator[RequireKey]:
    inside = Starlette(
        routes=[Route(path, lambda _: PlainTextResponse("in")) for path in ("/models", "/docs")]
    )
    yield RequireKey(inside, ApiKey.of(KEY), "/v1")


def test_wrong_keys_have_to_wait_and_others_have_not(app: RequireKey) -> None:
    for number in range(MOST):
        wrong = client(app, "192.0.2.1", f"wrong {number}")
        assert wrong.get("/models").status_code == 401
    held = client(app, "192.0.2.1", "wrong again").get("/models")
    assert held.status_code == 429
    assert 1 <= int(held.headers["retry-after"]) <= WINDOW
    assert held.json()["error"]["type"] == "rate_limit_error"
    assert held.json()["error"]["code"] == "too_many_wrong_keys"
    # Else the right one would be told from the others.
    assert client(app, "192.0.2.1", KEY).get("/models").status_code == 429
    assert client(app, "192.0.2.2", KEY).get("/models").status_code == 200
    assert wrong.get("/docs").status_code == 200


def test_one_wrong_key_again_and_again_is_one_guess(app: RequireKey) -> None:
    """A program that was set up wrongly, and another one beside it that was not."""
    wrong = client(app, "192.0.2.4", "last year's key")
    assert {wrong.get("/models").status_code for _ in range(3 * MOST)} == {401}
    assert client(app, "192.0.2.4", KEY).get("/models").status_code == 200
    (kept,) = app.brake._wrong["192.0.2.4"]
    assert b"last year" not in kept, "a key that is right elsewhere is not kept as it is"


def test_a_forgotten_key_is_no_guess(app: RequireKey) -> None:
    without = client(app, "192.0.2.3", None)
    assert [without.get("/models").status_code for _ in range(MOST + 2)] == [401] * (MOST + 2)
    assert client(app, "192.0.2.3", KEY).get("/models").status_code == 200


def test_after_a_while_it_is_listened_to_again() -> None:
    made = RateLimit()
    for number in range(MOST):
        assert made.wait("a", 100.0) == 0
        made.failed("a", f"k{number}", 100.0)
    assert made.wait("a", 100.0) > 0
    assert made.wait("a", 100.0 + WINDOW - 0.5) == 1
    assert made.wait("a", 100.0 + WINDOW) == 0


@given(st.lists(st.floats(0, 500), max_size=60).map(sorted), st.floats(0, 100))
def test_no_more_wrong_keys_than_allowed_are_looked_at(times: list[float], more: float) -> None:
    made, looked = RateLimit(), []
    for number, now in enumerate(times):
        if not made.wait("a", now):
            made.failed("a", f"k{number}", now)
            looked.append(now)
    for at in range(len(looked) - MOST):
        assert looked[at + MOST] - looked[at] >= WINDOW
    last = times[-1] if times else 0.0
    assert made.wait("a", last + WINDOW + more) == 0


def test_many_addresses_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "ADDRESSES", 20)
    made = RateLimit()
    for number in range(100):
        made.failed(f"a{number}", "k", float(number))
    assert len(made._wrong) == 20
