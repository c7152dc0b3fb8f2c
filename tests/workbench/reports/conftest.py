"""A workspace with a comparison on record, its files and its data set, as an evaluation leaves
them."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.records import Evaluation, Job, JobStatus
from tests.storage import make
from workbench.workspace import Workspace

METRIC = "map@100"
NAMES = ("base", "tuned <b>|_")
QUERIES = 60


class Reader:
    """A data set of queries in two scripts, with one or two relevant documents each."""

    version = 3

    def queries(self, _split: str) -> Any:
        texts = ["how do I do this" if row % 3 else "这个怎么做" for row in range(QUERIES)]
        return pa.table({"row": np.arange(QUERIES), "text": texts})

    def judgments(self, _split: str) -> Any:
        twice = [*range(QUERIES), *range(0, QUERIES, 2)]
        documents = np.arange(len(twice))
        grades = np.ones(len(twice), np.int64)
        return pa.table({"query": twice, "document": documents, "grade": grades})


@pytest.fixture
def workspace(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    opened.store.datasets.insert(*make.dataset("set1", name="tea"))
    monkeypatch.setattr(type(opened.datasets), "read", lambda *_args, **_more: Reader())
    yield opened
    opened.close()


def result(workspace: Workspace) -> dict[str, Any]:
    """The result of an evaluate job whose per-query values are on disk."""
    random = np.random.default_rng(0)
    base = random.uniform(0.2, 0.6, QUERIES)
    values = dict(zip(NAMES, (base, base + 0.1), strict=True))
    ids = [kept(workspace, name, values=one).id for name, one in values.items()]
    compared = {"model": NAMES[1], "against": "base", "metric": METRIC, "delta": 0.1}
    counts = {"ci95": [0.05, 0.15], "p_value": 0.0001, "wins": 60, "losses": 0, "ties": 0}
    return {
        "dataset": "tea",
        "dataset_version": 3,
        "split": "test",
        "documents": 1500,
        "rows": [
            {"model": name, "queries": QUERIES, METRIC: float(one.mean()), "mrr@10": 0.5}
            for name, one in values.items()
        ],
        "comparisons": [{**compared, **counts}],
        "evaluations": ids,
        "dimensions": [
            {"model": "base", "dimensions": size, METRIC: value}
            for size, value in ((384, 0.5), (128, 0.45), (32, 0.2))
        ],
    }


def kept(
    workspace: Workspace, model: str, values: Any = None, job: str | None = None, **more: Any
) -> Evaluation:
    """An evaluation on record; ``settings`` are added to the usual ones."""
    id, folder = workspace.evaluations.new_folder()
    values = np.full(QUERIES, 0.5) if values is None else values
    pq.write_table(
        pa.table({"query": np.arange(QUERIES), METRIC: values}), folder / "queries.parquet"
    )
    settings = {"row": model, "searched": "all documents", "kind": "embedding", "seed": 7}
    usual: dict[str, Any] = {
        "id": id,
        "job_id": job,
        "dataset_id": "set1",
        "version": 3,
        "split": "test",
        "model": model,
        "model_id": None,
        "queries": QUERIES,
        "documents": 1500,
        "metrics": {METRIC: float(np.mean(values))},
        "settings": {**settings, **more.pop("settings", {})},
        "path": folder.relative_to(workspace.home).as_posix(),
        "created_at": time.time(),
    }
    return workspace.evaluations.add(Evaluation(**{**usual, **more}))


@pytest.fixture
def compared(workspace: Workspace) -> Job:
    recipe = {"dataset": "tea", "split": "test", "models": list(NAMES), "metric": METRIC, "seed": 7}
    about = {"task": "evaluate", "recipe": recipe, "status": JobStatus.SUCCEEDED}
    found: Job = workspace.store.jobs.insert(
        make.job("ev1", **about, result=result(workspace), finished_at=1_700_000_000.0)
    )
    return found
