"""Checkpoints are written while training goes on, and hold what was there at their step."""

import errno
import shutil
import threading
from collections.abc import Callable
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
from workbench.errors import JobCancelled
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.training import checkpoints
from workbench.training.checkpoints import Copies, Writer, newest_checkpoint
from workbench.training.trainer import EmbeddingTrainer

# Importing torch and sentence-transformers takes 6 to 11 s; each run after that about one.
pytestmark = pytest.mark.slow

STEPS = 8
#: Seconds; only a test that fails waits so long.
LIMIT = 120


@pytest.fixture(autouse=True)
def _copies_are_worth_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so small a model it depends on the moment."""
    monkeypatch.setattr(checkpoints, "WORTH", 0.0)


@pytest.fixture
def context(tmp_path: Path) -> FakeContext:
    return FakeContext(FakeWorkspace(tmp_path, FakeReader(animal_splits())), tmp_path / "job")


def train(context: FakeContext, tiny: Path) -> Any:
    from workbench.training.task import run

    recipe = TrainEmbeddingRecipe(
        dataset="pets",
        model=str(tiny),
        learning_rate=5e-3,
        batch_size=16,
        max_steps=STEPS,
        precision="fp32",
        device="cpu",
        eval_steps=4,
        save_steps=2,
        checkpoints_kept=100,
    )
    return run(recipe, context)  # type: ignore[arg-type]


def before_saving(
    monkeypatch: pytest.MonkeyPatch, look: Callable[[EmbeddingTrainer, Path], None]
) -> None:
    """Call ``look`` wherever a checkpoint's model is written, before it is."""
    save = EmbeddingTrainer._save_model

    def first(self: EmbeddingTrainer, model: Any, folder: Path) -> None:
        look(self, folder)
        save(self, model, folder)

    monkeypatch.setattr(EmbeddingTrainer, "_save_model", first)


