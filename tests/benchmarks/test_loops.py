"""benchmarks/loops.py: trainers take turns, and both sides compute the same."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.loops import Steps, in_turns, our_trainer, plain_trainer, times
from benchmarks.sides import Spent
from tests.workbench.training.fakes import ANIMALS, TRAITS, FakeReader, FakeWorkspace
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe


def reader() -> FakeReader:
    """Twelve queries whose documents have very different lengths."""
    words = [*ANIMALS, *TRAITS]

    def text(count: int, at: int) -> str:
        return " ".join(words[(at * 5 + n) % len(words)] for n in range(count))

    rows = [
        (text(2 + at % 3, at), [text(3 + 7 * at % 23, at + 1)], [text(2 + 5 * at % 29, at + 2)])
        for at in range(12)
    ]
    return FakeReader({"train": rows})


@pytest.mark.slow
@pytest.mark.parametrize("negatives", [0, 1])
def test_the_loss_of_the_first_step_is_the_plain_script_s(negatives: int, tmp_path: Path) -> None:
    from tests.workbench.training.fakes import save_tiny_model

    recipe = TrainEmbeddingRecipe(
        dataset="pets",
        model=str(save_tiny_model(tmp_path / "tiny")),
        device="cpu",
        precision="fp32",
        dropout=0.0,
        batch_size=6,
        negatives=negatives,
        max_steps=3,
        query_max_len=64,
        passage_max_len=64,
    )
    workspace: Any = FakeWorkspace(tmp_path, reader())
    found = in_turns(
        {
            "ours": partial(our_trainer, workspace, recipe, tmp_path / "ours"),
            "plain": partial(plain_trainer, workspace, recipe, tmp_path / "plain"),
        },
        2,
    )
    ours, plain = found["ours"], found["plain"]
    assert ours.losses == pytest.approx(plain.losses, abs=1e-4)
    assert len(ours.losses) == 3
    # The first step is not counted; the others read the same texts.
    assert len(ours.spent) == len(plain.spent) == 2
    assert ours.read == plain.read
    assert all(tokens > 0 for tokens, _ in ours.read)


@pytest.mark.slow
def test_the_plain_reranker_reads_the_batches_of_ours(tmp_path: Path) -> None:
    from tests.workbench.training.fakes import save_tiny_model

    recipe = TrainRerankerRecipe(
        dataset="pets",
        model=str(save_tiny_model(tmp_path / "tiny")),
        device="cpu",
        precision="fp32",
        batch_size=4,
        negatives=1,
        max_steps=3,
        query_max_len=16,
        passage_max_len=112,
    )
    workspace: Any = FakeWorkspace(tmp_path, reader())
    found = in_turns(
        {
            "ours": partial(our_trainer, workspace, recipe, tmp_path / "ours"),
            "plain": partial(plain_trainer, workspace, recipe, tmp_path / "plain"),
        },
        2,
    )
    assert found["ours"].read == found["plain"].read


def test_what_fails_in_a_trainer_is_raised() -> None:
    def failing() -> Any:
        raise LookupError("no such model")

    with pytest.raises(LookupError, match="no such model"):
        in_turns({"ours": failing}, 1)


def test_a_step_has_a_row_for_each_clock() -> None:
    ours, plain = Steps([Spent(1.0, 2.0)]), Steps([Spent(3.0, 8.0)])
    by_cpu, by_clock = times("a step", ours, plain)
    assert by_cpu.ratios == [4.0]
    assert by_clock.ratios == [3.0]


def test_operations_are_those_of_linear_layers_and_of_attention() -> None:
    assert Steps(shape=(1000, 6 * 384)).operations(10, 100) == 6 * 1000 * 10 + 12 * 6 * 384 * 100
