"""The Models tab and the live chart of a sweep, in a real browser."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from storage.records import JobStatus
from tests.browser.app import PATIENCE, open_tab
from tests.storage import make
from tests.ui.serving import served, wait_until
from tests.workbench.models.fakes import write_modules
from ui.main import build
from ui.services import Services
from workbench.models.inspect import inspect_folder
from workbench.models.registry import new_model
from workbench.takeaway.sweeps import Started, remember
from workbench.workspace import Workspace

# A real browser on the real page: several seconds each.
pytestmark = pytest.mark.slow

CURVES = "() => (document.querySelector('#sweep-chart .rw-live-plot')?.data ?? []).map(t => t.y)"
DASHED = "() => document.querySelector('#sweep-chart .rw-live-plot').layout.shapes[0].line.dash"


@pytest.fixture
def workspace(home: Any) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    yield opened
    opened.close()


def opened(browser: Any, url: str, tab: str) -> Any:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    page.get_by_role("tab", name="Start", exact=True).first.wait_for()
    open_tab(page, tab)
    return page


def test_a_contract_is_changed_and_what_makes_no_sense_is_said(
    browser: Any, workspace: Workspace
) -> None:
    id, folder = workspace.models.new_folder()
    contract = inspect_folder(write_modules(folder)).contract
    about = {"origin": "added"}
    workspace.models.add(new_model(id, "mine", contract=contract.model_dump(), summary=about))
    services = Services(workspace)
    with served(services, build(services)) as url:
        page = opened(browser, url, "Models")
        page.locator("#models-list .rw-pick", has_text="mine").click()
        page.locator("#contract-edit").click()
        page.locator("#contract-query_max_len input").fill("9999")
        page.locator("#contract-query_prompt textarea").fill("query: ")
        page.locator("#contract-save").click()
        page.locator("#contract-query_max_len", has_text="at most 512 tokens").wait_for()
        # The tab's timer ticks every two seconds; what is said at a field outlives it.
        page.wait_for_timeout(5000)
        assert "at most 512 tokens" in page.locator("#contract-query_max_len").inner_text()
        assert workspace.models.get("mine").contract["query_prompt"] == ""
        page.locator("#contract-query_max_len input").fill("64")
        page.locator("#contract-save").click()
        page.locator("#contract-said", has_text="Saved: Query prompt, Max query tokens.").wait_for()
        page.locator("#model-details", has_text="query:").wait_for()
        page.close()
    assert workspace.models.get("mine").contract["query_max_len"] == 64
    assert json.loads((folder / "contract.json").read_text())["query_prompt"] == "query: "


def test_the_curves_of_a_sweep_grow_while_its_runs_go_on(
    browser: Any, workspace: Workspace
) -> None:
    ids = ("one", "two")
    for id in ids:
        recipe = {"metric": "map@100", "name": id, "dataset": "tea", "model": "base"}
        about = {"status": JobStatus.RUNNING, "attempt": 1, "recipe": recipe, "name": id}
        workspace.store.jobs.insert(make.job(id, task="train-embedding", **about))
    remember(workspace, Started(("seed",), ({"seed": 1}, {"seed": 2}), ids))

    def report(id: str, step: int, value: float, kind: str = "dev", attempt: int = 1) -> None:
        row = {"step": step, "kind": kind, "at": 1.0, "numbers": {"map@100": value}}
        workspace.store.metrics.append(id, attempt, [row])

    services = Services(workspace)
    with served(services, build(services)) as url:
        page = opened(browser, url, "Train")

        def curves(*wanted: list[float]) -> None:
            wait_until(lambda: page.evaluate(CURVES)[:2] == list(wanted), f"curves {wanted}")

        report("one", 0, 0.5, "baseline")
        report("one", 4, 0.6)
        curves([0.6], [])
        assert page.evaluate(DASHED) == "dash"
        report("one", 8, 0.7)
        report("two", 4, 0.4)
        curves([0.6, 0.7], [0.4])
        assert "Seed 1: 0.700" in page.locator("#sweep-chart .rw-live-plot").get_attribute(
            "aria-label"
        )
        page.close()
