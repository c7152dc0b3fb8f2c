"""A run that really ends out of memory, and the one that is started with what it suggests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.records import Job, JobStatus
from tests.workbench.checks import hungry
from tests.workbench.checks.hungry import HungryRecipe
from tests.workbench.cli.test_main import write
from workbench.cli.running import JobFailed, run_job
from workbench.errors import BadInput
from workbench.jobs.suggested import fitting, suggestions
from workbench.jobs.supervisor import Supervisor
from workbench.recipes.data import ImportRecipe
from workbench.tasks import EXTRA_TASKS_VARIABLE
from workbench.workspace import Workspace

# Real workers, whose memory is limited: each run is a process or two.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cold_processes")]

ROWS = [
    {"query": f"the quick fox {n}", "pos": [f"a lazy dog sat on the mat by it {n} " * 30]}
    for n in range(200)
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """With data; the tests of this file start jobs of their own in it."""
    folder = tmp_path_factory.mktemp("hungry")
    opened = Workspace.open(folder / "home")
    file = write(folder / "rows.jsonl", ROWS)
    run_job(opened, ImportRecipe.read({"paths": [str(file)], "name": "rows"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(EXTRA_TASKS_VARIABLE, hungry.WHERE)
        yield opened
    opened.close()


def ended(workspace: Workspace, **values: Any) -> Job:
    recipe = HungryRecipe.read({"dataset": "rows", "batch_size": 64, **values})
    return Supervisor(workspace).run_until(workspace.jobs.submit(recipe).id)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("limit", "There was not enough memory on this machine."),
        # torch's own allocator: RuntimeError "DefaultCPUAllocator: can't allocate memory".
        ("torch", "It failed when 1073741824 bytes more were requested."),
    ],
)
def test_a_run_that_ends_out_of_memory_starts_again_and_fits(
    workspace: Workspace, how: str, words: str
) -> None:
    job = ended(workspace, how=how)
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert words in job.error["message"]
    assert job.error["code"] == "worker-crashed"
    found = suggestions(job)
    assert 2 <= len(found) <= 3
    assert found[0]["changes"]["objective"] == "cached-contrastive"
    halved = next(at for at, one in enumerate(found, 1) if "batch_size" in one["changes"])
    again = fitting(workspace, job, halved)
    assert isinstance(again, HungryRecipe)
    assert again.batch_size * again.gradient_accumulation == 64
    assert again.batch_size < 64
    for number in (1, halved):
        second = workspace.jobs.submit(fitting(workspace, job, number))
        done = Supervisor(workspace).run_until(second.id)
        assert done.status is JobStatus.SUCCEEDED, done.error
        assert done.recipe["name"] == job.recipe["name"]


def test_a_killed_run_probably_ran_out_of_memory(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ended(workspace, how="killed")
    assert job.error is not None
    assert "SIGKILL" in job.error["message"]
    # What the kernel counts decides: here the test itself killed it, and nothing was counted.
    counted = "no out-of-memory kill" in job.error["message"]
    assert bool(suggestions(job)) is not counted


def test_the_kernels_count_brings_suggestions(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.jobs import files, outcome

    seen = files.read_json

    def counted(path: Path, attempt: int) -> dict[str, Any] | None:
        found = seen(path, attempt)
        return {**found, "oom_kills": 1} if found and path.name == files.EXIT else found

    monkeypatch.setattr(outcome.files, "read_json", counted)
    job = ended(workspace, how="killed")
    assert job.error is not None
    assert job.error["message"].endswith("the machine ran out of memory.")
    assert suggestions(job)


def test_the_command_line_lists_them(workspace: Workspace) -> None:
    with pytest.raises(JobFailed) as caught:
        run_job(workspace, HungryRecipe.read({"dataset": "rows", "batch_size": 64}))
    assert "  1. Cached-contrastive with " in caught.value.hint
    assert "--fitting 1" in caught.value.hint
    assert caught.value.to_dict()["suggestions"] == suggestions(caught.value.job)


def test_a_run_that_did_not_run_out_has_none(workspace: Workspace) -> None:
    job = ended(workspace, batch_size=2)
    assert job.status is JobStatus.SUCCEEDED
    assert suggestions(job) == []
    with pytest.raises(BadInput, match="Nothing was suggested"):
        fitting(workspace, job, 1)
