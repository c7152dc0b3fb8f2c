"""A learning curve measured: in a real worker, stopped, and taken up again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.training.fakes import (
    FakeContext,
    animals_job,
)
from tests.workbench.training.real import running
from workbench.errors import JobCancelled
from workbench.recipes.curve import LearningCurveRecipe

# Importing torch and sentence-transformers takes 6 to 11 s; each training after that about one.
pytestmark = pytest.mark.slow


def recipe(tiny: Path, **values: Any) -> LearningCurveRecipe:
    about = {"dataset": "pets", "model": str(tiny), "shares": "25, 100", "folds": 2}
    return LearningCurveRecipe.read({**about, "precision": "fp32", "device": "cpu", **values})


class Context(FakeContext):
    """Asked to stop where a message has these words."""

    stop_at = ""

    def progress(
        self, done: float, total: float | None = None, unit: str = "", message: str = ""
    ) -> None:
        super().progress(done, total, unit, message)
        assert total is None or 0 <= done <= total
        self.cancelled = bool(self.stop_at) and self.stop_at in message


def start(home: Path, **more: Any) -> Context:
    about = animals_job(home, dev=0)
    return Context(about.workspace, about.folder, **more)


def measured(tiny: Path, context: Context) -> Mapping[str, Any]:
    from workbench.auto.learning_curve import run

    return run(recipe(tiny), context)  # type: ignore[arg-type]


def test_a_curve_in_a_real_worker(tiny: Path, home: Path) -> None:
    with running(home) as real:
        job = real.done(recipe(tiny))
        found = job.result or {}
        assert [one["share"] for one in found["points"]] == [25, 100]
        assert [one["rows"] for one in found["points"]] == [15, 60]
        assert (found["rows"], found["doubled"]["rows"]) == (120, 240)
        # The dev queries that the files brought are measured, too.
        assert found["measured_queries"] == 144
        assert [len(one["folds"]) for one in found["points"]] == [2, 2]
        assert found["sentence"].startswith("Twice the labels: ")
        assert 0 <= found["baseline"] <= 1
        assert real.rows(job) == []
        # No model is kept, and the time left was told.
        assert list(real.workspace.jobs.folder(job.id).rglob("*.safetensors")) == []
        assert job.progress["unit"] == "texts" and job.progress["total"] > 0


def test_what_is_finished_is_not_measured_again(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.auto import learning_curve

    context, fitted, fit = start(tmp_path), list[int](), learning_curve.fit
    whole = learning_curve.training_recipe

    def short(*asked: Any) -> Any:
        return whole(*asked).model_copy(update={"max_steps": 5})

    def counting(run: Any, *more: Any) -> Any:
        fitted.append(run.reader.counts["splits"]["train"])
        return fit(run, *more)

    monkeypatch.setattr(learning_curve, "fit", counting)
    monkeypatch.setattr(learning_curve, "training_recipe", short)
    context.stop_at = "100% of the rows, fold 1 of 2"
    with pytest.raises(JobCancelled):
        measured(tiny, context)
    assert fitted == [12, 12, 48]
    again = start(tmp_path, resuming=True)
    first = measured(tiny, again)
    assert fitted == [12, 12, 48, 48, 48]
    # Nor is it another curve.
    assert measured(tiny, start(tmp_path / "other"))["points"] == first["points"]
