"""The whole of a run that decides its settings, on a tiny model with random weights."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.training.fakes import (
    FakeContext,
    FakeReader,
    animal_splits,
    animals_job,
)
from workbench.auto import decisions, halving
from workbench.auto.decisions import so_far
from workbench.comparison.trained import expected
from workbench.errors import JobCancelled
from workbench.recipes.decided import DECISIONS
from workbench.recipes.train import TrainEmbeddingRecipe

# Importing torch and sentence-transformers takes 6 to 11 s; each run after that a few.
pytestmark = pytest.mark.slow


def start(home: Path, train: int = 96, dev: int = 24, **more: Any) -> FakeContext:
    context = animals_job(home, train, dev, **more)
    context.workspace.datasets.reader.summary = {"carved": {"dev": dev}}
    return context


def train(context: FakeContext, tiny: Path, **values: Any) -> dict[str, Any]:
    from workbench.training.task import run

    settings: dict[str, Any] = {
        "dataset": "pets", "model": str(tiny), "name": "mine", "learning_rate": 5e-3,
        "precision": "fp32", "device": "cpu",
    }  # fmt: skip
    preset = TrainEmbeddingRecipe.presets["auto"]
    recipe = TrainEmbeddingRecipe.read({**preset, **settings, **values})
    return run(recipe, context)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeContext, Any]:
    context = start(tmp_path_factory.mktemp("whole"))
    return context, train(context, tiny)


def test_what_is_better_is_recommended_and_says_why(whole: tuple[FakeContext, Any]) -> None:
    context, result = whole
    assert result["best"]["map@100"] > result["baseline"]["map@100"] + 0.2
    assert result["p_value"] < 0.01 and result["beats_base"] is True
    low, high = result["ci95"]
    assert 0 < low < result["best"]["map@100"] - result["baseline"]["map@100"] < high
    assert result["recommended"] == result["model"] == "mine"
    assert (result["dev_queries"], result["folds"], result["looks"]) == (120, 3, 0)
    assert set(result["best"]) == set(result["baseline"])
    assert context.workspace.models.added[0].summary["p_value"] == result["p_value"]


def test_every_decision_is_listed_with_its_reason(whole: tuple[FakeContext, Any]) -> None:
    context, result = whole
    decided = {one["name"]: one for one in result["decisions"]}
    assert tuple(decided) == DECISIONS
    assert decided["learning_rate"] == {
        "name": "learning_rate", "value": 5e-3, "reason": "as you set it", "by": "you",
    }  # fmt: skip
    assert (decided["batch_size"]["value"], decided["max_steps"]["value"]) == (16, 24)
    assert decided["negatives"]["value"] == 1  # the data brings some
    assert decided["blend"]["by"] == "measured"
    assert all(one["reason"] and not one["reason"].endswith(".") for one in decided.values())
    config = json.loads((context.folder / "output" / "training_config.json").read_text())
    assert (config["max_steps"], config["batch_size"]) == (24, 16)
    assert result["steps"] == 24 and result["rows"] == 120  # carved dev trains in the end
    assert result["look"]["queries"] == 120 and result["look"]["documents"] > 0


def test_what_to_expect_is_said_once_before_anything_is_trained(
    whole: tuple[FakeContext, Any],
) -> None:
    context, result = whole
    told = result["forecast"]
    assert 0 < told["gain"] < told["high"] and told["runs"] == 0
    assert context.notes.count(expected(result)) == 1
    assert so_far(context.folder)["forecast"] == told


def test_the_page_sees_each_fold(whole: tuple[FakeContext, Any]) -> None:
    context, _ = whole
    steps = [step for step, _ in context.of("train")]
    assert steps == list(range(1, 4 * 24 + 1))
    assert [step for step, _ in context.of("dev")] == [24, 48, 72]
    assert [step for step, _ in context.of("baseline")] == [0]
    # Where each of them begins, for the chart; 0 of 0 is the model that is kept.
    parts = [(step, one["number"], one["of"]) for step, one in context.of("part")]
    assert parts == [(1, 1, 3), (25, 2, 3), (49, 3, 3), (73, 0, 0)]
    for said in ("Fold 2 of 3: Training", "Training on all queries: Training"):
        assert said in context.messages
    assert len(context.notes) == len(set(context.notes))


def test_nothing_that_is_saved_is_a_fold(whole: tuple[FakeContext, Any]) -> None:
    context, _ = whole
    folds = context.folder / "output" / "auto"
    assert list(folds.rglob("*.safetensors")) == [] and list(folds.rglob("checkpoint*")) == []
    assert len(list(folds.glob("round-*.npz"))) == 3


def test_a_resumed_job_repeats_no_fold_and_ends_the_same(
    whole: tuple[FakeContext, Any], tiny: Path, tmp_path: Path
) -> None:
    """Stopped in the second fold, and again while the model that is kept is trained."""
    context = start(tmp_path)
    stop_at(context, 40)
    with pytest.raises(JobCancelled):
        train(context, tiny)
    assert [path.name for path in (context.folder / "output/auto").glob("*.npz")] == ["round-1.npz"]
    for stop in (92, None):
        context.resuming, context.cancelled = True, False
        stop_at(context, stop)
        if stop:
            with pytest.raises(JobCancelled, match="a checkpoint was saved"):
                train(context, tiny)
        else:
            again = train(context, tiny)
    first_context, first = whole
    assert again["p_value"] == first["p_value"]
    assert again["forecast"] == first["forecast"]
    assert context.notes.count(expected(again)) == 1
    assert again["best"] == pytest.approx(first["best"], abs=1e-6)
    assert [step for step, _ in context.of("baseline")] == [0]
    for kind in ("train", "part"):
        assert [s for s, _ in context.of(kind)] == [s for s, _ in first_context.of(kind)]
    weights = [load(one.folder / "output" / "final") for one in (context, first_context)]
    for name, value in weights[0].items():
        assert np.allclose(value, weights[1][name], atol=1e-5), name


def stop_at(context: FakeContext, step: int | None) -> None:
    """The person asks to stop when that step of all folds together is on record."""
    record = FakeContext.metrics

    def metrics(at: int, kind: str, values: Any) -> None:
        record(context, at, kind, values)
        context.cancelled = context.cancelled or (kind == "train" and at == step)

    context.metrics = metrics  # type: ignore[method-assign]


def load(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def test_what_is_no_better_is_kept_and_not_recommended(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path)
    result = train(context, tiny, learning_rate=1e-9)
    assert result["p_value"] > 0.05 and result["beats_base"] is False
    assert (result["verdict"], result["recommended"]) == ("no-better", tiny.name)
    assert context.workspace.models.added[0].verdict == "no-better"


def test_too_few_queries_are_trained_on_and_not_measured(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path, train=15, dev=0)
    result = train(context, tiny)
    assert result["p_value"] is None and result["beats_base"] is None and result["best"] == {}
    assert result["recommended"] == tiny.name and result["steps"] == 24
    said = [note for note in result["notes"] if "nothing can be measured" in note]
    assert said and said[0] in context.notes
    assert not any("no dev queries" in note for note in result["notes"])
    assert result["unmeasured"] == said[0]


def without_negatives(context: FakeContext) -> FakeContext:
    context.workspace.datasets.reader._candidates.clear()
    return context


def test_negatives_that_are_asked_for_and_not_given_are_mined(tiny: Path, tmp_path: Path) -> None:
    context = without_negatives(start(tmp_path))
    result = train(context, tiny, auto="max_steps", negatives=1)
    decided = {one["name"]: one for one in result["decisions"]}["negatives"]
    assert (decided["value"], decided["by"]) == (1, "you")
    assert decided["reason"].startswith("as you set it; the data gives none, so they are mined")
    config = json.loads((context.folder / "output" / "training_config.json").read_text())
    assert config["resolved"]["negatives_per_row"] == 1


def test_dev_that_the_files_brought_judges_and_never_trains(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path)
    context.workspace.datasets.reader.summary = {}
    result = train(context, tiny)
    assert result["dev_queries"] == 120 and result["rows"] == 96


def test_the_other_presets_take_the_look_for_the_serving_length(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path)
    past = {"look": {"lengths": [{"length": 128, "map@100": 0.5}], "queries": 800}, "p_value": 0.01}
    values = {"baseline": {"map@100": 0.5}, "best": {"map@100": 0.6}}
    context.workspace.jobs.past = [replace(context.job, result={**past, **values})]
    result = train(context, tiny, auto="serving_length", max_steps=3)
    assert [one["name"] for one in result["decisions"]] == ["serving_length"]
    assert result["p_value"] is None and result["looks"] > 0
    assert result["passage_max_len"] == result["decisions"][0]["value"]
    assert (result["forecast"]["runs"], result["forecast"]["right"]) == (1, 1)
    assert so_far(context.folder)["forecast"] == result["forecast"]
    assert context.notes.count(expected(result)) == 1
    assert expected(result).endswith("Such forecasts were right in 1 of 1 earlier run.")
    assert not list((context.folder / "output" / "auto").glob("round-*"))


def test_the_base_at_its_best_length_has_to_be_beaten(tmp_path: Path) -> None:
    from workbench.auto.fit import Candidate, Judged
    from workbench.auto.folds import Material
    from workbench.auto.run import _chosen

    material = Material.of(FakeReader(animal_splits(96, 0)))  # type: ignore[arg-type]
    recipe = TrainEmbeddingRecipe(dataset="pets", model="m")
    trained = Candidate(1.0, 256)

    def rounds(*lengths: int) -> list[Judged]:
        found = []
        for fold in range(3):
            queries = material.queries[fold::3]
            values = {at: {recipe.metric: np.full(len(queries), at)} for at in (0.5, 0.55, 0.6)}
            at = dict.fromkeys(lengths, values[0.6])
            one = Judged(queries, values[0.5], {trained: values[0.55]}, 9, 4, 0.1, at)
            one.write(tmp_path / "kept.npz")
            kept = Judged.read(tmp_path / "kept.npz")
            assert kept is not None
            found.append(kept)
        return found

    alone, outcome = _chosen(recipe, material, rounds())
    assert alone.recommended and outcome.baseline[recipe.metric] == pytest.approx(0.5)
    chosen, outcome = _chosen(recipe, material, rounds(512))
    assert not chosen.recommended and chosen.baseline == "512"
    assert outcome.baseline[recipe.metric] == pytest.approx(0.6)


def test_the_trained_models_choose_the_serving_length(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base reads best up to another length than what is trained from it."""
    from workbench.auto import asked
    from workbench.auto import run as module

    looked, judged = asked.look_of, module.judge

    def shorter_is_better_for_the_base(*given: Any) -> Any:
        look = looked(*given)
        few = np.zeros(len(look.queries))
        return replace(look, values={look.own: few, look.own // 2: few + 0.5})

    def longer_is_better_for_the_trained(*given: Any, **named: Any) -> Any:
        found = judged(*given, **named)
        longest = max(one.length for one in found.candidates)
        assert found.lengths.keys() == {longest}
        candidates = {
            one: {name: at + (one.length == longest) for name, at in values.items()}
            for one, values in found.candidates.items()
        }
        return replace(found, candidates=candidates)

    monkeypatch.setattr(asked, "look_of", shorter_is_better_for_the_base)
    monkeypatch.setattr(module, "judge", longer_is_better_for_the_trained)
    context = start(tmp_path)
    result = train(context, tiny, max_rows=60)
    own = max(one["length"] for one in result["look"]["lengths"])
    decision = result["decisions"][0]
    assert (decision["name"], decision["value"], decision["by"]) == (
        "serving_length", own, "measured",
    )  # fmt: skip
    assert f" at {own // 2} tokens, " in decision["reason"]
    assert result["passage_max_len"] == own
    assert context.workspace.models.added[0].contract["passage_max_len"] == own


def test_minutes_bound_the_steps(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path)
    result = train(context, tiny, minutes=0.001)
    steps = next(one for one in result["decisions"] if one["name"] == "max_steps")
    assert steps["value"] == result["steps"] < 24 and "minutes" in steps["reason"]
    assert result["p_value"] is None and "nothing is measured" in steps["reason"]
    assert result["recommended"] == tiny.name and "no time" in result["unmeasured"]


def test_one_of_several_processes_takes_the_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait for what it found: all of them would write the same files."""
    from types import SimpleNamespace as Some

    from workbench.auto import asked as module

    taken: list[int] = []
    monkeypatch.setattr(module, "taken", lambda *_, **__: taken.append(1) or "the look")
    training: Any = Some(start=lambda *_: None)
    context = start(tmp_path)
    recipe = TrainEmbeddingRecipe(dataset="pets", model="m")
    about = {"context": context, "recipe": recipe, "reader": None, "base": None}
    first = Some(**about, output=tmp_path, group=Some(tell=lambda compute: compute()))
    other = Some(**about, output=tmp_path, group=Some(tell=lambda _compute: "what it was told"))
    assert module.look_of(first, training) == "the look"  # type: ignore[arg-type, comparison-overlap]
    assert module.look_of(other, training) == "what it was told"  # type: ignore[arg-type, comparison-overlap]
    assert taken == [1]


def try_with_few(patch: pytest.MonkeyPatch) -> None:
    """Settings are tried with few queries, and no step is timed."""
    from workbench.auto.run import _Deciding

    for where, name, value in (
        (decisions, "FOLDED", 60), (decisions, "FEWEST_HELD", 30), (halving, "CHOOSING", 30),
        (halving, "MOST_CHOOSING", 40), (halving, "MOST", 4),
        (_Deciding, "_timed", lambda *_: 1.0),
    ):  # fmt: skip
        patch.setattr(where, name, value)


def test_where_there_is_time_settings_are_tried_and_a_resumed_job_goes_on_with_them(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try_with_few(monkeypatch)
    context = start(tmp_path)
    stop_when(context, "Trying settings: 2 of 4: Training")
    with pytest.raises(JobCancelled):
        train(context, tiny, minutes=1000)
    file = context.folder / "output" / "auto" / halving.FILE
    (first,) = json.loads(file.read_text())["trials"]
    assert first["settings"] == {"negatives": 1, "temperature": 0.05} and len(first["values"]) == 3
    assert first["values"][2] > first["values"][0]
    context.resuming, context.cancelled = True, False
    context.messages.clear()
    stop_when(context, "never")
    result = train(context, tiny, minutes=1000)
    assert "Trying settings: 1 of 4: Training" not in context.messages
    assert "Trying settings: 4 of 4: Measuring" in context.messages
    trials = json.loads(file.read_text())["trials"]
    assert [one["settings"] for one in trials] == [
        {"negatives": 1, "temperature": 0.05}, {"negatives": 0, "temperature": 0.05},
        {"negatives": 1, "temperature": 0.02}, {"negatives": 1, "temperature": 0.1},
    ]  # fmt: skip
    assert trials[0] == first
    decided = {one["name"]: one for one in result["decisions"]}
    chosen = {one: decided[one]["value"] for one in ("negatives", "temperature")}
    assert chosen in [one["settings"] for one in trials if len(one["values"]) == 3]
    assert all("on 30 queries" in decided[one]["reason"] for one in chosen)
    assert {decided[one]["by"] for one in chosen} == {"measured"}
    assert decided["learning_rate"]["by"] == "you"
    config = json.loads((context.folder / "output" / "training_config.json").read_text())
    assert {one: config[one] for one in chosen} == chosen
    # Of what was tried the chart has nothing, and nothing is saved.
    assert [step for step, _ in context.of("train")] == list(range(1, 2 * 24 + 1))
    assert result["dev_queries"] == 30 and result["folds"] == 1
    assert list(file.parent.rglob("*.safetensors")) == []


def stop_when(context: FakeContext, said: str) -> None:
    """The person asks to stop when this is the progress."""
    tell = FakeContext.progress

    def progress(done: float, total: Any = None, unit: str = "", message: str = "") -> None:
        tell(context, done, total, unit, message)
        context.cancelled = context.cancelled or message == said

    context.progress = progress  # type: ignore[method-assign]
