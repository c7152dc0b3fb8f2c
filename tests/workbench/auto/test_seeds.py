"""The same run with several seeds: measured, averaged, kept by the rule, stopped and taken up."""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.training.fakes import (
    FakeContext,
    animals_job,
)
from workbench.errors import BadInput, JobCancelled
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.training.prepare import prepare_train

# Importing torch and sentence-transformers takes 6 to 11 s; each training after that about one.
pytestmark = pytest.mark.slow


def recipe(tiny: Path | str, **values: Any) -> TrainEmbeddingRecipe:
    settings: dict[str, Any] = {
        "dataset": "pets", "model": str(tiny), "batch_size": 16, "max_steps": 6, "seeds": 3,
        "learning_rate": 2e-3, "precision": "fp32", "device": "cpu", "name": "tuned",
    }  # fmt: skip
    return TrainEmbeddingRecipe.read({**settings, **values})


def trained(tiny: Path, context: FakeContext, **values: Any) -> dict[str, Any]:
    from workbench.auto.seeds import run

    return run(recipe(tiny, **values), context)  # type: ignore[arg-type]


def test_several_seeds_make_one_model(tiny: Path, tmp_path: Path) -> None:
    context = animals_job(tmp_path)
    found = trained(tiny, context)
    seeds = found["seeds"]
    assert [one["seed"] for one in seeds["values"]] == [42, 43, 44]
    assert len({one["value"] for one in seeds["values"]}) > 1
    assert seeds["mean"] > seeds["baseline"]
    assert seeds["kept"] == ("average" if seeds["average"] >= seeds["mean"] else "first")
    value = seeds["average"] if seeds["kept"] == "average" else seeds["values"][0]["value"]
    assert found["best"]["map@100"] == pytest.approx(value)
    assert found["beats_base"] == (found["p_value"] < 0.05)
    assert found["notes"][0] == seeds["sentence"]
    [model] = context.workspace.models.added
    assert (model.name, found["steps"]) == ("tuned", 6)
    assert [step for step, _ in context.of("dev")] == [6, 12, 18]
    # One model is kept, and nothing of the seeds' weights.
    assert list(context.folder.rglob("*.pt")) == []


def test_a_finished_seed_is_not_trained_again(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.auto import seeds

    fitted, fit = list[int](), seeds.fit

    def counting(run: Any, *more: Any) -> Any:
        fitted.append(run.recipe.seed)
        if len(fitted) == 2:
            raise JobCancelled("Stopped.")
        return fit(run, *more)

    monkeypatch.setattr(seeds, "fit", counting)
    with pytest.raises(JobCancelled):
        trained(tiny, animals_job(tmp_path), seeds=2)
    found = trained(tiny, animals_job(tmp_path, resuming=True), seeds=2)
    assert fitted == [42, 43, 43]
    assert len(found["seeds"]["values"]) == 2


def test_of_adapters_the_first_seeds_is_kept(tiny: Path, tmp_path: Path) -> None:
    context = animals_job(tmp_path)
    found = trained(tiny, context, method="lora", seeds=2)
    seeds = found["seeds"]
    assert (seeds["kept"], seeds["average"]) == ("first", None)
    assert found["best"]["map@100"] == pytest.approx(seeds["values"][0]["value"])


@pytest.mark.parametrize(
    ("values", "dev", "said"),
    [
        ({}, 0, "the data set has none"),
        ({"devices": "2"}, 24, "on one device"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    values: dict[str, Any], dev: int, said: str, tmp_path: Path
) -> None:
    workspace: Any = animals_job(tmp_path, dev=dev).workspace
    with pytest.raises(BadInput, match=said):
        prepare_train(recipe("x", **values), workspace, True)
