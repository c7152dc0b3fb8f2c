"""Limits of a request's body come before anything reads it, whatever is sent and however slowly."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from workbench.serving.bodies import BodyLimit, LimitBodies, Refused, check_json

LIMIT = BodyLimit(1000, values=20, depth=4, seconds=60.0)


class App:
    """Counts what reaches it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.gone = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.bodies.append(body)
        await PlainTextResponse("in")(scope, receive, send)


def said(_scope: Scope, refused: Refused, _limit: BodyLimit) -> PlainTextResponse:
    return PlainTextResponse(refused.why, refused.status)


async def ask(
    app: App, pieces: Any, limit: BodyLimit | None = LIMIT, **headers: str
) -> tuple[int, str, int]:
    """Status, text, and how many pieces were taken."""
    taken = 0
    sent: list[Message] = []
    coming: Iterator[bytes] = iter(pieces)

    async def receive() -> Message:
        nonlocal taken
        piece = next(coming, None)
        if piece is None:
            await asyncio.sleep(3600)
        taken += 1
        more = piece != b"END"
        return {"type": "http.request", "body": piece if more else b"", "more_body": more}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": raw}
    await LimitBodies(app, lambda _scope: limit, said)(scope, receive, send)
    if not sent:
        return 0, "", taken
    return sent[0]["status"], sent[1]["body"].decode(), taken


def whole(value: Any) -> list[bytes]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return [body, b"END"]


def endless(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


async def test_what_is_small_enough_gets_in_as_it_was_sent() -> None:
    app = App()
    assert await ask(app, [b"[1,", b"2]", b"END"]) == (200, "in", 3)
    assert app.bodies == [b"[1,2]"]


async def test_a_length_that_is_said_is_believed_before_anything_is_read() -> None:
    app = App()
    for length in ("1001", "60000000", "9" * 5000):
        assert await ask(app, endless(b"x"), content_length=length) == (413, "bytes", 0)
    assert app.bodies == []


async def test_a_length_that_is_not_said_or_wrong_is_counted() -> None:
    app = App()
    for headers in ({}, {"content_length": "5"}, {"content_length": "²"}):
        status, why, taken = await ask(app, endless(b"x" * 100), **headers)
        assert (status, why, taken) == (413, "bytes", 11)
    assert app.bodies == []


@pytest.mark.parametrize(
    "body",
    [
        [1] * 21,
        {"files": [["a", 1]] * 11},
        b"[" + b'"a",' * 30 + b'"a"]',
        b'["\\"",' + b"1," * 30 + b"1]",
        b"\xef\xbb\xbf[" + b"1," * 30 + b"1]",
    ],
)
async def test_too_many_values_are_not_parsed(body: Any) -> None:
    app = App()
    assert (await ask(app, whole(body)))[:2] == (413, "values")
    assert app.bodies == []


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":', b'["]]]",'])
async def test_deep_nesting_is_not_parsed(opening: bytes) -> None:
    app = App()
    assert (await ask(app, whole(opening * 5)))[:2] == (413, "depth")
    assert app.bodies == []


async def test_commas_and_brackets_within_texts_count_for_nothing() -> None:
    app = App()
    assert (await ask(app, whole(b'"[' + b"{," * 30)))[0] == 200, "a text without its end is one"
    for text in ("a,b[c{" * 100, '\\"[[[[[[[[,,' * 20, "\\", '"' * 50 + ",[" * 50):
        assert (await ask(app, whole({"text": text})))[0] == 200


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
async def test_other_encodings_hide_nothing(encoding: str) -> None:
    app = App()
    assert (await ask(app, whole("[1,2]".encode(encoding))))[:2] == (415, "encoding")
    assert app.bodies == []


async def test_forms_of_several_parts_are_not_taken() -> None:
    app = App()
    for kind in ("multipart/form-data; boundary=x", " Multipart/Mixed"):
        assert await ask(app, endless(b"x"), content_type=kind) == (415, "parts", 0)


async def test_a_closed_route_reads_nothing() -> None:
    app = App()
    assert await ask(app, endless(b"x"), BodyLimit(0)) == (404, "closed", 0)
    assert app.bodies == []


async def test_what_does_not_arrive_is_given_up() -> None:
    app = App()
    slow = BodyLimit(1000, seconds=0.05)
    assert (await ask(app, [b"x"], slow))[:2] == (408, "slow")
    passing = BodyLimit(1000, seconds=60.0, pause=0.05)
    await ask(app, [b"x"], passing)
    drips = BodyLimit(1000, seconds=0.05, pause=60.0)
    await ask(app, [b"x"], drips)
    assert (app.bodies, app.gone) == ([], 2)


async def test_what_is_handed_on_as_it_comes_ends_at_the_limit() -> None:
    app = App()
    limit = BodyLimit(1000, seconds=60.0, pause=60.0)
    assert await ask(app, [b"ab", b"c", b"END"], limit) == (200, "in", 3)
    assert (await ask(app, endless(b"x" * 100), limit))[2] == 11
    assert await ask(app, endless(b"x"), limit, content_length="1001") == (413, "bytes", 0)
    assert (app.bodies, app.gone) == ([b"abc"], 1)


async def test_who_goes_away_is_not_answered() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    app = App()
    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await LimitBodies(app, lambda _scope: LIMIT, said)(scope, receive, send)
    assert (sent, app.bodies, app.gone) == ([], [], 0)


def shape(value: Any) -> tuple[int, int]:
    """Values, and how deep they lie."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return 1, 0
    inner = [shape(one) for one in value]
    return 1 + sum(count for count, _ in inner), 1 + max((deep for _, deep in inner), default=0)


ANY = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('",[]{}\\a文'), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=30,
)


@given(ANY, st.integers(1, 40), st.integers(1, 6), st.booleans())
def test_values_and_depth_are_counted_as_they_are(
    value: Any, values: int, depth: int, plain: bool
) -> None:
    """No more gets through than allowed, and nothing that is well within is refused."""
    count, deep = shape(value)
    body = json.dumps(value, ensure_ascii=plain).encode()
    try:
        check_json(body, BodyLimit(10**6, values=values, depth=depth))
        let_in = True
    except Refused:
        let_in = False
    if let_in:
        assert deep <= depth and count <= 2 * values
    if deep <= depth and 2 * count <= values:
        assert let_in
