"""Batches that a thread makes ahead are the same ones; a step's numbers that are fetched later are
its own."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workbench.training.fakes import (
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
)
from workbench.errors import JobCancelled, TrainingDiverged
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe
from workbench.training import trainer
from workbench.training.batches import Ahead, with_own_tokenizer
from workbench.training.distributed import ProcessGroup
from workbench.training.trainer import Collator

# torch and a tiny model.
pytestmark = pytest.mark.slow

#: Seconds; only a test that fails waits so long.
LIMIT = 120
STEPS = 8


def start(home: Path) -> FakeContext:
    return FakeContext(FakeWorkspace(home, FakeReader(animal_splits(dev=8))), home / "job")


def train(context: FakeContext, tiny: Path, kind: str = "embedding", **values: Any) -> Any:
    from workbench.training.task import run

    settings: dict[str, Any] = {
        "dataset": "pets",
        "model": str(tiny),
        "learning_rate": 5e-3,
        "batch_size": 16,
        "max_steps": STEPS,
        "precision": "fp32",
        "device": "cpu",
        "eval_steps": 3,
    }
    if kind == "reranker":
        more = {"first_stage": "bm25", "candidates": 5, "negatives": 2}
        return run(TrainRerankerRecipe(**{**settings, **more, **values}), context)  # type: ignore[arg-type]
    return run(TrainEmbeddingRecipe(**{**settings, **values}), context)  # type: ignore[arg-type]


def test_items_are_made_ahead_by_a_thread_and_handed_over_in_order() -> None:
    made, third = [], threading.Event()

    def source() -> Any:
        for at in range(5):
            made.append((at, threading.current_thread() is threading.main_thread()))
            if at == 2:
                third.set()
            yield at

    with ThreadPoolExecutor(1) as thread:
        ahead = Ahead(source(), thread, 2)
        assert next(ahead) == 0
        assert third.wait(LIMIT)
        assert made[:3] == [(0, False), (1, False), (2, False)]
        assert list(ahead) == [1, 2, 3, 4]
        assert next(ahead, None) is None


def test_what_making_one_meets_is_raised_in_its_turn() -> None:
    def source() -> Any:
        yield 0
        raise OSError("gone")

    with ThreadPoolExecutor(1) as thread:
        ahead = Ahead(source(), thread, 3)
        assert next(ahead) == 0
        with pytest.raises(OSError, match="gone"):
            next(ahead)


def test_a_model_with_its_own_tokenizer_has_the_same_weights(tiny: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny), device="cpu")
    own = with_own_tokenizer(model)
    assert own.tokenizer is not model.tokenizer
    assert all(a is b for a, b in zip(own.parameters(), model.parameters(), strict=True))
    long = ["which cat red " * 20]
    for length in (5, 9):
        found, wanted = (one.preprocess(long, max_length=length) for one in (own, model))
        assert torch.equal(found["input_ids"], wanted["input_ids"])


@pytest.mark.parametrize(
    ("kind", "values"),
    [("embedding", {}), ("embedding", {"gradient_accumulation": 2}), ("reranker", {})],
    ids=["embedding", "accumulated", "reranker"],
)
def test_a_run_with_batches_made_ahead_is_the_same_run(
    kind: str, values: dict[str, Any], tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, ahead = start(tmp_path / "plain"), start(tmp_path / "ahead")
    train(plain, tiny, kind, **values)
    monkeypatch.setattr(trainer, "BY_THEMSELVES", frozenset({"cpu"}))
    ahead.cancel_at = 4
    with pytest.raises(JobCancelled):
        train(ahead, tiny, kind, **values)
    ahead.cancel_at, ahead.cancelled, ahead.resuming = None, False, True
    train(ahead, tiny, kind, **values)
    # Dropout draws from the same random numbers; a resumed run's begin where it was stopped.
    plain_rows, rows = ([row for row in one.rows if row[1] != "system"] for one in (plain, ahead))
    assert rows == plain_rows
    assert not [one for one in threading.enumerate() if one.name.startswith("batches")]


def test_a_step_s_numbers_are_fetched_with_those_of_others_and_before_anything_is_saved(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "BY_THEMSELVES", frozenset({"cpu"}))
    monkeypatch.setattr(trainer, "FETCH_EVERY", 1e9)
    context, seen = start(tmp_path), []
    said, save = context.progress, trainer.EmbeddingTrainer._save_checkpoint

    def progress(done: float, total: Any = None, unit: str = "", message: str = "") -> None:
        said(done, total, unit, message)
        if message == "Training" and done:
            seen.append((int(done), len(context.of("train"))))

    def saved(self: Any, *arguments: Any) -> None:
        assert len(context.of("train")) == self.state.global_step
        save(self, *arguments)

    context.progress = progress  # type: ignore[method-assign]
    monkeypatch.setattr(trainer.EmbeddingTrainer, "_save_checkpoint", saved)
    train(context, tiny)
    # Told at the end of each step: those of the steps before the last look at dev.
    assert seen == [(step, (step - 1) // 3 * 3) for step in range(1, STEPS + 1)]
    assert [step for step, _ in context.of("train")] == list(range(1, STEPS + 1))
    assert all(values["loss"] > 0 and "grad_norm" in values for _, values in context.of("train"))


def test_a_loss_that_is_no_number_ends_the_run_at_its_step_and_is_not_saved(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "BY_THEMSELVES", frozenset({"cpu"}))
    monkeypatch.setattr(trainer, "FETCH_EVERY", 1e9)
    compute, calls = trainer.EmbeddingTrainer.compute_loss, []

    def spoilt(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return compute(self, *arguments, **options) * (math.nan if len(calls) == 4 else 1.0)

    monkeypatch.setattr(trainer.EmbeddingTrainer, "compute_loss", spoilt)
    context = start(tmp_path)
    with pytest.raises(TrainingDiverged, match="nan at step 4"):
        train(context, tiny)
    assert [one.name for one in (context.folder / "output").glob("checkpoint-*")] == [
        "checkpoint-3"
    ]


def test_batches_do_not_wait_for_a_gpu() -> None:
    from workbench.training import run

    make: Any = run.training_arguments
    for device in ("cpu", "cuda"):
        made = make(
            dict,
            TrainEmbeddingRecipe(dataset="pets"),
            Path(),
            device=device,
            precision="fp32",
            group=ProcessGroup(),
        )
        waits = not made.get("accelerator_config", {}).get("non_blocking", False)
        assert waits is (device == "cpu") is not made["dataloader_pin_memory"]


def test_what_a_batch_meets_ends_the_run(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "BY_THEMSELVES", frozenset({"cpu"}))
    made, where = Collator.__call__, []

    def broken(self: Collator, features: Any) -> Any:
        where.append(threading.current_thread() is threading.main_thread())
        if len(where) == 6:
            raise OSError("gone")
        return made(self, features)

    monkeypatch.setattr(Collator, "__call__", broken)
    context = start(tmp_path)
    with pytest.raises(OSError, match="gone"):
        train(context, tiny)
    assert where == [False] * 6
    assert [step for step, _ in context.of("train")] == [1, 2, 3, 4]
    assert not [one for one in threading.enumerate() if one.name.startswith("batches")]
