"""The measured check: real steps with the real trainer, and nothing kept."""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.training.fakes import FakeContext, animals_job
from workbench.checks.run_facts import clock, lines
from workbench.errors import BadRecipe, JobCancelled
from workbench.recipes.evaluate import MeasureRecipe
from workbench.recipes.train import KINDS

# Importing torch and sentence-transformers takes 6 to 11 s; each run after that about one.
pytestmark = pytest.mark.slow


def recipe(tiny: Path, kind: str = "embedding", steps: int = 3, **values: Any) -> MeasureRecipe:
    settings = {
        "dataset": "pets", "model": str(tiny), "name": "mine", "batch_size": 16, "epochs": 2,
        "gradient_accumulation": 2, "precision": "fp32", "device": "cpu",
    }  # fmt: skip
    return MeasureRecipe.of(KINDS[kind].read({**settings, **values}), steps)


def measure(recipe: MeasureRecipe, context: FakeContext) -> dict[str, Any]:
    from workbench.training.measure import run

    return run(recipe, context)


def test_a_few_steps_of_the_real_run(tiny: Path, tmp_path: Path) -> None:
    context = animals_job(tmp_path)
    found = measure(recipe(tiny, method="lora"), context)
    assert [step for step, _ in context.of("train")] == [1, 2, 3]
    assert (found["steps"], found["method"], found["device"]) == (3, "lora", "cpu")
    # 96 rows are 6 batches, two to a step, in two epochs.
    assert found["total_steps"] == 6
    assert found["expected_seconds"] == pytest.approx(6 * found["seconds_per_step"])
    assert found["samples_per_second"] == pytest.approx(32 / found["seconds_per_step"])
    # The kernel counts the two apart, a few pages off.
    assert found["peak_memory"] > 0.99 * found["memory_before"] > 100e6
    assert found["available_memory"] > 0
    # Of so short a run dev takes its least: before the first step, after the last, and as saved.
    assert found["dev_evaluations"] == 3
    said = lines(found)
    assert "measured over 3 steps on cpu in fp32" in said
    assert "without its 3 evaluations on dev" in said


def test_nothing_is_kept_and_nothing_measured_on_dev(tiny: Path, tmp_path: Path) -> None:
    context = animals_job(tmp_path)
    measure(recipe(tiny, save_steps=1, eval_steps=1), context)
    assert context.of("dev") == context.of("baseline") == []
    assert context.workspace.models.added == []
    assert list(context.folder.rglob("*")) == []


@pytest.mark.parametrize("kind", ["reranker", "late-interaction"])
def test_every_kind(kind: str, tiny: Path, tmp_path: Path) -> None:
    found = measure(recipe(tiny, kind, steps=2, negatives=1), animals_job(tmp_path))
    assert (found["kind"], found["steps"]) == (kind, 2)


def test_its_rows_are_those_of_the_whole_run(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All draws of negatives stand in memory from the first step on."""
    from workbench.training import measure as module

    found, batching = [], module.batching

    def noted(reader: Any, rows: Any, *more: Any) -> Any:
        found.append(rows.draws)
        return batching(reader, rows, *more)

    monkeypatch.setattr(module, "batching", noted)
    measure(recipe(tiny, "reranker", steps=2, negatives=1, epochs=3), animals_job(tmp_path))
    assert found == [3]


def test_it_stops_between_two_steps(tiny: Path, tmp_path: Path) -> None:
    context = animals_job(tmp_path, cancel_at=2)
    with pytest.raises(JobCancelled):
        measure(recipe(tiny, steps=5, epochs=5), context)
    assert [step for step, _ in context.of("train")] == [1, 2]
    assert list(context.folder.rglob("*")) == []


def test_what_cannot_be_trained_cannot_be_measured(tiny: Path) -> None:
    with pytest.raises(BadRecipe, match="batch_size"):
        MeasureRecipe.read({"kind": "embedding", "values": {"dataset": "d", "batch_size": 0}})
    with pytest.raises(BadRecipe, match="Choose one of embedding"):
        MeasureRecipe.read({"kind": "none", "values": {"dataset": "d"}})


@pytest.mark.parametrize(("seconds", "words"), [(5, "0:05"), (125.4, "2:05"), (3723, "1:02:03")])
def test_a_time_in_words(seconds: float, words: str) -> None:
    assert clock(seconds) == words
