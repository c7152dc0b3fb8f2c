"""Records for tests, with only what matters given."""

from dataclasses import replace
from typing import Any

from storage.records import (
    Dataset,
    DatasetVersion,
    Evaluation,
    Index,
    Job,
    JobStatus,
    Model,
    Pick,
    SlotKind,
)

SUPERVISOR = "10@1.5"
OTHER = "11@2.5"

_JOB = Job(
    id="job",
    task="count",
    name="counting",
    recipe={"steps": 3, "device": "auto"},
    status=JobStatus.QUEUED,
    slot_kind=SlotKind.TRAIN,
    slot=None,
    after=None,
    attempt=0,
    cancel_requested_at=None,
    supervisor=None,
    handle=None,
    heartbeat_at=None,
    progress={},
    result=None,
    error=None,
    created_at=1.0,
    started_at=None,
    finished_at=None,
)


def job(id: str = "job", **values: Any) -> Job:
    return replace(_JOB, id=id, **values)


def model(id: str, name: str, **values: Any) -> Model:
    made = Model(
        id, name, "embedding", f"models/{id}", None, {"pooling": "mean"}, {}, "", None, 1.0
    )
    return replace(made, **values)


def dataset(id: str, name: str, created_at: float = 1.0) -> tuple[Dataset, DatasetVersion]:
    summary = {"queries": 2}
    first = DatasetVersion(id, 1, None, f"datasets/{id}/v1/manifest.json", summary, created_at)
    return Dataset(id, name, created_at, 1, summary), first


def evaluation(id: str, **values: Any) -> Evaluation:
    made = Evaluation(
        id, None, "d1", 1, "test", "MiniLM", None, 10, 20, {"map@100": 0.5}, {}, f"e/{id}", 1.0
    )
    return replace(made, **values)


def index(id: str, name: str) -> Index:
    return Index(id, name, "d1", 1, "MiniLM", None, "exact", f"indexes/{id}", 20, 5_000_000_000)


def pick(id: str, first: str, second: str) -> Pick:
    return Pick(id, "d1", 1, "a query", first, second, "first", {"shown": "second"}, 7.0)
