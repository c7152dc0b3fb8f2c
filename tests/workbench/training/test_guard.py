"""When the guard stops a run, and when it must not."""

import pytest

from workbench.errors import TrainingDiverged
from workbench.training.callbacks import OVERFLOWS_ALLOWED, ZEROS_ALLOWED, Guard


def check(guard: Guard, step: int, loss: float, grad_norm: float = 1.0) -> None:
    guard.check(step, {"loss": loss, "grad_norm": grad_norm})


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_no_number_stops_at_once(loss: float) -> None:
    with pytest.raises(TrainingDiverged, match="step 3") as caught:
        check(Guard(), 3, loss)
    assert "learning rate" in caught.value.hint


def test_a_loss_that_stays_0_stops_after_some_steps() -> None:
    guard = Guard()
    for step in range(ZEROS_ALLOWED):
        check(guard, step, 0.0)
    with pytest.raises(TrainingDiverged, match="The loss has been exactly 0"):
        check(guard, ZEROS_ALLOWED, 0.0)


def test_a_gradient_that_stays_0_stops() -> None:
    guard = Guard()
    with pytest.raises(TrainingDiverged, match="gradient's length has been exactly 0"):
        for step in range(ZEROS_ALLOWED + 1):
            check(guard, step, 1.0, 0.0)


def test_one_good_step_starts_the_count_anew() -> None:
    guard = Guard()
    for step in range(10 * ZEROS_ALLOWED):
        loss = 0.0 if step % ZEROS_ALLOWED else 0.1
        check(guard, step, loss)


def test_a_short_run_of_zeros_does_not_succeed() -> None:
    """It is over before so many steps went by that it could be stopped."""
    guard = Guard()
    check(guard, 1, 0.0)
    check(guard, 2, 0.0)
    with pytest.raises(TrainingDiverged, match="for 2 steps up to step 2"):
        guard.end(2)
    one_counts = Guard()
    check(one_counts, 1, 0.0)
    check(one_counts, 2, 0.5)
    one_counts.end(2)
    # Of a run that goes on from a checkpoint, the last steps alone are seen.
    resumed = Guard()
    check(resumed, 100, 0.0)
    resumed.end(100)


def test_a_learning_rate_that_never_left_0_does_not_succeed() -> None:
    guard = Guard()
    guard.check(1, {"loss": 1.0, "grad_norm": 1.0, "learning_rate": 0.0})
    with pytest.raises(TrainingDiverged, match="The learning rate has been exactly 0") as caught:
        guard.end(1)
    assert "warmup" in caught.value.hint


def test_fp16_overflows_are_tolerated_for_a_while() -> None:
    guard = Guard(fp16=True)
    for step in range(OVERFLOWS_ALLOWED):
        check(guard, step, 1.0, float("inf"))
    with pytest.raises(TrainingDiverged):
        check(guard, 99, 1.0, float("inf"))
    with pytest.raises(TrainingDiverged):
        check(Guard(), 1, 1.0, float("inf"))
