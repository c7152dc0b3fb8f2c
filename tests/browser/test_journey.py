"""The main path on the real page, with a real Chromium and the real MiniLM.

The app runs as it ships, in a process of its own. The sample is the shipped one with fewer and
shorter pairs, so that the whole journey takes half a minute on two quiet cores; with
``UPDATE_SCREENSHOTS=1`` it is the whole sample, and the README's pictures are taken anew.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.browser.app import LONG, ROOT, click, open_tab, running
from tests.ui.serving import wait_until
from tests.workbench.data.fakes import context
from workbench import demo
from workbench.data import job
from workbench.data.job import run_sample
from workbench.recipes.data import SampleRecipe
from workbench.workspace import Workspace

# A browser, an app and four workers that import torch and train: a minute and a half.
pytestmark = pytest.mark.slow

IMAGES = ROOT / "docs" / "images"
UPDATE = os.environ.get("UPDATE_SCREENSHOTS") == "1"
TABS = ("Start", "Data", "Train", "Compare", "Quantize", "Search", "Models", "Jobs")
HEAVY = {"torch", "transformers", "sentence_transformers", "faiss", "peft", "datasets"}

#: So many the small sample has; the whole one has more.
STEPS = 6
#: Characters of its functions, at most: reading them all, six times, is most of the work.
SHORT = 250
POINTS = "() => document.querySelector('#start-chart .rw-live-plot')?.data?.[0].x.length ?? 0"
#: A notice would stand before what a picture is of.
CLOSE_NOTICES = """() => document.querySelectorAll('.rw-notices button[aria-label]')
  .forEach(button => button.click())"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
UNNAMED = """() => [...document.querySelectorAll('input, textarea, select, button')].filter(e =>
  e.offsetParent && e.type !== 'hidden' && !e.labels?.length && !e.ariaLabel && !e.title
  && !e.innerText?.trim() && !e.getAttribute('aria-labelledby')).map(e => e.outerHTML)"""


