"""Leaving a tab and coming back to it: what was chosen and typed is there while it exists, and what
is done on the tab is done to what it shows."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.ui.tabs.compare.test_matrix import MATRIX
from tests.ui.tabs.conftest import evaluated, put
from tests.ui.tabs.whole import add, page, services, visit, whole
from tests.ui.visitor import DrawnPage as Page
from tests.ui.visitor import Visitor
from tests.workbench.comparison.exploring import evaluation, grounds
from ui.services import Services
from ui.tabs.data.change import ChangeSection, VersionsSection
from ui.tabs.data.check import CheckSection
from ui.tabs.data.mine import MineSection
from ui.tabs.data.rows import RowsSection
from ui.tabs.data.tab import DataTab
from workbench.data.versions import Changes, new_version

__all__ = ["page", "services", "visit", "whole"]


def rows(data: DataTab) -> RowsSection:
    return data.section(RowsSection)


def change(data: DataTab) -> ChangeSection:
    return data.section(ChangeSection)


def come_back(visit: Visitor, page: Page, part: Any) -> None:
    visit.open(page.start)
    visit.open(part)


def write(visit: Visitor, component: Any, value: Any, event: str = "input") -> None:
    visit.type(component, value)
    visit.fire(component, event)


# -- Data ------------------------------------------------------------------------------------------


@pytest.fixture
def tea(services: Services, page: Page, visit: Visitor, tmp_path: Path) -> None:
    """'tea' is shown, and there are three newer ones."""
    add(services, tmp_path, "tea", rows=60, dev_share=0, test_share=0.5)
    add(services, tmp_path, "coffee", "milk", "sugar")
    visit.open(page.data)
    visit.pick(page.data.sets, "tea")


@pytest.mark.usefixtures("tea")
def test_data_stays_where_a_person_is(services: Services, page: Page, visit: Visitor) -> None:
    data = page.data
    write(visit, rows(data).split, "test")
    write(visit, rows(data).find, "tea", "submit")
    visit.click(rows(data).pager.next)
    visit.type(change(data).others, ["coffee", "milk"])
    visit.type(change(data).name, "a new name")
    visit.pick(data.section(VersionsSection).table, "1")
    services.workspace.datasets.remove("milk")
    come_back(visit, page, data)
    assert visit.value(data.chosen) == "tea"
    assert (
        visit.value(rows(data).split),
        visit.value(rows(data).find),
    ) == ("test", "tea")
    assert visit.value(rows(data).pager.start) == 10 and "Rows 11" in visit.value(rows(data).table)
    assert visit.value(change(data).others) == ["coffee"]
    assert visit.value(change(data).name) == "a new name"
    assert visit.value(data.section(VersionsSection).shown.version) == 1
    # Also where a look finds that a job has ended.
    put(services, "s1", task="sample-rows", recipe={"name": "x"}, status=JobStatus.FAILED)
    visit.look(data)
    assert (
        visit.value(rows(data).split),
        visit.value(rows(data).pager.start),
    ) == ("test", 10)


@pytest.mark.usefixtures("tea")
def test_another_data_set_is_shown_from_its_beginning(page: Page, visit: Visitor) -> None:
    data = page.data
    write(visit, rows(data).split, "test")
    visit.type(change(data).others, ["milk"])
    visit.pick(data.sets, "coffee")
    assert visit.value(rows(data).split) == "" and visit.value(change(data).others) == []
    assert visit.value(change(data).name) == "coffee"


@pytest.mark.usefixtures("tea")
def test_a_version_with_fewer_rows_is_shown_from_its_first(
    services: Services, page: Page, visit: Visitor
) -> None:
    data = page.data
    for _ in range(5):
        visit.click(rows(data).pager.next)
    assert visit.value(rows(data).pager.start) == 50
    how = {"what": "fewer", "counts": {}}
    new_version(services.workspace, "tea", Changes(drop_queries=list(range(30))), how)
    come_back(visit, page, data)
    assert visit.value(rows(data).pager.start) == 0 and "Rows 1" in visit.value(rows(data).table)


@pytest.mark.usefixtures("tea")
def test_what_was_renamed_elsewhere_stays_shown(
    services: Services, page: Page, visit: Visitor
) -> None:
    services.workspace.datasets.rename("tea", "chai")
    come_back(visit, page, page.data)
    assert visit.value(page.data.chosen) == "chai"
    assert visit.value(change(page.data).name) == "chai"


@pytest.mark.usefixtures("tea")
def test_what_is_done_is_done_to_the_data_set_that_is_shown(
    services: Services, page: Page, visit: Visitor, tmp_path: Path
) -> None:
    """Not to the newest, because the shown one is gone."""
    data, datasets = page.data, services.workspace.datasets
    visit.type(change(data).name, "mine")
    visit.type(change(data).others, ["coffee"])
    visit.type(change(data).merge_name, "both")
    visit.type(change(data).push.repo, "me/mine")
    before = {one.name for one in datasets.list()} - {"tea"}
    datasets.remove("tea")
    buttons = (
        change(data).rename,
        change(data).merge,
        change(data).sample.start,
    )
    for button in (
        *buttons,
        change(data).export.start,
        data.section(CheckSection).start,
    ):
        with pytest.raises(gr.Error, match="no longer exists"):
            visit.click(button)
    with pytest.warns(UserWarning, match="no longer exists"):
        visit.click(data.section(MineSection).start)
    assert {one.name for one in datasets.list()} == before
    assert services.workspace.jobs.list() == []


def test_what_comes_while_another_is_shown_is_not_taken_for_it(
    services: Services, page: Page, visit: Visitor, tmp_path: Path
) -> None:
    """An import was started from this page: what is chosen is not yet what is shown."""
    add(services, tmp_path, "old")
    visit.open(page.data)
    put(services, "i1", task="import", recipe={"name": "new"}, status=JobStatus.RUNNING)
    visit.type(page.data.chosen, "new")
    come_back(visit, page, page.data)
    visit.type(change(page.data).name, "renamed")
    add(services, tmp_path, "new")
    visit.click(change(page.data).rename)
    assert {one.name for one in services.workspace.datasets.list()} == {"renamed", "new"}


# -- Compare ---------------------------------------------------------------------------------------


def test_models_handed_over_are_chosen_once(services: Services, page: Page, visit: Visitor) -> None:
    evaluated(services)
    for name in ("one", "two", "three"):
        services.workspace.store.models.insert(make.model(name, name))
    visit.type(page.compare.chosen, {"dataset": "tea", "models": ["one", "two"]})
    visit.open(page.compare)
    assert visit.value(page.compare.models) == ["one", "two", "bm25"]
    visit.type(page.compare.models, ["one", "three"])
    come_back(visit, page, page.compare)
    assert visit.value(page.compare.models) == ["one", "three"]
    # A page that is loaded anew has nothing chosen: what was handed over is there again.
    again = Visitor(page)
    again.type(page.compare.chosen, visit.value(page.compare.chosen))
    again.open(page.compare)
    assert again.value(page.compare.models) == ["one", "two", "bm25"]


def part(page: Page, elem_id: str) -> Any:
    (found,) = (
        one for one in page.demo.blocks.values() if getattr(one, "elem_id", None) == elem_id
    )
    return found


def explored(services: Services, page: Page, visit: Visitor, tmp_path: Path, box: str) -> Any:
    """Queries that lost, sorted by length, and one of them opened; what must stay, to be asked."""
    name = box.removesuffix("-explorer").replace("compare", "explore")
    name = name if name == "explore" else f"{name}-explore"
    order, listed = part(page, f"{name}-order"), part(page, f"{name}-list")
    write(visit, order, "unchanged")
    write(visit, order, "all")
    visit.pick(listed, "sort:length")
    visit.click(part(page, f"{name}-next"))
    first = str(visit.value(listed)).split('rw-pick" data-pick="')[-1].split('"')[0]
    visit.pick(listed, first)
    parts = (order, listed, part(page, f"{name}-rankings"))

    def now() -> list[Any]:
        return [visit.value(one) for one in parts]

    assert "<section" in str(now()[-1])
    return now


def test_queries_that_are_looked_at_stay_open(
    services: Services, page: Page, visit: Visitor, tmp_path: Path
) -> None:
    reader = grounds(services.workspace, tmp_path)
    evaluation(services.workspace, reader, done=True)
    visit.open(page.compare)
    now = explored(services, page, visit, tmp_path, "compare-explorer")
    kinds = part(page, "compare-slices-metric")
    write(visit, kinds, "recall@100")
    before, chosen = now(), visit.value(kinds)
    come_back(visit, page, page.compare)
    assert now() == before and visit.value(kinds) == chosen
    # Where the data set is gone, there is nothing to look at.
    services.workspace.datasets.remove(reader.name)
    come_back(visit, page, page.compare)
    assert not visit.visible(part(page, "compare-explorer"))


def test_a_matrix_is_as_it_was_when_it_is_unfolded_again(
    services: Services, page: Page, visit: Visitor, tmp_path: Path
) -> None:
    reader = grounds(services.workspace, tmp_path)
    job = services.workspace.jobs.get(evaluation(services.workspace, reader, done=True))
    recipe = {"dataset": reader.name, "split": "test", "retrievers": ["bm25"]}
    about = {"task": "matrix", "recipe": recipe, "status": JobStatus.SUCCEEDED}
    result = {**MATRIX, "evaluations": (job.result or {})["evaluations"]}
    services.workspace.store.jobs.delete(job.id)
    put(services, job.id, result=result, **about)
    visit.open(page.compare)
    box = part(page, "compare-matrix")
    visit.fire(box, "expand")
    at, metric = part(page, "matrix-at"), part(page, "matrix-metric")
    assert visit.value(at) == 3
    write(visit, at, 1)
    write(visit, metric, "mrr")
    now = explored(services, page, visit, tmp_path, "matrix-explorer")
    before = now()
    visit.fire(box, "expand")
    assert (visit.value(at), visit.value(metric)) == (1, "mrr") and now() == before


def test_the_page_of_the_history_stays_open(services: Services, page: Page, visit: Visitor) -> None:
    for at in range(70):
        record = make.evaluation(f"e{at}", model=f"model {at}", created_at=float(at))
        services.workspace.store.evaluations.insert(record)
    visit.open(page.compare)
    box, rows = part(page, "compare-history"), part(page, "compare-history-rows")
    visit.fire(box, "expand")
    first = visit.value(rows)
    visit.click(part(page, "compare-history-next"))
    second = visit.value(rows)
    visit.fire(box, "expand")
    assert visit.value(rows) == second != first


# -- Models ----------------------------------------------------------------------------------------


def test_the_chosen_point_of_a_blend_stays(services: Services, page: Page, visit: Visitor) -> None:
    workspace = services.workspace
    for name in ("mine", "tiny"):
        workspace.path(f"models/{name}").mkdir(parents=True, exist_ok=True)
        workspace.store.models.insert(make.model(name, name, base="base"))
    rows = [
        {"ratio": ratio, "dataset": "a", "split": "dev", "map@100": value}
        for ratio, value in ((0.0, 0.1), (0.5, 0.9), (1.0, 0.8))
    ]
    result = {"tuned": "mine", "base": "tiny", "metric": "map@100", "rows": rows}
    about = {"task": "blend", "status": JobStatus.SUCCEEDED}
    put(services, "b1", result=result, created_at=1.0, **about)
    visit.open(page.models)
    visit.pick(page.models.list, "mine")
    point = page.models.blend.point
    assert visit.value(point) == "0.5"
    visit.type(point, "0.7")
    come_back(visit, page, page.models)
    put(services, "other", task="merge", status=JobStatus.FAILED)
    visit.look(page.models)
    assert visit.value(point) == "0.7"
    # Another curve has its own best point.
    put(services, "b2", result={**result, "rows": [*rows[::2], rows[0]]}, created_at=2.0, **about)
    come_back(visit, page, page.models)
    assert visit.value(point) == "1"
