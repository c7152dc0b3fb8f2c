"""A page of ours served from a thread of the test's process, and runs made up row by row."""

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import gradio as gr
import uvicorn

from storage.records import JobStatus
from tests.storage import make
from ui.services import Services
from ui.web.server import ServerOptions, create_app
from workbench.jobs.processes import this_process
from workbench.serving.server import HEAD_SECONDS
from workbench.workspace import Workspace

#: Seconds that only a hang takes.
PATIENCE = 300.0
TOTAL = 400


@contextmanager
def served(
    services: Services, blocks: gr.Blocks | None = None, port: int = 0, **options: Any
) -> Iterator[str]:
    """The page's address while it is served. ``port``: that one, to come back after a restart."""
    listening = socket.create_server(("127.0.0.1", port), backlog=64)
    number = listening.getsockname()[1]
    wanted = ServerOptions(port=number, root_path=services.root_path, **options)
    app = create_app(services, wanted, blocks or gr.Blocks())
    config = uvicorn.Config(
        app,
        log_level="warning",
        ws="none",
        timeout_keep_alive=HEAD_SECONDS,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the server to start")
    try:
        yield f"http://127.0.0.1:{number}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listening.close()


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition, generously; fails with what was waited for."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE:.0f} s for {what}")


class Run:
    """A training run that only this test reports on."""

    def __init__(self, workspace: Workspace, name: str = "a run", id: str = "run0000001") -> None:
        self.store = workspace.store
        self.job = self.store.jobs.insert(
            make.job(id, name=name, task="train-embedding", created_at=time.time())
        )
        self.step = 0

    def start(self) -> None:
        """Claimed, in a slot of its own; a resumed run gets its next attempt."""
        claimed = self.store.queue.claim(lambda job: [job.id], this_process(), [self.job.id])
        assert claimed is not None
        self.job = claimed

    def baseline(self, value: float = 0.589) -> None:
        self._append([_row(0, "baseline", {"map@100": value})])

    def part(self, number: int, of: int) -> None:
        """Another training begins with the next step."""
        self._append([_row(self.step + 1, "part", {"number": number, "of": of})])

    def train(self, steps: int) -> None:
        """Report that many more steps, each with its numbers; every 20th also evaluates."""
        rows = []
        for step in range(self.step + 1, self.step + steps + 1):
            rows += _rows_of(step)
        self.step += steps
        self._append(rows)
        left = (TOTAL - self.step) / 4
        progress = {"done": self.step, "total": TOTAL, "unit": "steps", "seconds_left": left}
        self.store.jobs.report(self.job.id, self.job.attempt, progress=progress)

    def forget_after(self, step: int) -> None:
        self.store.metrics.delete_after(self.job.id, self.job.attempt, step)
        self.step = step

    def end(self, status: JobStatus = JobStatus.SUCCEEDED, error: str = "") -> None:
        about = {"message": error} if error else None
        self.store.queue.finish(self.job, status, error=about)
        self.job = replace(self.job, status=status)

    def _append(self, rows: list[dict[str, Any]]) -> None:
        self.store.metrics.append(self.job.id, self.job.attempt, rows)


def _rows_of(step: int) -> list[dict[str, Any]]:
    wobble = 0.18 * math.sin(step * 2.1) + 0.1 * math.sin(step * 5.3)
    numbers = {
        "loss": 0.35 + 1.6 * math.exp(-step / 90) + wobble * math.exp(-step / 300),
        "learning_rate": 1e-4 * min(step / 40, (TOTAL - step) / (TOTAL - 40)),
        "grad_norm": 2.4 + 1.5 * math.exp(-step / 60) + wobble,
    }
    rows = [_row(step, "train", numbers)]
    if step % 20 == 0:
        rows.append(_row(step, "dev", {"map@100": 0.69 - 0.11 * math.exp(-step / 80)}))
        rows.append(_row(step, "system", {"samples_per_second": 31.4, "memory_mb": 1432.0}))
    return rows


def _row(step: int, kind: str, numbers: dict[str, float]) -> dict[str, Any]:
    return {"step": step, "kind": kind, "at": time.time(), "numbers": numbers}
