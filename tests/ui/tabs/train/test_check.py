"""The check beside the form, its measured steps, and what to do about a run that did not fit."""

from types import SimpleNamespace
from typing import Any

import pytest

from storage.records import JobStatus
from tests.ui.tabs.conftest import BAD, put
from tests.ui.visitor import drawn
from ui.kit.job_slot import find, fitting_html, start_fitting
from ui.services import Services
from ui.tabs.jobs import JobsTab
from ui.tabs.train import check
from ui.tabs.train.tab import TrainTab
from workbench.checks import CheckReport, Warning_
from workbench.checks.report import Lengths, Memory
from workbench.errors import BadInput, DatasetNotFound
from workbench.recipes.evaluate import MeasureRecipe
from workbench.recipes.train import TrainEmbeddingRecipe

MEASURED: dict[str, Any] = {
    "kind": "embedding", "method": "full", "device": "cpu", "precision": "bf16", "steps": 5,
    "first_step_seconds": 7.5, "seconds_per_step": 4.0, "samples_per_second": 8.0,
    "peak_memory": 2_800_000_000, "reserved_memory": None, "memory_before": 620_000_000,
    "estimated_memory": 1_800_000_000, "available_memory": 19_000_000_000, "total_steps": 38,
    "expected_seconds": 152.0, "dev_evaluations": 10, "notes": [BAD],
}  # fmt: skip

ERROR: dict[str, Any] = {
    "message": "There was not enough memory on this machine.",
    "hint": "Try a smaller batch size.",
    "details": {"cause": "out-of-memory"},
    "suggestions": [
        {"changes": {"batch_size": 8, "gradient_accumulation": 4}, "sentence": f"Batches of {BAD}"},
        {
            "changes": {"gradient_checkpointing": True},
            "sentence": "Activations are computed again.",
        },
    ],
}


def report(**more: Any) -> CheckReport:
    values: dict[str, Any] = {
        "rows": 1200, "left_out": 0, "batches": 38, "steps": 38, "texts_per_batch": 96,
        "tokens_per_batch": 5000,
        "lengths": [Lengths("query", 64, 1000, 12.4, 30, 64, 0.01)], "parameters": 22_713_216,
        "trainable": 1_000, "memory": Memory(10**9, 0, 0, 0), "available": 8 * 10**9,
        "warnings": [Warning_("memory", BAD, "Try batch_size 16.")],
    }  # fmt: skip
    return CheckReport(**{**values, **more})


def test_a_report_says_what_the_run_would_be_and_warns() -> None:
    html = check.report_html(report())
    assert "1,200 rows, 38 steps" in html
    assert "96 texts, about 5,000 tokens" in html
    assert "1,000 of 22,713,216" in html
    assert "1% are truncated at 64" in html
    assert "Try batch_size 16." in html
    assert "<script" not in html
    unknown = check.report_html(
        report(tokens_per_batch=None, parameters=None, memory=None, available=None, lengths=[])
    )
    assert "96 texts" in unknown


def test_a_measurement_as_it_goes_on(services: Services) -> None:
    assert check.card_html(None) == ""
    running = put(services, "m1", task="measure", status=JobStatus.RUNNING)
    assert "m1" in check.card_html(running)
    done = put(services, "m2", task="measure", status=JobStatus.SUCCEEDED, result=MEASURED)
    html = check.card_html(done)
    assert "8.0 samples/s, 4.00 s per step (over 5 steps" in html
    assert "2.8 GB, of which 620.0 MB is Python" in html
    assert "about 2 min 32 s for 38 steps, without its 10 evaluations" in html
    assert "<script" not in html
    failed = put(services, "m3", task="measure", status=JobStatus.FAILED, error=ERROR)
    html = check.card_html(failed)
    assert "not enough memory" in html and "Activations are computed again." in html


def test_a_measurement_on_a_gpu_without_dev_queries() -> None:
    found = {**MEASURED, "device": "cuda", "dev_evaluations": 0, "estimated_memory": None}
    html = check.measured_html(found)
    assert "2.8 GB on the GPU" in html
    assert "evaluations" not in html


def test_only_a_measurement_is_found(services: Services) -> None:
    put(services, "m1", task="measure")
    put(services, "t1", task="train-embedding")
    assert find(services, "m1", ["measure"]) is not None
    for other in ("t1", "gone", "", None):
        assert find(services, other, ["measure"]) is None


def failed(services: Services, **more: Any) -> Any:
    recipe = TrainEmbeddingRecipe.read({"dataset": "tea", "name": "mine", "batch_size": 32})
    values = {"task": "train-embedding", "recipe": recipe.model_dump(mode="json"), "error": ERROR}
    return put(services, "oom", status=JobStatus.FAILED, **{**values, **more})


def test_suggestions_stand_below_the_run_and_nowhere_else(services: Services) -> None:
    job = failed(services)
    train, jobs = drawn(TrainTab, services), drawn(JobsTab, services)
    for html in (train.view(job)[train.fitting], jobs.refresh(job.id, "")[jobs.fitting]):
        assert html.count('data-pick="') == 2
        assert "Activations are computed again." in html
        assert "<script" not in html
    assert fitting_html(None) == ""
    other = put(services, "ok", status=JobStatus.FAILED, error={"message": "No."})
    assert fitting_html(other) == ""


def pressed(value: str) -> Any:
    return SimpleNamespace(value=value)


def test_starting_with_one_submits_the_run_with_its_changes(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(services)
    taken: list[Any] = []
    monkeypatch.setattr(
        type(services.workspace.jobs), "submit", lambda _self, recipe: taken.append(recipe)
    )
    start_fitting(services, "oom", pressed("1"))
    (recipe,) = taken
    assert (recipe.batch_size, recipe.gradient_accumulation, recipe.name) == (8, 4, "mine")
    with pytest.raises(BadInput, match="no suggestion 3"):
        start_fitting(services, "oom", pressed("3"))


def test_a_measurement_that_did_not_fit_is_measured_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = MeasureRecipe.of(TrainEmbeddingRecipe.read({"dataset": "tea"}))
    failed(services, task="measure", recipe=recipe.model_dump(mode="json"))
    taken: list[Any] = []
    monkeypatch.setattr(
        type(services.workspace.jobs), "submit", lambda _self, recipe: taken.append(recipe)
    )
    start_fitting(services, "oom", pressed("2"))
    assert taken[0].training().gradient_checkpointing is True


def test_a_run_that_cannot_be_started_is_refused(services: Services) -> None:
    failed(services)
    with pytest.raises(DatasetNotFound):
        start_fitting(services, "oom", pressed("1"))
