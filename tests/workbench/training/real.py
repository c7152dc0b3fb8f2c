"""A workspace with a supervisor and the animals as a data set, for runs in real workers."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from storage.records import Job, JobStatus
from tests.workbench.training.fakes import animal_splits
from workbench.jobs.supervisor import Supervisor
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

#: Generous: only a test that fails waits so long.
LIMIT = 600.0


@contextmanager
def running(home: Path) -> Iterator["Real"]:
    workspace = Workspace.open(home)
    supervisor = Supervisor(workspace)
    supervisor.start()
    try:
        real = Real(workspace, supervisor)
        real.done(ImportRecipe(paths=[str(write_animals(home.parent / "pets"))], name="pets"))
        yield real
    finally:
        for job in workspace.jobs.list():
            if not job.status.finished:
                workspace.jobs.cancel(job.id)
                supervisor.run_until(job.id)
        supervisor.stop()
        workspace.close()


class Real:
    def __init__(self, workspace: Workspace, supervisor: Supervisor) -> None:
        self.workspace = workspace
        self.supervisor = supervisor

    def done(self, recipe: Any) -> Job:
        """Run it to its end; it must succeed."""
        return self.finished(self.workspace.jobs.submit(recipe))

    def finished(self, job: Job) -> Job:
        ended = self.supervisor.run_until(job.id)
        log = (self.workspace.jobs.folder(job.id) / "log.txt").read_text()[-3000:]
        assert ended.status is JobStatus.SUCCEEDED, (ended.error, log)
        return ended

    def rows(self, job: Job) -> list[tuple[int, str, dict[str, float]]]:
        """Its metric rows, without what the machine was doing."""
        found = self.workspace.jobs.metrics(job.id)
        return [(row.step, row.kind, row.values) for row in found if row.kind != "system"]

    def weights(self, job: Job, step: int) -> dict[str, Any]:
        from safetensors.numpy import load_file

        folder = self.workspace.jobs.folder(job.id) / "output" / f"checkpoint-{step}"
        found: dict[str, Any] = {}
        for path in sorted(folder.rglob("*.safetensors")):
            found |= {f"{path.parent.name}/{key}": one for key, one in load_file(path).items()}
        return found


def write_animals(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    splits = animal_splits(train=120)
    splits["test"] = [("which cat today", ["here is cat today"], [])]
    for split, rows in splits.items():
        lines = [json.dumps({"query": q, "pos": pos, "neg": neg}) for q, pos, neg in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.03)


def assert_same(first: dict[str, Any], second: dict[str, Any], within: float) -> None:
    assert first.keys() == second.keys() and first
    for name, value in first.items():
        assert np.allclose(value, second[name], atol=within), name
