"""Training as the page proposes it, in a real browser: Auto decides, and says what and why."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.app import LONG, click, open_tab, running
from tests.browser.test_data_journey import add_tiny, choose, pictures
from tests.workbench.data.fakes import bring, lines
from tests.workbench.training.fakes import animal_splits, save_tiny_model
from workbench.recipes.decided import DECISIONS
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.workspace import Workspace

# A browser, an app, and a job that trains a tiny model four times: half a minute.
pytestmark = pytest.mark.slow


def small(folder: Path) -> None:
    """A workspace with a data set of short texts and a model with random weights."""
    workspace = Workspace.open(folder / "home")
    add_tiny(workspace, save_tiny_model(folder / "tiny"))
    found = animal_splits(train=96, dev=24)
    files = [
        lines(folder / f"{split}.jsonl", [{"query": q, "pos": right, "neg": wrong}
                                          for q, right, wrong in rows])
        for split, rows in found.items()
    ]  # fmt: skip
    bring(workspace, *files, name="animals")
    workspace.close()


def test_auto_is_proposed_and_says_what_it_decided(page: Any, tmp_path: Path) -> None:
    small(tmp_path)
    with running(tmp_path) as app:
        page.goto(app.url())
        page.get_by_role("tab", name="Train", exact=True).first.wait_for()
        open_tab(page, "Train")
        assert page.locator("#train-presets input[value=auto]").is_checked()
        page.wait_for_function(
            "() => document.querySelector('#field-dataset input')?.value === 'animals'"
        )
        choose(page, "#field-model", "tiny")
        size = page.locator("#field-batch_size").locator("input, textarea").first
        assert (size.input_value(), size.get_attribute("placeholder")) == ("", "decided by Auto")
        # What is typed is the person's.
        rate = page.locator("#field-learning_rate").locator("input, textarea").first
        rate.fill("0.005")
        page.locator("#field-name").locator("input, textarea").first.fill("mine")
        pictures(page, "proposed", tmp_path)
        page.set_viewport_size({"width": 1280, "height": 860})
        click(page, "Start training")
        # What the look and the rules say stands there while it trains.
        page.locator("#train-job .rw-found", has_text="Training length").wait_for(timeout=LONG)
        assert page.locator("#train-job .verdict").count() == 0
        verdict = page.locator("#train-job .verdict")
        verdict.wait_for(timeout=LONG)
        assert verdict.inner_text().startswith("Better than the original: MAP@100 ")
        assert verdict.inner_text().endswith("; use mine.")
        rows = page.locator("#train-job .rw-found tbody tr").all_inner_texts()
        assert any("Serving length" in row and "rule" in row for row in rows)
        assert any("Blend" in row and "measured" in row for row in rows)
        assert any("Learning rate" in row and "you" in row for row in rows)
        pictures(page, "decided", tmp_path)
    workspace = Workspace.open(tmp_path / "home")
    (job,) = workspace.jobs.list(task=TrainEmbeddingRecipe.task)
    assert set(TrainEmbeddingRecipe.read(job.recipe).decides) == {*DECISIONS} - {"learning_rate"}
    workspace.close()