def at_saving(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    """step -> the weights and the optimizer's numbers when the checkpoint was asked for."""
    found = {}
    save = EmbeddingTrainer._save_checkpoint

    def first(self: EmbeddingTrainer, *arguments: Any) -> None:
        found[self.state.global_step] = (
            {name: one.clone() for name, one in self.model[0].model.state_dict().items()},
            {
                at: one["exp_avg"].clone()
                for at, one in self.optimizer.state_dict()["state"].items()
            },
        )
        save(self, *arguments)

    monkeypatch.setattr(EmbeddingTrainer, "_save_checkpoint", first)
    return found


def test_steps_go_on_while_one_is_written_and_it_is_that_of_its_step(
    context: FakeContext, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped, in_time = threading.Event(), []
    said = context.progress

    def progress(done: float, total: Any = None, unit: str = "", message: str = "") -> None:
        said(done, total, unit, message)
        if unit == "steps" and done == 3:
            stepped.set()

    def wait(_: Any, folder: Path) -> None:
        if folder.name == "unfinished-2":
            in_time.append(stepped.wait(LIMIT))

    context.progress = progress  # type: ignore[method-assign]
    before_saving(monkeypatch, wait)
    there = at_saving(monkeypatch)
    result = train(context, tiny)
    assert in_time == [True] and result["steps"] == STEPS
    output = context.folder / "output"
    assert {path.name for path in output.glob("*-[0-9]*")} == {
        f"checkpoint-{step}" for step in (2, 4, 6, 8)
    }
    from safetensors.torch import load_file

    for step, (weights, averages) in there.items():
        folder = output / f"checkpoint-{step}"
        for name, one in load_file(folder / "model.safetensors").items():
            assert torch.equal(one, weights[name]), (step, name)
        state = torch.load(folder / "optimizer.pt", weights_only=True)["state"]
        for at, one in averages.items():
            assert torch.equal(state[at]["exp_avg"], one), (step, at)
        scheduled = torch.load(folder / "scheduler.pt", weights_only=True)
        assert scheduled["last_epoch"] == step
        assert (folder / "rng_state.pth").is_file()


def test_a_run_killed_while_it_writes_goes_on_from_the_checkpoint_before(
    context: FakeContext, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, killed = context.folder / "output", tmp_path / "killed"

    def copy_all(_: Any, folder: Path) -> None:
        if folder.name == "unfinished-6":
            (folder / "model.safetensors").write_bytes(b"half")
            shutil.copytree(output, killed)

    before_saving(monkeypatch, copy_all)
    train(context, tiny)
    assert (killed / "unfinished-6").is_dir()
    assert newest_checkpoint(killed) == (4, killed / "checkpoint-4")
    assert not (killed / "unfinished-6").exists()
    assert newest_checkpoint(output) == (STEPS, output / f"checkpoint-{STEPS}")


@pytest.mark.parametrize("step", [2, STEPS])
def test_what_writing_meets_ends_the_run(
    step: int, context: FakeContext, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")

    def refuse(_: Any, folder: Path) -> None:
        if folder.name == f"unfinished-{step}":
            (folder / "model.safetensors").write_bytes(b"half")
            raise full

    before_saving(monkeypatch, refuse)
    with pytest.raises(OSError, match="No space left") as met:
        train(context, tiny)
    assert met.value is full
    output = context.folder / "output"
    assert not list(output.glob("unfinished-*"))
    assert not (output / f"checkpoint-{step}").exists()
    assert not context.workspace.models.added


def test_a_cancelled_run_ends_when_its_checkpoint_is_whole(
    context: FakeContext, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.cancel_at = 3
    written = []
    before_saving(monkeypatch, lambda _, folder: written.append((folder.name, here())))
    with pytest.raises(JobCancelled, match="a checkpoint was saved"):
        train(context, tiny)
    assert written == [("unfinished-2", False), ("unfinished-3", False)]
    newest = newest_checkpoint(context.folder / "output")
    assert newest is not None and newest[0] == 3


def here() -> bool:
    return threading.current_thread() is threading.main_thread()


def test_without_room_for_copies_it_is_written_between_steps(
    context: FakeContext, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "free_memory", lambda gpu: 1000)
    where = []
    before_saving(monkeypatch, lambda *_: where.append(here()))
    assert train(context, tiny)["steps"] == STEPS
    assert where == [True] * 4


def test_copies_share_what_is_not_trained(tiny: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny), device="cpu")
    frozen, *_, trained = model.parameters()
    frozen.requires_grad_(False)
    before = trained.detach().clone()
    copies = Copies()
    found = copies.of(model, {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": []})
    assert found is not None
    copied, optimizer = found
    with torch.no_grad():
        trained.add_(1.0)
    parameters = list(copied.parameters())
    assert parameters[0] is frozen and torch.equal(parameters[-1], before)
    assert copied[0].processor is not model[0].processor
    again = copies.of(model, {"state": {0: {"step": torch.tensor(2.0)}}, "param_groups": []})
    assert again is not None and again[0][0].processor is copied[0].processor
    assert torch.equal(list(again[0].parameters())[-1], before + 1.0)
    # The same memory is filled again.
    assert torch.equal(optimizer["state"][0]["step"], torch.tensor(2.0))


def test_copies_share_a_frozen_layer_with_all_that_it_holds(tiny: Path) -> None:
    """bitsandbytes keeps 8-bit weights beside the parameters, on the GPU."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny), device="cpu")
    layer: Any = next(one for one in model.modules() if isinstance(one, torch.nn.Linear))
    layer.requires_grad_(False)
    layer.state = torch.ones(3)
    found = Copies().of(model, {"state": {}, "param_groups": []})
    assert found is not None
    assert layer in list(found[0].modules())


def test_copies_that_take_as_long_as_writing_are_not_made(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sentence_transformers import SentenceTransformer

    monkeypatch.setattr(checkpoints, "WORTH", 2.0)
    model = SentenceTransformer(str(tiny), device="cpu")
    state: dict[str, Any] = {"state": {}, "param_groups": []}
    copies = Copies()
    assert copies.of(model, state) is not None
    copies.seconds = 3.0
    assert copies.of(model, state, writing=5.0) is None
    assert copies.of(model, state, writing=7.0) is not None


def test_a_model_that_cannot_be_copied_is_written_between_steps(tiny: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny), device="cpu")
    model[0].lock = threading.Lock()
    copies = Copies()
    assert copies.of(model, {"state": {}, "param_groups": []}) is None
    # It is not tried again, and what was copied before it failed is given back.
    del model[0].lock
    assert copies.of(model, {"state": {}, "param_groups": []}) is None
    assert not copies._places


def test_the_writer_writes_one_after_the_other_and_tells_once() -> None:
    go, found = threading.Event(), []

    def write() -> None:
        assert go.wait(LIMIT)
        found.append("written")
        raise OSError("full")

    writer = Writer()
    writer.begin(write)
    writer.check()
    assert not found
    go.set()
    with pytest.raises(OSError, match="full"):
        writer.begin(lambda: None)
    writer.wait()
    assert found == ["written"]
