"""What a trained model is worth on a general data set, beside its base."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace as Some
from typing import Any

import pytest

from tests.workbench.training.fakes import (
    ANIMALS,
    TRAITS,
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
    save_tiny_model,
)
from workbench.auto import forgetting
from workbench.comparison import trained
from workbench.data.job import SAMPLE_FORMAT
from workbench.errors import JobCancelled, NotFound
from workbench.recipes.train import TrainEmbeddingRecipe

# Importing torch and sentence-transformers takes 6 to 11 s; each training after that about one.
pytestmark = pytest.mark.slow

SAMPLE = "stdlib-code"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(autouse=True)
def ample(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of a second has no tenth to give."""
    monkeypatch.setattr(forgetting, "SHARE", 100.0)


def sample() -> FakeReader:
    """Words that the base finds as they stand, and that training on pets leads elsewhere."""
    rows: list[Any] = [
        (f"find {animal} {trait}", [f"find {animal} {trait} today"], [])
        for animal in ANIMALS
        for trait in TRAITS[:4]
    ]
    found = FakeReader({"train": rows[:4], "test": rows[4:]})
    found.name, found.summary = SAMPLE, {"format": SAMPLE_FORMAT}
    return found


def start(home: Path, general: FakeReader | None = None, **more: Any) -> FakeContext:
    context = FakeContext(FakeWorkspace(home, FakeReader(animal_splits())), home / "job", **more)
    if general:
        context.workspace.datasets.others[general.name] = general
    return context


def train(context: FakeContext, tiny: Path, **values: Any) -> dict[str, Any]:
    from workbench.auto.seeds import run

    settings: dict[str, Any] = {
        "dataset": "pets", "model": str(tiny), "name": "mine", "learning_rate": 5e-3, "auto": "",
        "precision": "fp32", "device": "cpu", "batch_size": 16, "max_steps": 12,
    }  # fmt: skip
    return run(TrainEmbeddingRecipe.read({**settings, **values}), context)  # type: ignore[arg-type]


def value_of(folder: Path, general: FakeReader) -> float:
    """What a model's folder is worth on the same queries over all documents."""
    from workbench.evaluation.measure import measure
    from workbench.evaluation.pool import whole_pool
    from workbench.models.load import load_model
    from workbench.models.locate import locate_folder

    workspace: Any = FakeWorkspace(folder, general)
    loaded = load_model(locate_folder(workspace, folder), device="cpu", precision="fp32")
    found: Any = measure(loaded, whole_pool(general, "test"))  # type: ignore[arg-type]
    return float(found.scores.means()["map@100"])


@pytest.fixture(scope="module")
def run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeContext, Any]:
    context = start(tmp_path_factory.mktemp("run"), sample())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(forgetting, "SHARE", 100.0)
        return context, train(context, tiny)


def test_the_result_says_what_it_is_worth_elsewhere(run: tuple[FakeContext, Any]) -> None:
    context, result = run
    found = result["forgetting"]
    assert (found["dataset"], found["split"], found["queries"]) == (SAMPLE, "test", 60)
    assert [one["ratio"] for one in found["curve"]] == [0.0, 0.25, 0.5, 0.75, 1.0]
    values = [one["general"] for one in found["curve"]]
    assert len(set(values)) > 2
    assert found["delta"] == pytest.approx(values[-1] - values[0])
    low, high = found["ci95"]
    assert low <= found["delta"] <= high and 0 < found["p_value"] <= 1
    # Dev said what it is worth on the person's own queries, at both ends.
    own = [one["own"] for one in found["curve"]]
    ends = [result[name]["map@100"] for name in ("untrained", "best")]
    assert own == [ends[0], None, None, None, ends[1]]
    assert context.workspace.models.added[0].summary["forgetting"] == found
    assert trained.forgotten(result) in (context.folder / "output/final/README.md").read_text()


def test_the_ends_of_the_curve_are_the_models_themselves(
    run: tuple[FakeContext, Any], tiny: Path
) -> None:
    context, result = run
    values = [one["general"] for one in result["forgetting"]["curve"]]
    assert result["forgetting"]["documents"] == 64  # all there are
    assert values[0] == pytest.approx(value_of(tiny, sample()))
    assert values[-1] == pytest.approx(value_of(context.folder / "output/final", sample()))


def test_an_adapter_is_scaled_and_a_blend_is_a_part_of_what_was_trained(
    tiny: Path, tmp_path: Path
) -> None:
    """The kept model stands at its share, and the whole of what was trained at 1."""
    import torch

    from workbench.training.averaging import ends, put_between

    class Model(torch.nn.Module):
        def __init__(self, value: float, *names: str) -> None:
            super().__init__()
            for name in names:
                self.register_module(name, torch.nn.Linear(1, 1, bias=False))
            for one in self.parameters():
                torch.nn.init.constant_(one, value)

    base, saved = Model(1.0, "layer"), Model(2.0, "layer")
    before, tuned = ends(base, saved)
    put_between(saved, before, tuned, 1.0 / 0.5)
    assert saved.layer.weight.item() == pytest.approx(3.0)
    beside = Model(2.0, "layer", "lora_A", "lora_B")
    before, tuned = ends(base, beside)
    put_between(beside, before, tuned, 0.25)
    assert [one.item() for one in beside.parameters()] == [2.0, 2.0, 0.5]


