"""Connections that are only held are closed: by what is waited for, not by how long it took."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState

from workbench.serving import server
from workbench.serving.server import HEAD_SECONDS, LINGER_SECONDS, Impatient, config_of


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Clock:
    """The event loop with timers that are set, and run when a test says so."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.set: list[tuple[float, Any, asyncio.TimerHandle]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(self, seconds: float, act: Any) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(0.0, act, (), self._loop)
        self.set.append((seconds, act, handle))
        return handle

    def waiting(self) -> set[float]:
        return {
            seconds
            for seconds, act, handle in self.set
            if not handle.cancelled() and act.__name__ == "_close"
        }

    def ring(self) -> None:
        for _, act, handle in self.set:
            if not handle.cancelled() and act.__name__ == "_close":
                act()


class Connection:
    def __init__(self) -> None:
        config = config_of(small())
        config.load()
        self.clock = Clock()
        self.transport = Transport()
        self.protocol = Impatient(config, ServerState(), {}, self.clock)
        self.protocol.connection_made(self.transport)

    async def send(self, data: bytes) -> None:
        self.protocol.data_received(data)
        for _ in range(20):
            await asyncio.sleep(0)


def small() -> FastAPI:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/reads":
            while (await receive()).get("more_body"):
                continue
        await PlainTextResponse("in")(scope, receive, send)

    return app  # type: ignore[return-value]


HEAD = b"GET / HTTP/1.1\r\nhost: a\r\n"


async def test_a_head_that_trickles_has_one_time_limit() -> None:
    made = Connection()
    for letter in (b"G", b"E", b"T", b" / HTTP/1.1\r\n", b"a: b\r\n" * 3):
        await made.send(letter)
        assert made.clock.waiting() == {HEAD_SECONDS}
    assert len([one for one in made.clock.set if one[1].__name__ == "_close"]) == 1
    made.clock.ring()
    assert made.transport.closed and made.transport.written == b""


async def test_a_request_is_answered_and_the_connection_kept() -> None:
    made = Connection()
    for _ in range(3):
        await made.send(HEAD + b"\r\n")
    assert made.transport.written.count(b"200 OK") == 3
    assert not made.transport.closed
    await made.send(HEAD)
    made.clock.ring()
    assert made.transport.closed


async def test_a_body_that_is_awaited_is_the_routes_to_limit() -> None:
    made = Connection()
    await made.send(b"POST /reads HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345")
    assert made.clock.waiting() == set()
    await made.send(b"67890")
    assert b"200 OK" in made.transport.written


async def test_a_body_that_goes_on_after_the_answer_is_read_for_a_while_only() -> None:
    made = Connection()
    await made.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
    assert b"200 OK" in made.transport.written
    for _ in range(5):
        await made.send(b"3\r\nabc\r\n")
        assert made.clock.waiting() == {LINGER_SECONDS}
    made.clock.ring()
    assert made.transport.closed


def test_there_is_a_limit_of_connections() -> None:
    config = config_of(small())
    assert config.limit_concurrency == server.MOST_CONNECTIONS
    assert config.http is Impatient


def test_clients_drop_an_idle_connection_first() -> None:
    """Where both sides end it at the same moment, the next request is lost."""
    assert config_of(small()).timeout_keep_alive >= 2 * (httpx.Limits().keepalive_expiry or 0)
