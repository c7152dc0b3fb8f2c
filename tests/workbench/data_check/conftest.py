"""One workspace for all; data sets small enough to read in the test."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings

from tests.workbench.data.fakes import FakeContext, bring, context, lines
from workbench.data.reader import DatasetReader
from workbench.data_check import check, fix
from workbench.data_check.fix import read_report
from workbench.jobs import outcome
from workbench.recipes.data import DataCheckRecipe, DataFixRecipe
from workbench.workspace import Workspace

settings.register_profile("patient", deadline=None, max_examples=60)
settings.load_profile("patient")

_SUBJECTS = "kettle lamp bridge garden letter window engine violin basket candle"
SUBJECTS = _SUBJECTS.split(" ")
_PLACES = "harbour attic valley station library orchard kitchen tunnel meadow tower"
PLACES = _PLACES.split(" ")
_NUMBERS = itertools.count()


def healthy(count: int = 40) -> list[dict[str, Any]]:
    """Rows in which there is nothing to find: English sentences, each unlike the others."""
    rows = []
    for n in range(count):
        thing, place = SUBJECTS[n % 10], PLACES[n // 10 % 10]
        rows.append(
            {
                "query": f"who has left the old {thing} behind in the {place}",
                "pos": [f"The {thing} stands in the {place} because my aunt forgot it there."],
                "neg": [f"Nobody ever talks about what a {place} needs when its {thing} is gone."],
            }
        )
    return rows


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    opened = Workspace.open(tmp_path_factory.mktemp("home"))
    yield opened
    opened.close()


@pytest.fixture
def data(workspace: Workspace, tmp_path: Path) -> Callable[..., DatasetReader]:
    """Import rows by split: ``data(train=[...], test=[...])``."""

    def make(**parts: list[dict[str, Any]]) -> DatasetReader:
        files = [lines(tmp_path / f"{name}.jsonl", rows) for name, rows in parts.items()]
        return bring(workspace, *files)[1]

    return make


class Checker:
    """Runs the tasks as a worker does, with jobs that are on record."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.job = ""
        self.context: FakeContext | None = None

    def check(self, name: str, *checks: str, **values: Any) -> dict[str, dict[str, Any]]:
        """Findings by their codes."""
        values = {"checks": list(checks), "tokenizer": "", **values}
        self.job = self.workspace.jobs.submit(DataCheckRecipe(dataset=name, **values)).id
        self.context = self._context(self.job)
        self.result = check.run(self.workspace.jobs.recipe(self.job), self.context)  # type: ignore[arg-type]
        self.report = read_report(self.workspace, self.job)
        return {one["code"]: one for one in self.report["findings"]}

    def fix(self, name: str, *codes: str) -> tuple[dict[str, Any], DatasetReader]:
        recipe = DataFixRecipe(dataset=name, report=self.job, fixes=list(codes))
        job = self.workspace.jobs.submit(recipe)
        done = fix.run(self.workspace.jobs.recipe(job.id), self._context(job.id))  # type: ignore[arg-type]
        assert outcome.made(self.workspace.store, self.workspace.jobs.folder(job.id)) == done
        return done, self.workspace.datasets.read(name)

    def _context(self, id: str) -> FakeContext:
        made = context(self.workspace, job=SimpleNamespace(id=id))
        made.folder = self.workspace.jobs.folder(id)
        return made


@pytest.fixture
def checker(workspace: Workspace) -> Checker:
    return Checker(workspace)
