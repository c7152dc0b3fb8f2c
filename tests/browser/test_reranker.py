"""A reranker with LoRA, from the form to Compare and to Search as second stage."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.app import LONG, click, open_tab, running
from tests.workbench.data.fakes import bring, lines
from tests.workbench.training.fakes import animal_splits
from workbench.workspace import Workspace

# A browser, an app and four workers that import torch: about two minutes on two cores.
pytestmark = pytest.mark.slow

FIELDS = {"epochs": "0.3", "passage_max_len": "64", "dev_queries": "6", "candidates": "10"}


def short_texts(folder: Path) -> None:
    """The data set 'code' in the folder's home: 120 rows to train on, 24 for dev, 50 for test, of a
    few words each, which the real model reads in no time."""
    found = animal_splits(train=170, dev=24)
    rows, dev = (
        [{"query": query, "pos": right} for query, right, _ in found[split]]
        for split in ("train", "dev")
    )
    parts = {"train": rows[:120], "dev": dev, "test": rows[120:]}
    files = [lines(folder / f"{name}.jsonl", some) for name, some in parts.items()]
    workspace = Workspace.open(folder / "home")
    bring(workspace, *files, name="code")
    workspace.close()


def test_a_lora_reranker_is_trained_compared_and_searched_with(page: Any, tmp_path: Path) -> None:
    short_texts(tmp_path)
    with running(tmp_path) as app:
        page.goto(app.url())
        page.get_by_role("tab", name="Train", exact=True).first.wait_for()
        train(page)
        compare(page)
        search(page)


def train(page: Any) -> None:
    open_tab(page, "Train")
    page.get_by_label("reranker", exact=True).and_(page.locator(":visible")).first.check()
    page.locator("#field-reranker-method input").wait_for()
    choose(page, "#field-reranker-method", "LoRA")
    page.locator("#field-reranker-name textarea, #field-reranker-name input").first.fill("judge")
    page.get_by_role("button", name="Advanced").and_(page.locator(":visible")).click()
    # What only matters for an adapter shows once the method has one.
    page.locator("#field-reranker-lora_r input").wait_for()
    for name, value in FIELDS.items():
        page.locator(f"#field-reranker-{name} input").fill(value)
    # An unfolded form sends nothing where nothing was typed.
    assert page.locator("#field-reranker-max_steps").locator("input, textarea").input_value() == ""
    click(page, "Start training")
    verdict = page.locator("#train-job .verdict")
    verdict.wait_for(timeout=LONG)
    said = verdict.inner_text()
    assert "the order of bm25 (first 10)" in said and "Before training it was" in said
    page.locator("#train-chart .rw-live-plot .main-svg").first.wait_for()


def compare(page: Any) -> None:
    """The order it was given stands before it in the table."""
    click(page, "Compare with the original")
    page.locator("#compare-start").click()
    rows = page.locator("#compare-table tbody tr")
    rows.nth(2).wait_for(timeout=LONG)
    names = [rows.nth(at).locator("td").first.inner_text() for at in range(rows.count())]
    assert names[0].startswith("all-MiniLM-L6-v2")
    assert names[-2].startswith("bm25, first") and names[-1].startswith("judge")


def search(page: Any) -> None:
    open_tab(page, "Search")
    page.locator("#index-build").click()
    page.locator("#search-second").wait_for(timeout=LONG)
    choose(page, "#search-second", "judge")
    asked = page.get_by_label("Question", exact=True)
    asked.fill("which cat is red")
    asked.press("Enter")
    page.locator("#search-results li").first.wait_for(timeout=LONG)
    assert "judge" in page.locator("#search-results").inner_text()


def choose(page: Any, menu: str, label: str) -> None:
    page.locator(f"{menu} input").first.click()
    page.locator("[role=option]").filter(has_text=label).first.click()
