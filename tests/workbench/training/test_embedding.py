"""The whole task on a tiny model with random weights: seconds, but the real trainer."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.training.fakes import (
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
)
from workbench.comparison.names import METRICS
from workbench.errors import JobCancelled, TrainingDiverged, WorkbenchError
from workbench.jobs import files
from workbench.models.contract import Contract
from workbench.recipes.train import TrainEmbeddingRecipe

# Importing torch and sentence-transformers takes 6 to 11 s; each run after that about one.
pytestmark = pytest.mark.slow

STEPS = 12


def start(home: Path, splits: Any = None, name: str = "job") -> FakeContext:
    workspace = FakeWorkspace(home, FakeReader(splits or animal_splits()))
    return FakeContext(workspace, home / "jobs" / name)


def train(context: FakeContext, tiny: Path, **values: Any) -> dict[str, Any]:
    from workbench.training.task import run

    settings = {
        "dataset": "pets",
        "model": str(tiny),
        "name": "mine",
        "learning_rate": 5e-3,
        "batch_size": 16,
        "epochs": STEPS / 6,  # 96 rows are 6 batches of 16
        "precision": "fp32",
        "device": "cpu",
        "eval_steps": 4,
    }
    return run(TrainEmbeddingRecipe(**{**settings, **values}), context)  # type: ignore[arg-type]


def weights(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def whole(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeContext, Any]:
    """One run from start to end, looked at by several tests."""
    context = start(tmp_path_factory.mktemp("whole"))
    return context, train(context, tiny)


def test_it_learns_and_says_so(whole: tuple[FakeContext, Any]) -> None:
    context, result = whole
    assert result["best"]["map@100"] > result["baseline"]["map@100"] + 0.2
    assert result["beats_base"] is True and result["recommended"] == result["model"] == "mine"
    assert result["steps"] == STEPS and result["status"] == "succeeded"
    assert set(result["best"]) == set(result["baseline"]) == set(METRICS.names())
    losses = [values["loss"] for _, values in context.of("train")]
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])
    assert context.workspace.models.added[0].verdict == ""


def test_rows_of_the_record(whole: tuple[FakeContext, Any]) -> None:
    context, result = whole
    assert context.rows[0] == (0, "baseline", result["baseline"])
    assert [step for step, _ in context.of("train")] == list(range(1, STEPS + 1))
    assert [step for step, _ in context.of("dev")] == [4, 8, 12]
    assert set(context.of("train")[0][1]) == {"loss", "learning_rate", "grad_norm", "epoch"}
    step, system = context.of("system")[-1]
    assert step == STEPS and system["steps_total"] == STEPS
    assert system["samples_per_second"] > 0 and system["memory_mb"] > 100
    best = max(values["map@100"] for _, values in context.of("dev"))
    assert result["best"]["map@100"] == best


def test_files(whole: tuple[FakeContext, Any]) -> None:
    context, result = whole
    output = context.folder / "output"
    logs = json.loads((output / "detailed_training_logs.json").read_text())
    assert [entry["step"] for entry in logs if "loss" in entry] == list(range(1, STEPS + 1))
    losses = json.loads((output / "training_losses.json").read_text())
    assert [(one["epoch"], one["steps"]) for one in losses] == [(1, 6), (2, 6)]
    assert json.loads((output / "training_summary_report.json").read_text()) == result
    config = json.loads((output / "training_config.json").read_text())
    assert config["resolved"]["precision"] == "fp32" and config["batch_size"] == 16
    assert list((output / "runs").glob("events.*"))
    kept = {path.name for path in output.glob("checkpoint-*")}
    assert kept == {f"checkpoint-{result['best_step']}", f"checkpoint-{STEPS}"}


def test_the_saved_model_is_the_best_one_and_stands_alone(
    whole: tuple[FakeContext, Any],
) -> None:
    from sentence_transformers import SentenceTransformer

    context, result = whole
    model = context.workspace.models.added[0]
    folder = context.workspace.home / model.path
    best = weights(context.folder / "output" / f"checkpoint-{result['best_step']}")
    for place in (folder, context.folder / "output" / "final"):
        assert all((value == best[name]).all() for name, value in weights(place).items())
        assert Contract.read(place) == Contract.model_validate(model.contract)
        assert not (place / "optimizer.pt").exists()
    alone = SentenceTransformer(str(folder), device="cpu")
    assert alone.encode_query(["which cat red"]).shape == (1, 32)
    assert "| MAP@100 |" in (folder / "README.md").read_text()


def test_cancelled_and_resumed_it_ends_where_an_unbroken_run_ends(
    whole: tuple[FakeContext, Any], tiny: Path, tmp_path: Path
) -> None:
    context = start(tmp_path)
    context.cancel_at = 7
    with pytest.raises(JobCancelled, match=f"step 7 of {STEPS}"):
        train(context, tiny)
    output = context.folder / "output"
    assert (output / "checkpoint-7" / "optimizer.pt").is_file()
    assert not context.workspace.models.added
    # A row that the interrupted attempt reported after its last checkpoint.
    context.metrics(8, "train", {"loss": 99.0})
    context.cancel_at, context.cancelled, context.resuming = None, False, True
    result = train(context, tiny)
    kept = files.read_object(context.folder / files.MADE) or {}
    assert kept["path"] == context.workspace.models.added[0].path
    assert kept["result"].keys() == result.keys()
    unbroken, expected = whole
    assert result["steps"] == expected["steps"] and result["baseline"] == expected["baseline"]
    assert len(context.of("baseline")) == 1
    assert [step for step, _ in context.of("train")] == list(range(1, STEPS + 1))
    for (_, one), (_, other) in zip(context.of("train"), unbroken.of("train"), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
    last = weights(unbroken.folder / "output" / f"checkpoint-{STEPS}")
    for name, value in weights(output / f"checkpoint-{STEPS}").items():
        np.testing.assert_allclose(value, last[name], atol=1e-4)


def test_resuming_without_a_checkpoint_starts_anew(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path)
    context.rows = [(0, "baseline", {"map@100": 0.1}), (3, "train", {"loss": 1.0})]
    context.resuming = True
    half = context.folder / "output" / "checkpoint-3"
    half.mkdir(parents=True)
    assert train(context, tiny)["steps"] == STEPS
    assert not half.exists() and len(context.of("baseline")) == 1
    assert [step for step, _ in context.of("train")][:2] == [1, 2]


def test_cancelled_while_dev_is_measured_the_step_is_kept(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path)
    said = context.metrics

    def stop_in_training(step: int, kind: str, values: Any) -> None:
        said(step, kind, values)
        # After the row of step 4 its evaluation begins.
        context.cancelled = context.cancelled or (kind, step) == ("train", 4)

    context.metrics = stop_in_training  # type: ignore[method-assign]
    with pytest.raises(JobCancelled):
        train(context, tiny)
    assert (context.folder / "output" / "checkpoint-4" / "trainer_state.json").is_file()
    assert not context.of("dev")


def test_cancelled_after_the_last_step_resuming_only_finishes(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path)
    said = context.progress

    def stop_at_the_end(done: float, total: Any = None, unit: str = "", message: str = "") -> None:
        said(done, total, unit, message)
        context.cancelled = context.cancelled or message.startswith("Checking")

    context.progress = stop_at_the_end  # type: ignore[method-assign]
    # Two batches of documents: the second one notices.
    with pytest.raises(JobCancelled):
        train(context, tiny)
    context.progress, context.cancelled, context.resuming = said, False, True  # type: ignore[method-assign]
    trained = len(context.of("train"))
    assert train(context, tiny)["steps"] == STEPS
    assert len(context.of("train")) == trained and len(context.workspace.models.added) == 1


def test_nan_stops_the_run_and_the_good_checkpoint_stays(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentence_transformers.sentence_transformer.losses import (
        MultipleNegativesRankingLoss as Loss,
    )

    forward, calls = Loss.forward, []

    def spoilt(self: Any, *args: Any) -> Any:
        calls.append(1)
        return forward(self, *args) * (math.nan if len(calls) > 6 else 1.0)

    monkeypatch.setattr(Loss, "forward", spoilt)
    context = start(tmp_path)
    with pytest.raises(TrainingDiverged, match="nan at step 7"):
        train(context, tiny)
    output = context.folder / "output"
    assert [path.name for path in output.glob("checkpoint-*")] == ["checkpoint-4"]
    assert all(np.isfinite(value).all() for value in weights(output / "checkpoint-4").values())
    logs = json.loads((output / "detailed_training_logs.json").read_text())
    assert [entry["step"] for entry in logs if "loss" in entry][-1] == 7


def test_no_better_than_the_original(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path)
    result = train(context, tiny, learning_rate=1e-12, eval_steps=2)
    assert result["beats_base"] is False and result["recommended"] == "tiny"
    model = context.workspace.models.added[0]
    assert (model.name, model.verdict) == ("mine", "no-better")
    assert len(context.of("dev")) == STEPS / 2


def test_dev_takes_no_more_than_its_share(tiny: Path, tmp_path: Path) -> None:
    """Of so short a run it takes more at its least, and says so; a run resumed does the same."""
    context = start(tmp_path, animal_splits(dev=80))
    result = train(context, tiny, eval_steps=None)
    assert [step for step, _ in context.of("dev")] == [STEPS] and result["dev_queries"] == 50
    [said] = [note for note in result["notes"] if note.startswith("Dev is measured 1 time")]
    assert "on 50 queries over 100 documents." in said and "more than a fifth" in said
    assert said in context.notes
    config = json.loads((context.folder / "output/training_config.json").read_text())
    assert config["resolved"]["dev"] == {"dev_queries": 50, "dev_documents": 100}
    assert config["dev_queries"] is None
    context.resuming = True
    assert train(context, tiny, eval_steps=None)["best"] == result["best"]


def test_without_dev_the_last_step_is_kept(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path, animal_splits(dev=0))
    result = train(context, tiny, epochs=1.0)
    assert (result["baseline"], result["best"], result["beats_base"]) == ({}, {}, None)
    assert result["best_step"] == result["steps"] == 6
    assert "no dev queries" in result["notes"][0]
    assert context.workspace.models.added[0].verdict == ""


def test_two_rows_train(tiny: Path, tmp_path: Path) -> None:
    splits = {
        "train": [("which cat red", ["here is red cat"], ["here is old dog"])],
        "test": [("which dog old", ["here is old dog"], [])],
    }
    result = train(start(tmp_path, splits), tiny, epochs=3.0)
    assert (result["rows"], result["steps"]) == (1, 3)


def test_early_stopping(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path)
    result = train(context, tiny, learning_rate=1e-12, eval_steps=1, early_stopping=2)
    assert result["steps"] == 3 and "Stopped early" in result["notes"][-1]
    assert result["best_step"] == 1


def test_settings_reach_the_trainer(tiny: Path, tmp_path: Path) -> None:
    context = start(tmp_path)
    result = train(
        context,
        tiny,
        precision="bf16",
        pooling="cls",
        query_prompt="query : ",
        query_max_len=5,
        passage_max_len=500,
        max_steps=3,
        gradient_accumulation=2,
        max_rows=64,
        negatives=0,
        temperature=0.02,
        warmup=1.0,
        scheduler="constant",
        save_steps=2,
    )
    assert (result["steps"], result["rows"]) == (3, 64)
    model = context.workspace.models.added[0]
    contract = Contract.model_validate(model.contract)
    assert (contract.pooling, contract.query_prompt) == ("cls", "query : ")
    assert result["training_lengths"] == {"query_max_len": 5, "passage_max_len": 64}  # it reads 64
    assert (contract.query_max_len, contract.passage_max_len) == (64, 64)  # as the base has it
    assert (contract.base_model, contract.dataset, contract.dataset_version) == ("tiny", "pets", 1)
    folder = context.workspace.home / model.path
    assert json.loads((folder / "1_Pooling" / "config.json").read_text())["pooling_mode"] == "cls"
    assert weights(folder)["embeddings.word_embeddings.weight"].dtype == np.float32
    rates = [values["learning_rate"] for _, values in context.of("train")]
    assert rates[0] < rates[1] < rates[2]


def test_fp16_without_a_gpu_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="fp16 needs a GPU"):
        train(start(tmp_path), tiny, precision="fp16")


def test_a_checkpoint_that_does_not_reproduce_is_noticed(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.training.dev import Dev

    measured = Dev.check_saved
    monkeypatch.setattr(
        Dev,
        "check_saved",
        lambda self, encoder: {n: v / 2 for n, v in measured(self, encoder).items()},
    )
    context = start(tmp_path)
    with pytest.raises(WorkbenchError, match="after loading"):
        train(context, tiny)
    assert not context.workspace.models.added


def test_collator_obeys_prompts_and_lengths(tiny: Path) -> None:
    from sentence_transformers import SentenceTransformer

    from workbench.training.rows import build_rows, load_texts
    from workbench.training.trainer import Collator

    reader = FakeReader(animal_splits())
    rows = build_rows(reader, TrainEmbeddingRecipe(dataset="pets", negatives=1))
    contract = Contract(
        query_prompt="query : ", document_prompt="passage : ", query_max_len=6, passage_max_len=8
    )
    model = SentenceTransformer(str(tiny), device="cpu")
    collate = Collator(model, *load_texts(reader, rows, contract), contract)
    features = [{name: int(column[at]) for name, column in rows.columns.items()} for at in (0, 1)]
    batch = collate(features)
    places = {"query": ("query", 0), "positive": ("document", 0), "negative_1": ("document", 2)}
    words = {
        name: model.tokenizer.convert_ids_to_tokens(batch[f"{role}_input_ids"][at])
        for name, (role, at) in places.items()
    }
    assert words["query"] == ["[CLS]", "query", ":", "which", "dog", "[SEP]"]  # cut before 'red'
    assert words["positive"][:5] == ["[CLS]", "passage", ":", "here", "is"]
    assert words["negative_1"][:3] == ["[CLS]", "passage", ":"]
    assert all(len(found) <= 8 for found in words.values())
