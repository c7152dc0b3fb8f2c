"""How the client and the resident worker talk: JSON objects over an authenticated local socket.

JSON and not pickle: what arrives is looked at, never run.
"""

import json
from multiprocessing.connection import Connection
from typing import Any

from workbench.errors import SearchUnavailable, WorkbenchError

#: A line on the worker's standard output once it listens.
READY = "ready"
#: The one request that is answered by many messages: pieces, then the answer.
WRITE = "write"


def pack(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()


def send(connection: "Connection[Any, Any]", message: dict[str, Any]) -> None:
    connection.send_bytes(pack(message))


def receive(connection: "Connection[Any, Any]") -> dict[str, Any]:
    """The next message; raises EOFError or OSError when the other side is gone."""
    found: dict[str, Any] = json.loads(connection.recv_bytes())
    return found


def rebuild_error(said: dict[str, Any]) -> WorkbenchError:
    """The error the worker reported, as the class it was."""
    kind = _classes(WorkbenchError).get(str(said.get("code")), SearchUnavailable)
    return kind(str(said.get("message")), str(said.get("hint", "")))


def _classes(base: type[WorkbenchError]) -> dict[str, type[WorkbenchError]]:
    found = {base.code: base}
    for one in base.__subclasses__():
        found.update(_classes(one))
    return found
