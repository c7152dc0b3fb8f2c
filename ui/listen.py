"""Taking a port: the one that was asked for, or the next free one."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from ui.words import t
from workbench.errors import BadInput

FIRST_PORT = 7860
PORTS = 100
#: Connections that wait while Gradio is still being imported.
BACKLOG = 128


@contextmanager
def listen(host: str, port: int | None) -> Iterator[socket.socket]:
    """A listening socket; raises :class:`BadInput` when there is none to be had.

    It listens from the start, so that no other program can take the port while the app loads.
    """
    taken = open_socket(host, port) if port is not None else _next_free(host)
    try:
        yield taken
    finally:
        taken.close()


def port_of(listening: socket.socket) -> int:
    """The port a socket listens on."""
    return int(listening.getsockname()[1])


def open_socket(host: str, port: int) -> socket.socket:
    """Listen on exactly this port."""
    try:
        return _bind(host, port)
    except OSError as error:
        raise _explain(host, port, error) from error


def _next_free(host: str) -> socket.socket:
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        try:
            found = _bind(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise _explain(host, port, error) from error
            continue
        if port != FIRST_PORT:
            print(t("server.taken_next", port=FIRST_PORT, other=port), flush=True)
        return found
    raise BadInput(t("server.no_port", port=FIRST_PORT, last=FIRST_PORT + PORTS - 1))


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, where = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(where)
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _explain(host: str, port: int, error: OSError) -> BadInput:
    if error.errno == errno.EADDRINUSE:
        return BadInput(t("server.taken", port=port))
    return BadInput(t("server.no_address", host=f"{host}:{port}", reason=error.strerror or error))
