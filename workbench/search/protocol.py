"""How the client and the resident worker talk: JSON objects over an authenticated local socket.

JSON and not pickle: what arrives is looked at, never run.
"""

import json
import select
from multiprocessing.connection import Connection
from typing import Any

import orjson

#: A line on the worker's standard output once it listens.
READY = "ready"


def pack(message: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(message)
    except TypeError:
        # Half a surrogate pair, which a question may hold, is no UTF-8; the library's own JSON
        # escapes it.
        return json.dumps(message).encode()


def unpack(packed: bytes) -> dict[str, Any]:
    found: dict[str, Any]
    try:
        found = orjson.loads(packed)
    except orjson.JSONDecodeError:
        found = json.loads(packed)
    return found


def send(connection: "Connection[Any, Any]", message: dict[str, Any]) -> None:
    connection.send_bytes(pack(message))


def receive(connection: "Connection[Any, Any]") -> dict[str, Any]:
    """The next message; raises EOFError or OSError when the other side is gone."""
    return unpack(connection.recv_bytes())


def arrives(connection: "Connection[Any, Any]", seconds: float) -> bool:
    """Whether something can be read in time: a message, or that the other side is gone. (The
    connection's own ``poll`` makes a selector each time, which costs as much as a small search.)"""
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(seconds * 1000))
