"""Two CPU processes train one model: the same steps as one with a batch twice as large."""

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from storage.records import JobStatus
from tests.workbench.training.fakes import save_tiny_model
from tests.workbench.training.real import Real, assert_same, running, wait_until
from workbench.jobs.processes import pid_of
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe

# Real workers, two per job.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running(tmp_path_factory.mktemp("together") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without dropout, which two processes draw differently from one."""
    folder = save_tiny_model(tmp_path_factory.mktemp("tiny") / "bert")
    for path in folder.rglob("config.json"):
        config = json.loads(path.read_text())
        if "hidden_dropout_prob" in config:
            config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
            path.write_text(json.dumps(config))
    return folder


def embedding(model: Path, **values: Any) -> TrainEmbeddingRecipe:
    settings: dict[str, Any] = {
        "dataset": "pets",
        "model": str(model),
        "learning_rate": 5e-3,
        "epochs": 2.0,
        "precision": "fp32",
        "device": "cpu",
        "eval_steps": 5,
        "save_steps": 1,
        "checkpoints_kept": 100,
        "query_max_len": 16,
        "passage_max_len": 32,
    }
    return TrainEmbeddingRecipe(**{**settings, **values})


@pytest.fixture(scope="module")
def two(real: Real, tiny: Path) -> Any:
    recipe = embedding(
        tiny, name="two", devices="2", batch_size=8, negatives_cross_device=True, epochs=6.0
    )
    return real.done(recipe)


def test_two_with_half_the_batch_are_one_with_the_whole(real: Real, tiny: Path, two: Any) -> None:
    """Gathered negatives: each query sees the documents of both halves, as in one batch."""
    one = real.done(embedding(tiny, name="one", batch_size=16, max_steps=two.result["steps"]))
    ours, alone = real.rows(two), real.rows(one)
    assert [(step, kind, sorted(numbers)) for step, kind, numbers in ours] == [
        (step, kind, sorted(numbers)) for step, kind, numbers in alone
    ]
    # One epoch of 120 rows is 8 batches for both; the last one has 8 rows, 4 for each process.
    for (step, kind, numbers), (_, _, others) in zip(ours, alone, strict=True):
        if kind == "train" and step <= 8:
            assert numbers["loss"] == pytest.approx(others["loss"], abs=1e-3), step
    assert_same(real.weights(two, 5), real.weights(one, 5), 1e-3)
    assert two.result.keys() == one.result.keys()
    assert real.workspace.models.exists("two")


def test_cancel_and_resume_end_with_the_same_weights(real: Real, tiny: Path, two: Any) -> None:
    jobs = real.workspace.jobs
    recipe = TrainEmbeddingRecipe.read(two.recipe).model_copy(update={"name": "again"})
    job = jobs.submit(recipe)
    # In a later epoch than the first, whose order of rows is another.
    wait_until(lambda: len(real.rows(jobs.get(job.id))) > 8, "an epoch is over")
    jobs.cancel(job.id)
    assert real.supervisor.run_until(job.id).status is JobStatus.CANCELLED
    done = [step for step, kind, _ in real.rows(job) if kind == "train"]
    jobs.resume(job.id)
    again = real.finished(job)
    assert again.attempt == 2
    steps = two.result["steps"]
    assert 7 < len(done) < steps
    assert [step for step, kind, _ in real.rows(again) if kind == "train"] == [*range(1, steps + 1)]
    assert_same(real.weights(again, steps), real.weights(two, steps), 1e-5)


@pytest.mark.usefixtures("cold_processes")
def test_no_process_is_left_when_the_workers_are_killed(real: Real, tiny: Path) -> None:
    """torchrun gives each worker a session of its own: the group's end does not reach it."""
    jobs = real.workspace.jobs
    job = jobs.submit(embedding(tiny, name="", devices="2", batch_size=4, epochs=900.0))
    wait_until(lambda: bool(real.rows(jobs.get(job.id))), "it has begun")
    handle = jobs.get(job.id).handle
    assert handle is not None
    runner = pid_of(handle.removeprefix("local:"))
    started = psutil.Process(runner).children(recursive=True)
    workers = [one for one in started if "workbench.worker" in one.cmdline()[-3:]]
    launcher = psutil.Process(runner).children()[0]
    assert len(workers) >= 2
    launcher.kill()
    _, alive = psutil.wait_procs(started, timeout=300)
    assert not alive
    ended = real.supervisor.run_until(job.id)
    assert ended.status in (JobStatus.FAILED, JobStatus.INTERRUPTED)


def test_a_reranker_learns_on_two(real: Real, tiny: Path) -> None:
    values = embedding(tiny, name="order", devices="2", batch_size=4, epochs=1.0).model_dump()
    values = {key: one for key, one in values.items() if key in TrainRerankerRecipe.model_fields}
    changes = {"objective": "bce", "first_stage": "bm25", "candidates": 10, "negatives": 3}
    job = real.done(TrainRerankerRecipe.read({**values, **changes, "learning_rate": 2e-3}))
    assert job.result is not None
    assert job.result["rows"] == 120
    assert job.result["steps"] == 15
    losses = [numbers["loss"] for _, kind, numbers in real.rows(job) if kind == "train"]
    assert sum(losses[-3:]) < sum(losses[:3])


def test_too_few_rows_for_all_are_refused(real: Real, tiny: Path) -> None:
    job = real.workspace.jobs.submit(embedding(tiny, name="", devices="2", batch_size=64))
    ended = real.supervisor.run_until(job.id)
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    assert "do not fill a batch of 64 on each of 2 devices" in ended.error["message"]
