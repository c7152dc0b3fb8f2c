"""Uvicorn with the manners a person expects of Ctrl-C (once means stop now, and cleanly), and no
patience with clients that only hold a connection.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Open pages poll and hold connections; they come back by themselves.
GRACE_SECONDS = 1
#: A request's head is here within so many seconds, or the connection is closed.
HEAD_SECONDS = 20.0
#: What is still sent of a request that was answered (refused, say) is read no longer than that.
LINGER_SECONDS = 60.0
#: More connections at once are answered with 503: a process has only so many files.
MOST_CONNECTIONS = 500


def serve(app: FastAPI, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve on the socket until SIGINT or SIGTERM; ``ready`` is called once pages are served."""
    asyncio.run(_Server(config_of(app), ready).serve(sockets=[listening]))


def config_of(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Impatient,
        log_config=None,
        access_log=False,
        ws="none",
        lifespan="on",
        # Addresses in headers are anybody's to write; ``proxies.py`` says whose word is taken.
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


class Impatient(H11Protocol):
    """Closes a connection whose request never begins in earnest, or never ends after its answer."""

    def __init__(self, *about: Any, **more: Any) -> None:
        super().__init__(*about, **more)
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """A timer runs from the first moment of waiting, however much trickles in meanwhile."""
        seconds = self._patience()
        if seconds is None:
            self._forget()
        elif self._timer is None:
            self._timer = self.loop.call_later(seconds, self._close)

    def _patience(self) -> float | None:
        """Seconds for what is waited for now; None while a request is at work, or sent."""
        if self.conn.their_state is h11.IDLE:
            return HEAD_SECONDS
        answered = self.cycle is not None and self.cycle.response_complete
        sending = self.conn.their_state is h11.SEND_BODY
        return LINGER_SECONDS if answered and sending else None

    def _close(self) -> None:
        self._timer = None
        if self._patience() is not None and not self.transport.is_closing():
            self.transport.close()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Server(uvicorn.Server):
    """Uvicorn raises a signal anew after it stopped; here it has been obeyed by then."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
