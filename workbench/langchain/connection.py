"""One open workspace, and one search process, for each home that this program uses."""

import atexit
import threading
from pathlib import Path

from workbench.search.client import SearchClient
from workbench.workspace import Workspace

_open: dict[tuple[Path, bool], SearchClient] = {}
_lock = threading.Lock()


def connect(home: str | None = None, trust_remote_code: bool = False) -> SearchClient:
    """The search client of a home (``WORKBENCH_HOME``, else the usual place), opened on first use.

    Chains make many objects over one workspace; each with a process and models of its own would
    soon fill the memory. Raises :class:`StoreError`.
    """
    workspace = Workspace.open(home, trust_remote_code=trust_remote_code)
    key = (workspace.home, trust_remote_code)
    with _lock:
        if key in _open:
            workspace.close()
        else:
            _open[key] = SearchClient(workspace)
        return _open[key]


@atexit.register
def close() -> None:
    """End every search process; the next use starts another."""
    with _lock:
        for client in _open.values():
            client.close()
        _open.clear()