@pytest.mark.parametrize("method", ["lora"])
def test_an_adapter_is_measured_too(method: str, tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path, sample())
    result = train(context, tiny, method=method, learning_rate=5e-2, max_steps=4)
    values = [one["general"] for one in result["forgetting"]["curve"]]
    assert values[0] == pytest.approx(value_of(tiny, sample()))
    assert len(values) == 5 and values[-1] != values[0]


def test_without_a_general_set_nothing_is_said(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path)
    result = train(context, tiny, max_steps=2)
    assert "forgetting" not in result and trained.forgotten(result) == ""
    assert not any("orget" in note for note in context.notes)


def test_which_set_is_the_general_one(tmp_path: Path) -> None:
    context = start(tmp_path, sample())
    recipe = TrainEmbeddingRecipe(dataset="pets", model="m")
    run: Any = Some(context=context, recipe=recipe, reader=context.workspace.datasets.reader)

    def chosen(**values: Any) -> str:
        asked = recipe.model_copy(update=values)
        return forgetting.general_set(Some(**{**vars(run), "recipe": asked}))  # type: ignore[arg-type]

    run.reader.summary = {}
    assert chosen() == SAMPLE
    assert chosen(general="none") == chosen(general="pets") == ""
    assert chosen(general="another") == "another"
    # What is trained on is made of it, or is another version of it.
    run.reader.summary = {"format": f"csv + {SAMPLE_FORMAT}"}
    assert chosen() == ""


def test_what_goes_wrong_is_said_and_costs_nothing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = start(tmp_path, sample())
    read = context.workspace.datasets.read

    def gone(name: str, version: int | None = None) -> FakeReader:
        if name == SAMPLE:
            raise NotFound("There is no data set named 'stdlib-code'.")
        return read(name, version)

    monkeypatch.setattr(context.workspace.datasets, "read", gone)
    result = train(context, tiny, max_steps=2)
    said = result["forgetting"]["note"]
    assert "There is no data set named" in said and said in context.notes
    assert trained.forgotten(result) == said and trained.forgetting_table(result)[1] == []
    assert result["status"] == "succeeded" and context.workspace.models.added


def test_it_takes_a_tenth_of_the_run_at_most(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "SHARE", 0.1)
    context = start(tmp_path, sample())
    result = train(context, tiny, max_steps=2)
    assert result["forgetting"].keys() == {"dataset", "note"}
    assert "more than a tenth" in result["forgetting"]["note"]
    from workbench.auto.forgetting import _room
    from workbench.training.run import Outcome, Tested

    models = context.workspace.models.added
    from workbench.models.contract import Contract

    contract = Contract(**models[0].contract)
    recipe = TrainEmbeddingRecipe(dataset="pets", model="m", batch_size=16, max_steps=24)
    reader = context.workspace.datasets.reader
    decided: Any = Some(run=Some(reader=reader, recipe=recipe, group=Some(size=1)), blend=1.0)
    room = [
        _room(decided, Some(contract=contract), outcome, sample(), "test")  # type: ignore[arg-type]
        for outcome in (
            Outcome.unmeasured("map@100"),
            replace(Outcome.unmeasured("map@100"), tested=Tested(0.1, (0.0, 0.1), False, 9, 3)),
        )
    ]
    # Three folds and the model that is kept: three times the training.
    assert 0 < room[0] < 100 and room[1] == pytest.approx(3 * room[0], abs=3)


def test_a_job_that_was_stopped_there_goes_on(
    run: tuple[FakeContext, Any], tiny: Path, tmp_path: Path
) -> None:
    context = start(tmp_path, sample())
    progress = FakeContext.progress

    def stop(done: float, total: float | None = None, unit: str = "", message: str = "") -> None:
        progress(context, done, total, unit, message)
        context.cancelled = "forgetting" in message

    context.progress = stop  # type: ignore[method-assign]
    with pytest.raises(JobCancelled):
        train(context, tiny)
    assert context.workspace.models.added == []
    context.progress = progress.__get__(context)  # type: ignore[method-assign]
    context.cancelled, context.resuming = False, True
    again = train(context, tiny)["forgetting"]
    first = run[1]["forgetting"]
    assert [one["general"] for one in again["curve"]] == pytest.approx(
        [one["general"] for one in first["curve"]]
    )


def test_several_seeds_are_measured_as_the_one_that_is_kept(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path, sample())
    found = train(context, tiny, seeds=2, max_steps=3)["forgetting"]
    assert len(found["curve"]) == 5 and found["kept"] == 1.0
