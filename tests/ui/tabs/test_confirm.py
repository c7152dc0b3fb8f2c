"""What is removed is what the warning named, whatever was chosen, listed or removed since."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import put
from tests.ui.tabs.whole import add, page, services, visit, whole
from tests.ui.visitor import DrawnPage as Page
from tests.ui.visitor import Visitor
from ui.services import Services

__all__ = ["page", "services", "visit", "whole"]


def names(registry: Any) -> set[str]:
    return {one.name for one in registry.list()}


def warning(visit: Visitor, part: Any) -> str:
    """What is to be read before 'Yes'; '' where nothing is asked."""
    return str(visit.value(part.remove.warning)) if visit.visible(part.remove.box) else ""


def two(services: Services, page: Page, tab: str, tmp_path: Path) -> tuple[Any, Any, Any]:
    """Two rows of the tab's list, 'one' and 'two': the tab, its list, and the registry."""
    workspace = services.workspace
    if tab == "data":
        add(services, tmp_path, "one", "two")
        return page.data, page.data.sets, workspace.datasets
    for name in ("one", "two"):
        if tab == "models":
            workspace.path(f"models/{name}").mkdir(parents=True, exist_ok=True)
            workspace.store.models.insert(make.model(name, name))
        else:
            put(services, name, name=name, status=JobStatus.FAILED)
    if tab == "models":
        return page.models, page.models.list, workspace.models
    return page.jobs, page.jobs.list, workspace.jobs


@pytest.mark.parametrize("tab", ["data", "models", "jobs"])
def test_yes_removes_the_row_that_was_asked_about(
    services: Services, page: Page, visit: Visitor, tmp_path: Path, tab: str
) -> None:
    part, listed, registry = two(services, page, tab, tmp_path)
    visit.open(part)
    visit.pick(listed, "one")
    visit.click(part.remove.ask)
    # The click on 'Yes' may come before the answer to a click on another row.
    visit.type(part.chosen, "two")
    visit.click(part.remove.yes)
    assert names(registry) == {"two"}
    assert warning(visit, part) == ""


@pytest.mark.parametrize("tab", ["data", "models", "jobs"])
def test_another_row_takes_the_question_away(
    services: Services, page: Page, visit: Visitor, tmp_path: Path, tab: str
) -> None:
    part, listed, _ = two(services, page, tab, tmp_path)
    visit.open(part)
    visit.pick(listed, "one")
    visit.click(part.remove.ask)
    assert "one" in warning(visit, part)
    visit.pick(listed, "two")
    assert warning(visit, part) == ""


@pytest.mark.parametrize("tab", ["data", "models", "jobs"])
def test_what_is_gone_meanwhile_is_said_and_nothing_else_removed(
    services: Services, page: Page, visit: Visitor, tmp_path: Path, tab: str
) -> None:
    part, listed, registry = two(services, page, tab, tmp_path)
    visit.open(part)
    visit.pick(listed, "one")
    visit.click(part.remove.ask)
    registry.remove("one")
    if tab == "data":  # Another has its name by now.
        add(services, tmp_path, "one")
    with pytest.raises(gr.Error, match=r"“one” no longer exists\. Nothing was removed\."):
        visit.click(part.remove.yes)
    assert names(registry) == ({"one", "two"} if tab == "data" else {"two"})
    assert warning(visit, part) == ""


def test_the_job_is_named_in_the_warning(services: Services, page: Page, visit: Visitor) -> None:
    put(services, "j1", name="a run of mine", status=JobStatus.FAILED)
    visit.open(page.jobs)
    visit.pick(page.jobs.list, "j1")
    visit.click(page.jobs.remove.ask)
    assert "a run of mine" in warning(visit, page.jobs)


def indexes(services: Services, *wanted: str) -> None:
    for at, name in enumerate(wanted):
        record = replace(make.index(f"i{at}", name), created_at=float(-at))
        services.workspace.store.indexes.insert(record)


def choose(visit: Visitor, page: Page, left: str | None, right: str) -> None:
    visit.open(page.search)
    for menu, value in ((page.search.options.index, left), (page.search.options.other, right)):
        visit.type(menu, value)
        visit.fire(menu, "input")


def test_all_chosen_indexes_are_named_and_removed(
    services: Services, page: Page, visit: Visitor
) -> None:
    indexes(services, "one", "two", "three")
    choose(visit, page, "one", "two")
    visit.click(page.search.remove.ask)
    said = warning(visit, page.search)
    assert "“one”" in said and "“two”" in said and "three" not in said
    # Another choice changes nothing of what was asked.
    visit.type(page.search.options.other, "three")
    visit.click(page.search.remove.yes)
    assert names(services.workspace.indexes) == {"three"}
    assert visit.value(page.search.options.index) == "three"


def test_of_two_indexes_none_goes_where_one_cannot(
    services: Services, page: Page, visit: Visitor
) -> None:
    indexes(services, "one", "two")
    choose(visit, page, "one", "two")
    visit.click(page.search.remove.ask)
    put(services, "u1", task="index-update", recipe={"index": "two"}, status=JobStatus.RUNNING)
    with pytest.raises(gr.Error, match="is needed by the job"):
        visit.click(page.search.remove.yes)
    assert names(services.workspace.indexes) == {"one", "two"}


def test_without_a_chosen_index_there_is_nothing_to_ask(
    services: Services, page: Page, visit: Visitor
) -> None:
    indexes(services, "one")
    choose(visit, page, None, "")
    with pytest.raises(gr.Error, match="No index is chosen"):
        visit.click(page.search.remove.ask)
    assert warning(visit, page.search) == ""


@pytest.mark.parametrize(
    "held", [[], None, {}, "one", [["../..", "x"]], [[1, 2]], [None], [["i0", []]], [["one", "x"]]]
)
def test_a_made_up_answer_removes_nothing(
    services: Services, page: Page, visit: Visitor, held: Any
) -> None:
    """A browser may send anything; what it names is looked up by its id."""
    indexes(services, "one")
    visit.open(page.search)
    visit.type(page.search.remove.held, held)
    with pytest.raises(gr.Error, match="Nothing was removed"):
        visit.click(page.search.remove.yes)
    assert names(services.workspace.indexes) == {"one"}
