"""Better data, in a real browser: what the checker finds is fixed and trained on, and what Compare
shows of a query becomes a judgment. One app, real jobs, a tiny model with random weights."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from storage.records import JobStatus
from tests.browser.app import LONG, App, click, open_tab, running
from tests.workbench.comparison.exploring import evaluation, grounds
from tests.workbench.data.fakes import lines
from tests.workbench.training.fakes import animal_splits, save_tiny_model
from workbench.data.reader import DatasetReader
from workbench.data.versions import versions
from workbench.models.inspect import inspect_folder
from workbench.models.registry import new_model
from workbench.workspace import Workspace

# A browser, an app, and five jobs of which two import torch: about a minute on two cores.
pytestmark = pytest.mark.slow

#: 16 steps of 16: enough for the tiny model to learn what the words mean.
FIELDS = {"name": "fixed", "epochs": "2", "batch_size": "16", "learning_rate": "0.005"}
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
CLOSE_NOTICES = """() => document.querySelectorAll('.rw-notices button[aria-label]')
  .forEach(button => button.click())"""


@dataclass(frozen=True)
class Place:
    """A running app, and the name of a data set on which two models were compared."""

    app: App
    judged: str

    def workspace(self) -> Workspace:
        return Workspace.open(self.app.home)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("journey")
    workspace = Workspace.open(folder / "home")
    add_tiny(workspace, save_tiny_model(folder / "tiny"))
    reader = grounds(workspace, folder)
    compared(workspace, reader)
    workspace.close()
    with running(folder) as app:
        yield Place(app, reader.name)


def add_tiny(workspace: Workspace, made: Path) -> None:
    id, folder = workspace.models.new_folder()
    shutil.copytree(made, folder, dirs_exist_ok=True)
    contract = inspect_folder(folder).contract.model_dump()
    about = {"origin": "added"}
    workspace.models.add(new_model(id, "tiny", contract=contract, summary=about))


def compared(workspace: Workspace, reader: DatasetReader) -> None:
    """An evaluation of two rows, as its job leaves it."""
    job = workspace.jobs.get(evaluation(workspace, reader))
    rows = reversed(workspace.evaluations.for_job(job.id))
    result = {
        "dataset": reader.name,
        "dataset_version": reader.version,
        "split": "test",
        "documents": reader.counts["documents"],
        "rows": [{"model": one.model, "queries": one.queries, **one.metrics} for one in rows],
        "comparisons": [],
    }
    assert workspace.store.queue.finish(job, JobStatus.SUCCEEDED, result=result)


def pictures(page: Any, name: str, folder: Path) -> None:
    """As a wide page and as a phone shows it, where nothing may stand out of the page."""
    page.evaluate(CLOSE_NOTICES)
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    page.set_viewport_size({"width": 400, "height": 860})
    page.wait_for_timeout(400)
    page.wait_for_function(f"({OVERFLOW})() <= 0")  # once charts have drawn themselves anew
    page.screenshot(path=folder / f"{name}-400.png", full_page=True)


def choose(page: Any, menu: str, label: str) -> None:
    page.locator(f"{menu} input").first.click()
    page.get_by_role("option", name=label, exact=True).click()


# -- the checker, a fix, a training run, a comparison ----------------------------------------------


def faulty(folder: Path) -> list[Path]:
    """Files of three splits. In train: a query twice, a document twice, and a positive that is a
    negative of the same query, but for a space: the import itself sees to those that are equal."""
    # 50 test queries are the least that Compare gives a verdict on.
    found = animal_splits(train=184, dev=40)
    rows = [{"query": q, "pos": right, "neg": wrong} for q, right, wrong in found["train"]]
    train, test = [row for at, row in enumerate(rows) if at % 3], rows[::3]
    dev = [{"query": q, "pos": right, "neg": wrong} for q, right, wrong in found["dev"]]
    train[0] = {**train[0], "neg": [train[0]["pos"][0].replace(" ", "  ")]}
    again = {**train[1], "query": train[1]["query"].upper()}
    twice = {**train[2], "query": "find " + train[2]["query"]}
    twice["pos"] = [twice["pos"][0].replace(" ", "  ")]
    parts = {"train": [*train, again, twice], "dev": dev, "test": test}
    return [lines(folder / f"{name}.jsonl", some) for name, some in parts.items()]


def test_a_fixed_data_set_is_trained_on_and_compared(
    page: Any, place: Place, tmp_path: Path
) -> None:
    page.goto(place.app.url())
    page.get_by_role("tab", name="Data", exact=True).first.wait_for()
    bring_in(page, faulty(tmp_path))
    check_and_fix(page)
    pictures(page, "fixed", tmp_path)
    page.set_viewport_size({"width": 1280, "height": 860})
    train(page)
    compare(page)
    pictures(page, "compared", tmp_path)
    workspace = place.workspace()
    made = versions(workspace, "animals")
    assert [one.what for one in made][1:] == ["fixed: drop-equal-negatives"]
    trained = workspace.models.get("fixed").summary
    assert (trained["dataset"], trained["dataset_version"]) == ("animals", 2)
    workspace.close()


def bring_in(page: Any, files: list[Path]) -> None:
    open_tab(page, "Data")
    page.locator("#data-drop input[type=file]").set_input_files(files)
    page.locator("#data-drop", has_text="ready").wait_for()
    page.locator("#data-name textarea, #data-name input").fill("animals")
    click(page, "Import")
    page.locator("#data-sets", has_text="animals").wait_for(timeout=LONG)
    page.locator("#data-train").wait_for(timeout=LONG)


def check_and_fix(page: Any) -> None:
    page.locator("#data-check button").first.click()
    page.locator("#data-check-start").click()
    finding = page.locator("[data-finding=positive-is-negative]")
    finding.wait_for(timeout=LONG)
    for code in ("duplicate-query", "duplicate-document"):
        assert page.locator(f"[data-finding={code}]").is_visible()
    finding.locator("[data-pick]").first.click()
    page.locator("#data-check-job", has_text="Fixed in version 2").wait_for(timeout=LONG)
    page.locator("#data-check-report", has_text="Version 2 was checked.").wait_for(timeout=LONG)
    assert finding.count() == 0
    assert page.locator("[data-finding=duplicate-query]").is_visible()
    page.locator("#data-versions button").first.click()
    newest = page.locator("#version-list tbody tr").first
    newest.wait_for()
    assert newest.locator("td").first.inner_text().split() == ["2", "current"]
    assert "negatives identical to a positive removed (1) · from version 1" in newest.inner_text()


def train(page: Any) -> None:
    page.locator("#data-train").click()
    page.wait_for_function(
        "() => document.querySelector('#field-dataset input')?.value === 'animals'"
    )
    choose(page, "#field-model", "tiny")
    for name, value in FIELDS.items():
        page.locator(f"#field-{name}").locator("input, textarea").first.fill(value)
    click(page, "Start training")
    page.locator("#train-job .verdict", has_text="Better").wait_for(timeout=LONG)


def compare(page: Any) -> None:
    click(page, "Compare with the original")
    page.locator("#compare-start").click()
    rows = page.locator("#compare-table tbody tr")
    rows.nth(1).wait_for(timeout=LONG)
    # Below the name stands how much of a text it reads.
    cells = [rows.nth(at).locator("td").first.inner_text().splitlines() for at in (0, 1)]
    assert [cell[0] for cell in cells] == ["tiny", "fixed"]
    assert all(cell[1].endswith(" tokens") for cell in cells)
    difference = rows.nth(1).locator("td").last
    assert difference.locator(".rw-badge").inner_text() == "better"
    assert difference.locator(".rw-difference").inner_text().startswith("+0.")


# -- a judgment from Compare -----------------------------------------------------------------------


def test_a_hit_that_was_not_judged_is_judged_right(page: Any, place: Place, tmp_path: Path) -> None:
    page.goto(place.app.url())
    page.get_by_role("tab", name="Compare", exact=True).first.wait_for()
    open_tab(page, "Compare")
    choose(page, "#compare-dataset", place.judged)
    page.locator("#compare-explorer button").first.click()
    # Not one of the data set that was shown before.
    query = page.locator("#explore-list .rw-pick", has_text="grey thing").first
    asked = query.inner_text()
    query.click()
    hit = page.locator("#explore-rankings section").nth(1).locator("li", has_text="unjudged").first
    document = hit.locator(".rw-text").inner_text()
    hit.get_by_role("button", name="Mark this unjudged hit as relevant", exact=True).click()
    said = page.locator("#explore-said")
    said.get_by_text(f"“{place.judged}” is now at version 2").wait_for()
    page.locator("#explore-rankings li.relevant", has_text=document).get_by_text(
        "judged relevant later"
    ).first.wait_for()
    pictures(page, "judged", tmp_path)
    workspace = place.workspace()
    now, then = (workspace.datasets.read(place.judged, version) for version in (2, 1))
    before, after = right_answers(then, asked), right_answers(now, asked)
    assert after - before == {document} and before <= after
    assert now.counts["judgments"] == then.counts["judgments"] + 1
    assert workspace.datasets.get(place.judged).version == 2
    workspace.close()


def right_answers(reader: DatasetReader, query: str) -> set[str]:
    rows = reader.page(0, reader.counts["queries"])
    return next(set(row.positives) for row in rows if row.query == query)
