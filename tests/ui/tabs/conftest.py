"""A workspace with records in it, and the services around it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.records import Job, JobStatus, SlotKind
from tests.storage import make
from ui.services import Services
from workbench.workspace import Workspace

BAD = "<script>bad()</script><img src=x onerror=bad()>"


@pytest.fixture
def services(home: Path) -> Iterator[Services]:
    opened = Workspace.open(home)
    yield Services(opened)
    opened.close()


def put(services: Services, id: str, **values: Any) -> Job:
    """A job on record."""
    values = {"slot_kind": SlotKind.LIGHT, **values}
    made: Job = services.workspace.store.jobs.insert(make.job(id, **values))
    return made


EVALUATED: dict[str, Any] = {
    "dataset": "tea",
    "split": "test",
    "documents": 1500,
    "rows": [
        {"model": "base", "queries": 300, "map@100": 0.589, "mrr@10": 0.6},
        {"model": "tuned", "queries": 300, "map@100": 0.683, "mrr@10": 0.55},
    ],
    "comparisons": [
        {
            "model": "tuned",
            "against": "base",
            "metric": "map@100",
            "delta": 0.094,
            "ci95": [0.05, 0.13],
            "p_value": 0.0001,
            "wins": 150,
            "losses": 50,
            "ties": 100,
        }
    ],
}


def evaluated(services: Services, id: str = "ev1", **values: Any) -> Job:
    recipe = {"dataset": "tea", "split": "test", "models": ["base", "tuned"]}
    more = {"task": "evaluate", "recipe": recipe, "status": JobStatus.SUCCEEDED}
    return put(services, id, **{**more, "result": EVALUATED, **values})
