"""What the store keeps, as frozen dataclasses. Times are seconds since the epoch (UTC)."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def finished(self) -> bool:
        """No process works on it and none will unless somebody resumes it."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)

    @property
    def resumable(self) -> bool:
        return self in (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.INTERRUPTED)


class SlotKind(StrEnum):
    """What a job occupies while it runs. A ``TRAIN`` job takes a GPU, or the heavy CPU slot."""

    TRAIN = "train"
    LIGHT = "light"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A named data set at its current version."""

    id: str
    name: str
    created_at: float
    version: int
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """One version: a manifest over shared files. ``manifest`` is relative to the home."""

    dataset_id: str
    version: int
    parent: int | None
    manifest: str
    summary: dict[str, Any]
    created_at: float


@dataclass(frozen=True, slots=True)
class Model:
    """A model in the workspace. ``path``: relative to the home; ``verdict``: '' or 'no-better';
    ``bytes``: what its folder takes on disk, None where that was not measured yet."""

    id: str
    name: str
    kind: str
    path: str
    base: str | None
    contract: dict[str, Any]
    summary: dict[str, Any]
    verdict: str
    job_id: str | None
    created_at: float
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A recipe and what became of it. ``name`` is what the person sees in lists; ``bytes`` what its
    folder takes on disk since it ended, None where that was not measured.

    The recipe calls data sets, models and indexes by their names, for people; which ones it means
    say ``references``: the ids, by the field that names them ('dataset', 'models.0').

    ``supervisor`` is the process that watches over it, ``handle`` where its worker runs: texts of
    whoever wrote them.
    """

    id: str
    task: str
    name: str
    recipe: dict[str, Any]
    status: JobStatus
    slot_kind: SlotKind
    slot: str | None
    after: str | None
    attempt: int
    cancel_requested_at: float | None
    supervisor: str | None
    handle: str | None
    heartbeat_at: float | None
    progress: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    bytes: int | None = None
    references: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One transition or remark in a job's life."""

    id: int
    job_id: str
    attempt: int
    at: float
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class MetricRow:
    """What a run reported at one step. ``kind`` is 'train', 'dev', 'baseline', 'system'
    or 'part': where one of several trainings of a run begins."""

    id: int
    job_id: str
    attempt: int
    step: int
    kind: str
    at: float
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model measured on one split of one data set version, never overwritten.

    ``path`` is the folder (relative to the home) that holds the run and the per-query metrics.
    """

    id: str
    job_id: str | None
    dataset_id: str
    version: int
    split: str
    model: str
    model_id: str | None
    queries: int
    documents: int
    metrics: dict[str, float]
    settings: dict[str, Any]
    path: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Index:
    """A FAISS index over one data set version's documents. ``path`` is relative to the home.

    ``summary`` has what was chosen and measured when it was built: kind of FAISS index, recall
    against exact search, milliseconds per query.
    """

    id: str
    name: str
    dataset_id: str
    version: int
    model: str
    model_id: str | None
    type: str
    path: str
    documents: int
    bytes: int
    contract: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Pick:
    """One answer in a blind test: ``first`` and ``second`` name the two sides compared (an index,
    or 'index + reranker'), ``winner`` is 'first', 'second' or 'tie'. The sides were shuffled when
    they were shown; here they are in a fixed order.

    ``detail`` has what was shown: the documents' ids of each side, on which side each stood,
    and which build of its index answered.
    """

    id: str
    dataset_id: str
    version: int
    query: str
    first: str
    second: str
    winner: str
    detail: dict[str, Any]
    created_at: float
