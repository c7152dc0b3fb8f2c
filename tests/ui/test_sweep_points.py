"""What the chart of a sweep asks for: each run's new dev values, and the baseline."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from storage.records import JobStatus
from tests.storage import make
from ui.routes import live
from workbench.takeaway.sweeps import Started, remember
from workbench.workspace import Workspace

RATES = ("1e-5", "<b>1e-4</b>")


@pytest.fixture
def sweep(shared: Workspace, request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Two runs that go on, of ids of this test's own."""
    ids = tuple(f"s{abs(hash(request.node.name)):x}"[:10] + str(at) for at in range(2))
    for id in ids:
        recipe = {"metric": "map@100", "name": id}
        about = {"status": JobStatus.RUNNING, "attempt": 1, "recipe": recipe}
        shared.store.jobs.insert(make.job(id, task="train-embedding", **about))
    values = tuple({"learning_rate": rate} for rate in RATES)
    remember(shared, Started(("learning_rate",), values, ids))
    return ids


def report(shared: Workspace, id: str, step: int, value: float, kind: str = "dev") -> None:
    row = {"step": step, "kind": kind, "at": 1.0, "numbers": {"map@100": value, "loss": 9.0}}
    shared.store.metrics.append(id, 1, [row])


def ask(client: TestClient, id: str, runs: list[dict[str, Any]] | None = None) -> Any:
    after = ",".join(f"{run['job']}:{run['last']}" for run in runs or [])
    answer = client.get(f"/api/sweeps/{id}/points", params={"after": after})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_each_run_gives_what_is_new(
    client: TestClient, shared: Workspace, sweep: tuple[str, ...]
) -> None:
    first, second = sweep
    report(shared, first, 0, 0.5, "baseline")
    report(shared, first, 4, 0.6)
    report(shared, first, 4, 3.0, "train")
    found = ask(client, second)
    assert found["metric"] == "MAP@100"
    one, other = found["runs"]
    assert (one["job"], one["baseline"], one["steps"], one["values"]) == (first, 0.5, [4], [0.6])
    assert (other["job"], other["baseline"], other["steps"], other["last"]) == (second, None, [], 0)
    assert other["name"] == "Learning rate <b>1e-4</b>"
    report(shared, first, 8, 0.7)
    report(shared, second, 4, 0.4)
    one, other = ask(client, first, found["runs"])["runs"]
    assert (one["baseline"], one["steps"], other["values"]) == (None, [8], [0.4])
    assert (one["anew"], one["finished"], one["more"]) == (False, False, False)


def test_a_run_that_took_rows_back_begins_anew_and_comes_to_an_end(
    client: TestClient, shared: Workspace, sweep: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_ROWS", 3)
    first, second = sweep
    for step in range(1, 6):
        report(shared, first, step, 0.1 * step)
    seen = ask(client, first)["runs"]
    shared.store.metrics.delete_after(first, 1, 2)
    report(shared, first, 3, 0.9)
    again, other = ask(client, first, seen)["runs"]
    assert (again["anew"], again["steps"], again["more"]) == (True, [1, 2, 3], True)
    assert (other["job"], other["anew"]) == (second, False)
    last = ask(client, first, [again, other])["runs"][0]
    assert (last["anew"], last["steps"], last["more"]) == (False, [], False)


def test_a_run_that_was_removed_is_left_out(
    client: TestClient, shared: Workspace, sweep: tuple[str, ...]
) -> None:
    jobs = ("no-such-job", sweep[1])
    remember(shared, Started(("seed",), ({"seed": 1}, {"seed": 2}), jobs))
    found = ask(client, "no-such-job")
    assert [(run["job"], run["name"]) for run in found["runs"]] == [(sweep[1], "Seed 2")]


def test_what_is_no_sweep_is_said(client: TestClient) -> None:
    assert client.get("/api/sweeps/nothing/points").status_code == 404
