"""Two indexes side by side, a filter, and the blind test, through the real page."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from playwright.sync_api import expect

from tests.browser.app import LONG, open_tab, running
from tests.workbench.data.fakes import context
from workbench.data.job import run_import
from workbench.prepare import prepare
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

# A browser, an app, two builds and a search process that import torch: a minute on two cores.
pytestmark = pytest.mark.slow

THEMES = ("tea in the rain", "a dog in the snow", "a river at night", "trains in the sun")


def corpus(folder: Path) -> None:
    lines = [
        {
            "id": f"n{number}",
            "text": f"Note {number} about {THEMES[number % 4]}",
            "lang": "de" if number % 2 else "en",
        }
        for number in range(80)
    ]
    path = folder / "notes.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
    workspace = Workspace.open(folder / "home")
    recipe = ImportRecipe(paths=[str(path)], name="notes")
    run_import(prepare(recipe, workspace, False), context(workspace))
    workspace.close()


def test_two_sides_a_filter_and_a_blind_test(page: Any, tmp_path: Path) -> None:
    corpus(tmp_path)
    with running(tmp_path) as app:
        page.goto(app.url())
        page.get_by_role("tab", name="Search", exact=True).first.wait_for()
        open_tab(page, "Search")
        build(page, "plain", "Exact")
        build(page, "quick", "Fast")
        side_by_side(page)
        filtered(page)
        blind(page)
        # The app ends before the page does: nothing may be on its way then.
        page.goto("about:blank")


def build(page: Any, name: str, type: str) -> None:
    page.locator("#index-name").locator("input, textarea").fill(name)
    page.locator("#index-type").get_by_label(type, exact=True).check()
    page.locator("#index-build").click()
    row = page.locator("#search-index-list tbody tr", has_text=name)
    row.wait_for(timeout=LONG)
    assert "up to date" in row.inner_text() and "1.000" in row.inner_text()


def side_by_side(page: Any) -> None:
    """What was built last stands beside what was built before."""
    page.locator("#search-query textarea").fill("tea when it rains")
    page.locator("#search-query textarea").press("Enter")
    page.locator("#search-results section").nth(1).wait_for(timeout=LONG)
    sides = page.locator("#search-results section")
    assert sides.count() == 2
    assert "tea" in sides.nth(0).locator("mark").first.inner_text()
    page.locator("#search-results svg line.same").first.wait_for(state="attached")
    assert "encode" in sides.nth(1).locator("header").inner_text()


def filtered(page: Any) -> None:
    page.locator("#search-filter > button").click()
    page.locator("#search-fields .rw-pick", has_text="de (40)").click()
    where = page.locator("#search-where").locator("input, textarea")
    expect(where).to_have_value("lang = de", timeout=LONG)
    where.press("Enter")
    header = page.locator("#search-results section header", has_text="40 documents match")
    header.first.wait_for(timeout=LONG)
    where.fill("")


def blind(page: Any) -> None:
    """Hidden until it is answered, by a key; then counted, and made a judgment."""
    page.locator("#search-blind > button").click()
    page.locator("#blind-query").locator("input, textarea").fill("snow and dogs")
    page.locator("#blind-start").click()
    page.locator("#blind-shown section").nth(1).wait_for(timeout=LONG)
    hidden = page.locator("#blind-shown").inner_text()
    assert not any(word in hidden for word in ("plain", "quick", "score", " ms"))
    # Keys count where nothing is being typed.
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowLeft")
    page.locator("#blind-tally tbody tr").wait_for(timeout=LONG)
    said = page.locator("#blind-revealed").inner_text()
    assert "You picked" in said and "Left was" in said
    assert "plain against quick" in page.locator("#blind-tally").inner_text()
    page.locator("#blind-revealed .rw-pick").click()
    page.locator("#blind-revealed", has_text="Version 2").wait_for(timeout=LONG)
