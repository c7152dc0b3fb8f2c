"""Check a data set and fix it with one click: the page shows the new version."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.app import LONG, open_tab, running
from tests.workbench.data.fakes import bring, lines
from tests.workbench.data_check.conftest import healthy
from workbench.data.versions import versions
from workbench.workspace import Workspace

# A browser, an app and three short jobs: under a minute on two cores.
pytestmark = pytest.mark.slow


def test_a_finding_is_fixed_with_one_click(page: Any, tmp_path: Path) -> None:
    rows = healthy()
    rows[3]["query"] = "?!"
    workspace = Workspace.open(tmp_path / "home")
    bring(workspace, lines(tmp_path / "train.jsonl", rows), name="tea")
    workspace.close()
    with running(tmp_path) as app:
        page.goto(app.url())
        page.get_by_role("tab", name="Data", exact=True).first.wait_for()
        open_tab(page, "Data")
        page.locator("#data-check button").first.click()
        page.locator("#data-check-report", has_text="not been checked").wait_for()
        page.locator("#data-check-start").click()
        fix = page.locator("[data-finding=empty-query] [data-pick$=drop-empty-queries]")
        fix.wait_for(timeout=LONG)
        fix.click()
        page.locator("#data-check-job", has_text="Fixed in version 2").wait_for(timeout=LONG)
        page.locator("#data-check-report", has_text="Version 2 was checked.").wait_for(timeout=LONG)
        assert page.locator("[data-finding=empty-query]").count() == 0
        page.locator("#data-sets td", has_text="39").wait_for()
    workspace = Workspace.open(tmp_path / "home")
    assert [one.what for one in versions(workspace, "tea")][1] == "fixed: drop-empty-queries"
    assert workspace.datasets.get("tea").summary["queries"] == 39
    workspace.close()
