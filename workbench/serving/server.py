"""Uvicorn with the manners a person expects of Ctrl-C (once means stop now, and cleanly), and no
patience with clients that only hold a connection.
"""

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from workbench.errors import BadInput

SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Open pages poll and hold connections; they come back by themselves.
GRACE_SECONDS = 1
#: A request's head is here within so many seconds, or the connection is closed; as long as that a
#: connection waits for its next request. Clients drop one that is idle sooner (httpx after 5
#: seconds, aiohttp after 15): where both sides end it at the same moment, a request is lost.
HEAD_SECONDS = 20
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
        timeout_keep_alive=HEAD_SECONDS,
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


# Who asks, where requests come by way of a reverse proxy.
#
# Anybody can write an address into X-Forwarded-For, so it counts only where a proxy that was named
# at the start has sent it, and only as far as such proxies have added to it.

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: One household or company has so many bits of IPv6 in common: each address of it is not another.
_HOUSEHOLD = 64


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies whose word is taken."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def read(cls, texts: Iterable[str]) -> "Proxies":
        """From addresses ('127.0.0.1') and networks ('10.0.0.0/8'); raises :class:`BadInput`."""
        return cls(tuple(_network(text) for text in texts))

    def client(self, scope: Scope) -> str:
        """The address that a request comes from, as far as it is known for sure."""
        peer = (scope.get("client") or ("",))[0]
        found = _address(peer)
        if found is None:
            return str(peer)
        # Each proxy adds who asked it at the end.
        said = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
        while self._trusts(found) and said:
            before = _address(said.pop().strip())
            if before is None:
                break
            found = before
        return _together(found)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise BadInput(
            f"'{text}' is no address of a proxy.",
            "Give --trusted-proxy an address such as 127.0.0.1, or a network such as 10.0.0.0/8.",
        ) from error


def _address(text: str) -> Address | None:
    """An address, also with a port ('192.0.2.1:5000', '[::1]:5000')."""
    plain = text.partition("]")[0].lstrip("[") if text.startswith("[") else text
    plain = plain.partition(":")[0] if plain.count(":") == 1 else plain
    try:
        found = ipaddress.ip_address(plain.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _together(address: Address) -> str:
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        return str(ipaddress.ip_network((address, _HOUSEHOLD), strict=False).network_address)
    return str(address)


NO_PROXIES = Proxies()
