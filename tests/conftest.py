"""What every test needs: no network but loopback, no hub, and a home of its own."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import warm

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# As workers have it (environment.patient): two tests beside each other must not spin for the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Several tests run at once: a second thread of one would only wait for the core of another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Which engine is the fastest on a busy machine is not the same each time, nor are its last digits.
os.environ["WORKBENCH_ENGINE"] = "torch"
os.environ.pop("WORKBENCH_HOME", None)

_connect = socket.socket.connect


def _loopback_only(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6):
        host = str(address[0])
        if not (host.startswith("127.") or host in ("::1", "localhost")):
            raise OSError(f"tests may not reach {host}")
    return _connect(self, address)


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", _loopback_only)
    yield
    patch.undo()


def pytest_configure(config: pytest.Config) -> None:
    # Elsewhere, a process that has threads may not be forked: there they start as they always do.
    if sys.platform == "linux" and not hasattr(config, "workerinput"):
        folder = warm.begin()
        config.add_cleanup(lambda: warm.end(folder))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: the quick ones then fill what is left of each process's time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True, scope="session")
def warm_processes() -> None:
    """What the project starts is forked from processes that have imported what it needs."""
    warm.use()


@pytest.fixture(autouse=True, scope="session")
def library_read_once() -> Iterator[None]:
    """Reading Python's library for the sample takes seconds; it is the same for every sample."""
    from workbench.data import job

    read: dict[Path, list[Any]] = {}

    def collect(progress: Any, check: Any) -> Iterator[Any]:
        where = job._library()
        if where not in read:
            read[where] = list(original(progress, check))
        return iter(read[where])

    original = job.collect
    patch = pytest.MonkeyPatch()
    patch.setattr(job, "collect", collect)
    yield
    patch.undo()


@pytest.fixture
def cold_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the project starts begins from nothing, as it does outside the tests."""
    monkeypatch.delenv(warm.VARIABLE, raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    return tmp_path / "home"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny embedding model with random weights, which nobody changes."""
    from tests.workbench.training.fakes import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("base") / "tiny")
