"""The quantization lab in a real browser: what was measured is seen, a bad method has failed, and a
point is kept as a model."""

from collections.abc import Iterator
from typing import Any

import pytest

from storage.records import JobStatus
from tests.browser.app import open_tab
from tests.storage import make
from tests.ui.serving import served
from tests.ui.tabs.quantize.test_tab import RESULT
from ui.main import build
from ui.services import Services
from workbench.workspace import Workspace

# A real browser on the real page: several seconds each.
pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(home: Any) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    opened.models.ensure_packaged()
    yield opened
    opened.close()


def test_a_lab_is_read_and_a_point_is_kept(page: Any, workspace: Workspace) -> None:
    about = {"status": JobStatus.SUCCEEDED, "result": RESULT, "name": "lab"}
    workspace.store.jobs.insert(make.job("lab1", task="quantize-lab", **about))
    services = Services(workspace)
    with served(services, build(services)) as url:
        page.goto(url)
        page.get_by_role("tab", name="Start", exact=True).first.wait_for()
        open_tab(page, "Quantize")
        for chart in ("#lab-models", "#lab-codes"):
            page.locator(f"{chart} .main-svg").first.wait_for()
        rows = page.locator("#lab-shown tr")
        bad = rows.filter(has_text="nf4")
        assert "Failed" in bad.inner_text() and "-0.0500 (0.03)" in bad.inner_text()
        assert "Recommended" in rows.filter(has_text="bf16").inner_text()
        assert "Recommended: bf16." in page.locator("#lab-shown").inner_text()
        # Nothing is chosen to be measured on: it is said at once, and nothing is queued.
        page.locator("#lab-start").click()
        page.locator("[data-testid=toast-body]").first.wait_for()
        assert [job.id for job in workspace.jobs.list(task="quantize-lab")] == ["lab1"]
        page.locator("#lab-name input, #lab-name textarea").first.fill("half")
        page.locator("#lab-keep").click()
        page.locator("#lab-kept [data-job]").wait_for()
        kept = workspace.jobs.list(task="quantize")[0]
        assert (kept.recipe["method"], kept.recipe["name"]) == ("bf16", "half")
        # It is still in sight after a reload.
        page.reload()
        page.locator(f"#lab-kept [data-job='{kept.id}']").wait_for()