def small_sample(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample data set with fewer pairs, of short functions, already in the workspace."""
    collect = job.collect
    monkeypatch.setattr(
        job,
        "collect",
        lambda *how: (pair for pair in collect(*how) if len(pair.code) < SHORT),
    )
    workspace = Workspace.open(home)
    recipe = SampleRecipe(name=demo.DATASET, train_pairs=192, dev_pairs=30, test_pairs=50)
    run_sample(recipe, context(workspace))
    workspace.close()


def picture(page: Any, name: str, folder: Path) -> None:
    page.mouse.move(0, 0)
    page.evaluate(CLOSE_NOTICES)
    where = IMAGES if UPDATE else folder
    where.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=where / f"{name}.png", full_page=True)


def test_from_the_sample_to_a_better_model(
    page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not UPDATE:
        small_sample(tmp_path / "home", monkeypatch)
    with running(tmp_path) as app:
        page.goto(app.url())
        run_the_sample(page)
        picture(page, "start", tmp_path)
        the_training_is_shown(page)
        picture(page, "train", tmp_path)
        the_comparison_shows_a_gain(page, app.home)
        picture(page, "compare", tmp_path)
        search_finds(page)
        everything_fits_a_phone(page)
        assert HEAVY & app.stop() == set()


def run_the_sample(page: Any) -> None:
    """One button; the chart moves; a reload in the middle loses nothing; it ends with links."""
    click(page, "Run the sample")
    assert page.locator("h1").count() == 1
    page.wait_for_function(f"({POINTS})() >= 2", timeout=LONG)
    page.reload()
    page.wait_for_function(f"({POINTS})() >= {STEPS}", timeout=LONG)
    assert page.locator("#start-steps li").count() == 5
    page.locator("#start-to-search").wait_for(timeout=LONG)
    assert page.locator("#start-steps li.done").count() == 5
    assert "Better: MAP@100 on dev went from" in page.locator("#start-steps").inner_text()


def the_training_is_shown(page: Any) -> None:
    click(page, "See the training")
    page.locator("#train-job .verdict", has_text="Better").wait_for()
    plots = page.locator("#train-chart .rw-live-plot .main-svg")
    plots.first.wait_for()
    page.wait_for_timeout(500)  # for the picture: the chart draws itself once more at its width


def the_comparison_shows_a_gain(page: Any, home: Path) -> None:
    click(page, "Compare with the original")
    row = page.locator("#compare-table tbody tr").nth(1)
    row.wait_for()
    assert row.locator("td").first.inner_text().splitlines()[0] == demo.MODEL
    assert row.locator(".rw-difference").inner_text().startswith("+0.")
    page.locator("#compare-plot .main-svg").first.wait_for()
    workspace = Workspace.open(home)
    result = workspace.jobs.list(task="evaluate")[0].result or {}
    base, tuned, words = result["rows"]
    workspace.close()
    assert (base["model"], words["model"]) == ("all-MiniLM-L6-v2", "bm25")
    assert tuned["map@100"] > base["map@100"]


def search_finds(page: Any) -> None:
    """A test query's own function is found, marked, and the other way to ask works too."""
    open_tab(page, "Search")
    page.locator("#search-examples .rw-pick").first.click()
    page.locator("#search-results li.relevant").first.wait_for(timeout=LONG)
    assert "ms" in page.locator("#search-results header").first.inner_text()
    asked = page.get_by_label("Question", exact=True)
    asked.fill("parse a date from a string")
    asked.press("Enter")
    page.locator("#search-results li.relevant").first.wait_for(state="detached")
    page.locator("#search-results li").first.wait_for()


def everything_fits_a_phone(page: Any) -> None:
    """Every tab at 400 pixels: the page itself never scrolls sideways, and inputs have names."""
    page.set_viewport_size({"width": 400, "height": 860})
    for name in TABS:
        open_tab(page, name)
        page.wait_for_timeout(600)  # for what the tab has to show
        page.wait_for_function(f"({OVERFLOW})() <= 0")
        wait_until(lambda: page.evaluate(UNNAMED) == [], f"names for all inputs of {name}")


BAD = """<script>window.bad = 1</script><img src=x onerror="window.bad = 2">{{value}}${value}"""


def broken_lines() -> list[str]:
    rows = [
        {"query": f"question {n}", "pos": [f"answer number {n}"], "neg": [f"not {n}"]}
        for n in range(20)
    ]
    lines = [json.dumps(row) for row in rows]
    lines[0] = json.dumps({"query": BAD, "pos": [BAD + " answer"], "neg": [BAD + " wrong"]})
    lines[4] = '{"query": "half a line'
    lines[9] = json.dumps({"pos": ["an answer without a question"]})
    return lines


def test_a_broken_file_shows_its_lines_and_scripts_stay_text(page: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken<b>.jsonl"
    broken.write_text("\n".join(broken_lines()), encoding="utf-8")
    with running(tmp_path) as app:
        page.goto(app.url())
        click(page, "Use my own data")
        page.locator("#data-drop input[type=file]").set_input_files(broken)
        page.locator("#data-drop", has_text="ready").wait_for()
        page.locator("#data-name textarea, #data-name input").fill("mine")
        click(page, "Import")
        page.locator("#data-summary", has_text="too few queries to judge").wait_for()
        page.get_by_label("Search in queries", exact=True).fill("script")
        page.get_by_label("Search in queries", exact=True).press("Enter")
        cells = page.locator("#rows-table tbody tr").first.locator("td")
        cells.nth(1).get_by_text("<script>window.bad = 1</script>").wait_for()
        assert "onerror=" in cells.nth(2).inner_text()
        page.get_by_role("tab", name="Problems", exact=True).click()
        problems = page.locator("#problem-list tbody tr")
        problems.first.wait_for()
        listed = [row.locator("td").all_inner_texts() for row in problems.all()]
        assert [(row[1], row[3]) for row in listed] == [("5", "not-json"), ("10", "missing-field")]
        assert listed[0][0] == broken.name
        for name in TABS:
            open_tab(page, name)
            page.wait_for_timeout(600)
        assert page.evaluate("window.bad") is None
        assert page.locator("script", has_text="window.bad").count() == 0
        app.stop()
