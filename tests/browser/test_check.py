"""Check first, measure a few steps, and start a run again with settings that fit."""

from pathlib import Path
from typing import Any

import pytest

from storage.records import JobStatus
from tests.browser.app import LONG, click, open_tab, running
from tests.browser.test_reranker import short_texts
from tests.storage import make
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.workspace import Workspace

# A browser, an app and a worker that trains MiniLM for five steps: about a minute on two cores.
pytestmark = pytest.mark.slow

SUGGESTED = {
    "message": "There was not enough memory on this machine.",
    "hint": "Try a smaller batch size.",
    "details": {"cause": "out-of-memory"},
    "suggestions": [
        {"changes": {"gradient_checkpointing": True}, "sentence": "A third slower."},
        {
            "changes": {"batch_size": 2, "gradient_accumulation": 4},
            "sentence": "Batches of 2, 4 to a step: the same effective batch of 8.",
        },
    ],
}


def run_out(home: Path) -> None:
    """A run on record that ran out of memory, whose recipe is small."""
    workspace = Workspace.open(home)
    values = {"dataset": "code", "name": "fits", "batch_size": 8, "max_steps": 1}
    recipe = TrainEmbeddingRecipe.read({**values, "passage_max_len": 16, "dev_queries": 2})
    job = make.job(
        "outofmemory",
        task=recipe.task,
        name="fits",
        recipe=recipe.model_dump(mode="json"),
        status=JobStatus.FAILED,
        error=SUGGESTED,
    )
    workspace.store.jobs.insert(job)
    workspace.close()


def test_check_measure_and_start_with_what_fits(page: Any, tmp_path: Path) -> None:
    short_texts(tmp_path)
    run_out(tmp_path / "home")
    with running(tmp_path) as app:
        page.goto(app.url())
        page.get_by_role("tab", name="Train", exact=True).first.wait_for()
        open_tab(page, "Train")
        page.locator("#train-fitting li").nth(1).wait_for()

        click(page, "Check settings")
        page.locator("#train-check-report", has_text="120 rows").wait_for()
        assert "Estimated memory" in page.locator("#train-check-report").inner_text()

        page.locator("#field-batch_size input").fill("4")
        click(page, "Measure a few steps")
        page.locator("#train-measured-stop").wait_for()
        page.locator("#train-measured", has_text="samples/s").wait_for(timeout=LONG)
        assert "of which" in page.locator("#train-measured").inner_text()
        page.locator("#train-measured-stop").wait_for(state="hidden")

        page.locator("#train-fitting li").nth(1).get_by_role("button").click()
        page.locator("#train-job .verdict").wait_for(timeout=LONG)
    workspace = Workspace.open(tmp_path / "home")
    job = workspace.jobs.list(task=TrainEmbeddingRecipe.task)[0]
    assert (job.recipe["batch_size"], job.recipe["gradient_accumulation"]) == (2, 4)
    assert job.status is JobStatus.SUCCEEDED
    assert [one.task for one in workspace.jobs.list()].count("measure") == 1
    workspace.close()
