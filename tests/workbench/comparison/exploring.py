"""A small data set and an evaluation of it on disk, without models."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from storage.records import Evaluation, JobStatus, SlotKind
from tests.storage import make
from tests.workbench.data.fakes import bring, lines
from workbench.data.reader import DatasetReader
from workbench.evaluation.exact_search import Run
from workbench.evaluation.measure import Measured
from workbench.evaluation.metrics import score_run
from workbench.evaluation.results import save_measured
from workbench.workspace import Workspace

ASKED = 30
BAD = "<script>bad()</script> & <b>grey</b>"


def grounds(workspace: Workspace, folder: Path) -> DatasetReader:
    """Queries 'which grey thing N'; the right document, and two that are not judged."""
    rows = [
        {
            "query": f"which grey thing {n}",
            "pos": [f"Grey it is, said {n}"],
            "neg": [f"the thing {n} {BAD}"],
        }
        for n in range(ASKED)
    ]
    return bring(workspace, lines(folder / "test.jsonl", rows))[1]


def evaluation(workspace: Workspace, reader: DatasetReader, *, done: bool = False) -> str:
    """A job with two rows: 'base' has the right document third, 'tuned' first, but for the last
    query, where it is the other way round. ``done``: it is on record with its result."""
    judged = reader.judgments("test").to_pylist()
    grades: dict[int, dict[int, int]] = {}
    for one in judged:
        grades.setdefault(one["query"], {})[one["document"]] = one["grade"]
    queries = np.array(sorted(grades), np.int64)
    rows = []
    for name in ("base", "tuned"):
        ranked = np.array(
            [_ranked(reader, grades[q], at, name, len(queries)) for at, q in enumerate(queries)]
        )
        scores = np.tile(np.array([3.0, 2.0, 1.0], np.float32), (len(queries), 1))
        measured = Measured(Run(ranked, scores), score_run(queries, ranked, grades))
        id, folder = workspace.evaluations.new_folder()
        save_measured(folder, reader, "test", name, queries, measured)
        values: dict[str, Any] = {
            "id": id,
            "job_id": "ev1",
            "dataset_id": workspace.datasets.get(reader.name).id,
            "version": reader.version,
            "split": "test",
            "model": name,
            "model_id": None,
            "queries": len(queries),
            "documents": reader.counts["documents"],
            "metrics": measured.scores.means(),
            "settings": {"row": name, "searched": "all documents"},
            "path": folder.relative_to(workspace.home).as_posix(),
            "created_at": time.time(),
        }
        rows.append(Evaluation(**values))
    job = make.job(
        "ev1",
        task="evaluate",
        status=JobStatus.SUCCEEDED if done else JobStatus.RUNNING,
        recipe={"dataset": reader.name, "split": "test", "models": ["base", "tuned"]},
        slot_kind=SlotKind.LIGHT,
        result=_result(reader, rows) if done else None,
    )
    workspace.store.jobs.insert(job)
    for row in rows:
        workspace.evaluations.add(row)
    return job.id


def _result(reader: DatasetReader, rows: list[Evaluation]) -> dict[str, Any]:
    return {
        "dataset": reader.name,
        "dataset_version": reader.version,
        "split": "test",
        "documents": reader.counts["documents"],
        "rows": [{"model": one.model, "queries": one.queries, **one.metrics} for one in rows],
        "comparisons": [],
        "evaluations": [one.id for one in rows],
    }


def _ranked(
    reader: DatasetReader, grades: dict[int, int], at: int, name: str, queries: int
) -> list[int]:
    right = next(iter(grades))
    wrong = [row for row in range(reader.counts["documents"]) if row != right][2 * at % 40 :][:2]
    first = (name == "tuned") != (at == queries - 1)
    return [right, *wrong] if first else [*wrong, right]
