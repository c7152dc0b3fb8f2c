"""When the guard stops a run, and when it must not."""

import pytest

from workbench.errors import TrainingDiverged
from workbench.training.guard import OVERFLOWS_ALLOWED, ZEROS_ALLOWED, Guard


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_no_number_stops_at_once(loss: float) -> None:
    with pytest.raises(TrainingDiverged, match="step 3") as caught:
        Guard().check(3, loss, 1.0)
    assert "learning rate" in caught.value.hint


def test_a_loss_that_stays_0_stops_after_some_steps() -> None:
    guard = Guard()
    for step in range(ZEROS_ALLOWED):
        guard.check(step, 0.0, 1.0)
    with pytest.raises(TrainingDiverged, match="The loss has been exactly 0"):
        guard.check(ZEROS_ALLOWED, 0.0, 1.0)


def test_a_gradient_that_stays_0_stops() -> None:
    guard = Guard()
    with pytest.raises(TrainingDiverged, match="gradient's length has been exactly 0"):
        for step in range(ZEROS_ALLOWED + 1):
            guard.check(step, 1.0, 0.0)


def test_one_good_step_starts_the_count_anew() -> None:
    guard = Guard()
    for step in range(10 * ZEROS_ALLOWED):
        loss = 0.0 if step % ZEROS_ALLOWED else 0.1
        guard.check(step, loss, 1.0)


def test_batches_with_nothing_to_compare_do_not_count() -> None:
    guard = Guard()
    for step in range(10 * ZEROS_ALLOWED):
        guard.check(step, 0.0, 0.0, comparable=False)


def test_fp16_overflows_are_tolerated_for_a_while() -> None:
    guard = Guard(fp16=True)
    for step in range(OVERFLOWS_ALLOWED):
        guard.check(step, 1.0, float("inf"))
    with pytest.raises(TrainingDiverged):
        guard.check(99, 1.0, float("inf"))
    with pytest.raises(TrainingDiverged):
        Guard().check(1, 1.0, float("inf"))
