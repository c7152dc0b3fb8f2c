"""How often a split was looked at, from the evaluations on record."""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from storage.records import Evaluation
from tests.workbench.data.fakes import bring, lines
from workbench.data import resplit
from workbench.data.reader import DatasetReader
from workbench.data.versions import Changes, new_version
from workbench.recipes.data import ResplitRecipe
from workbench.workspace import Workspace

NUMBERS = count()


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    yield opened
    opened.close()


def reader_of(workspace: Workspace, folder: Path) -> DatasetReader:
    rows = [{"query": f"what is {n}", "pos": [f"It is {n}"]} for n in range(60)]
    return bring(workspace, lines(folder / "test.jsonl", rows))[1]


def look(workspace: Workspace, reader: DatasetReader, job: str | None, split: str = "test") -> None:
    id = f"e{next(NUMBERS)}"
    dataset = workspace.datasets.get(reader.name).id
    where = (dataset, reader.version, split, "base", None, 60, 60)
    measured = Evaluation(id, None, *where, {"map@100": 0.5}, {}, f"evaluations/{id}", time.time())
    workspace.evaluations.add(replace(measured, job_id=job))


def looks(workspace: Workspace, reader: DatasetReader, split: str) -> int:
    return workspace.evaluations.looks(workspace.datasets, reader, split)


def test_a_job_is_one_look_however_many_models_it_measured(
    workspace: Workspace, tmp_path: Path
) -> None:
    reader = reader_of(workspace, tmp_path)
    assert looks(workspace, reader, "test") == 0
    for job in ("one", "one", "two", None, None):
        look(workspace, reader, job)
    look(workspace, reader, "three", split="dev")
    assert (looks(workspace, reader, "test"), looks(workspace, reader, "dev")) == (4, 1)


def test_another_version_with_the_same_test_queries_counts_and_a_fresh_hold_out_does_not(
    workspace: Workspace, tmp_path: Path
) -> None:
    reader = reader_of(workspace, tmp_path)
    look(workspace, reader, "one")
    new_version(workspace, reader.name, Changes(drop_judgments=[(0, 0)]), {"what": "", "by": "me"})
    later = workspace.datasets.read(reader.name)
    look(workspace, later, "two")
    assert later.version == 2 and looks(workspace, later, "test") == 2
    recipe = ResplitRecipe(dataset=reader.name, by="query", test_share=0.5)
    changes = resplit.resplit(later, recipe, lambda: None)
    new_version(workspace, reader.name, changes, {"what": "", "by": recipe.task})
    fresh = workspace.datasets.read(reader.name)
    assert fresh.version == 3 and looks(workspace, fresh, "test") == 0
    look(workspace, fresh, "three")
    # Going back to the old splits brings back what was seen of them.
    assert (looks(workspace, fresh, "test"), looks(workspace, reader, "test")) == (1, 2)


def test_versions_whose_files_are_gone_do_not_count(workspace: Workspace, tmp_path: Path) -> None:
    reader = reader_of(workspace, tmp_path)
    look(workspace, reader, "one")
    dataset = workspace.datasets.get(reader.name).id
    where = (dataset, 9, "test", "base", None, 60, 60, {"map@100": 0.5}, {}, "evaluations/x", 0.0)
    workspace.evaluations.add(Evaluation("x", "two", *where))
    assert looks(workspace, reader, "test") == 1
