"""Search: documents left out of an index and taken back, and what an update says it did."""

from dataclasses import replace
from pathlib import Path

import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import BAD, put
from tests.ui.visitor import drawn
from tests.workbench.data.fakes import context
from ui.services import Services
from ui.tabs.search import build, indexes
from workbench.data.job import run_sample
from workbench.errors import BadInput
from workbench.recipes.data import SampleRecipe


def add(services: Services, *out: str) -> None:
    """An index over the sample, without these documents."""
    run_sample(
        SampleRecipe(name="code", train_pairs=60, dev_pairs=20, test_pairs=50),
        context(services.workspace),
    )
    dataset = services.workspace.datasets.get("code")
    index = make.index("i1", "one")
    services.workspace.store.indexes.insert(
        replace(
            index,
            dataset_id=dataset.id,
            model="all-MiniLM-L6-v2",
            model_id=None,
            summary={**index.summary, "left_out": list(out)},
        )
    )


def test_the_lines_of_both_fields_become_the_job(services: Services) -> None:
    add(services, "a b", "c")
    job = indexes.begin(services, "one", " d1 \n\nd2\n", "a b", False)
    assert (job.task, job.recipe["index"]) == ("index-update", "one")
    assert job.recipe["leave_out"] == ["d1", "d2"]
    assert job.recipe["take_back"] == ["a b"]
    again = indexes.begin(services, "one", "", "", True)
    assert again.recipe["rebuild"] is True


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (("", "d1", "", False), "No index is chosen"),
        (("one", " \n ", None, False), "No document ids were given"),
        (("one", "d1", "d2", False), "“d2” is not excluded from “one”"),
    ],
)
def test_what_changes_nothing_is_refused(
    services: Services, raw: tuple[str | None, ...], says: str
) -> None:
    add(services)
    with pytest.raises(BadInput, match=says):
        indexes.begin(services, *raw)
    assert services.workspace.jobs.list(task="index-update") == []


def test_an_update_that_is_done_says_what_it_changed(services: Services) -> None:
    add(services, BAD)
    result = {"index": "one", "documents": 1298, "added": 0, "removed": 2, "rebuilt": ""}
    recipe = {"index": "one"}
    values = {"task": "index-update", "status": JobStatus.SUCCEEDED, "recipe": recipe}
    job = put(services, "u1", **values, result=result)
    html = build.job_html(services, job)
    assert "2 removed, 0 added, now 1,298 documents. 1 excluded by hand." in html
    anew = replace(job, result={**result, "rebuilt": "asked"})
    assert "was rebuilt with 1,298 documents" in build.job_html(services, anew)
    built = put(services, "b1", task="index", status=JobStatus.SUCCEEDED)
    assert build.job_html(services, built) == f'<div data-job="{built.id}"></div>'


def test_the_list_names_what_was_left_out_as_text(services: Services) -> None:
    add(services, BAD)
    html = indexes.list_html(services)
    assert "1 excluded by hand" in html
    assert "<script" not in html and "&lt;script&gt;" in html


def test_it_is_offered_where_there_is_an_index(services: Services, home: Path) -> None:
    part = drawn(indexes.Indexes, services)
    assert not part.view("")[part.box].visible
    add(services)
    shown = part.view("one")
    assert shown[part.box].visible and shown[part.index]["value"] == "one"
