"""Stops a run whose numbers have gone wrong, before it wastes hours or overwrites what is good."""

import math
from dataclasses import dataclass, field

from workbench.errors import TrainingDiverged

#: So many steps in a row with a loss (or gradient norm) of 0 mean that nothing is learned any more.
ZEROS_ALLOWED = 5
#: Mixed precision in fp16 overflows now and then: its scaler skips that step and lowers the scale.
OVERFLOWS_ALLOWED = 20


@dataclass(slots=True)
class Guard:
    """Looks at every step's numbers. ``fp16`` tolerates some infinite gradient norms in a row."""

    fp16: bool = False
    zeros: dict[str, int] = field(default_factory=lambda: {"loss": 0, "grad_norm": 0})
    overflows: int = 0

    def check(
        self, step: int, loss: float, grad_norm: float | None, *, comparable: bool = True
    ) -> None:
        """Raise :class:`TrainingDiverged` if this step shows that going on is pointless.

        ``comparable`` is False for a batch in which no query has any wrong document to be told
        from its right one (a last batch of one row): its loss is 0 by nature and says nothing.
        """
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"The loss became {loss} at step {step}, so training was stopped.",
                "Lower the learning rate, raise the temperature or use fp32, then train again.",
                step=step,
            )
        if grad_norm is not None:
            self._check_overflow(step, grad_norm)
        if comparable:
            self._count_zeros(step, "loss", loss)
            if grad_norm is not None:
                self._count_zeros(step, "grad_norm", grad_norm)

    def _check_overflow(self, step: int, grad_norm: float) -> None:
        self.overflows = 0 if math.isfinite(grad_norm) else self.overflows + 1
        allowed = OVERFLOWS_ALLOWED if self.fp16 else 0
        if self.overflows > allowed:
            raise TrainingDiverged(
                f"The gradient's length became {grad_norm} at step {step}: training was stopped.",
                "Lower the learning rate or use bf16 or fp32, then train again.",
                step=step,
            )

    def _count_zeros(self, step: int, name: str, value: float) -> None:
        self.zeros[name] = self.zeros[name] + 1 if value == 0.0 else 0
        if self.zeros[name] > ZEROS_ALLOWED:
            what = {"loss": "The loss", "grad_norm": "The gradient's length"}[name]
            raise TrainingDiverged(
                f"{what} has been exactly 0 for {self.zeros[name]} steps up to step {step}: "
                "the model learns nothing any more.",
                "Check that queries and documents differ, and that each query has documents that "
                "do not answer it; a larger batch or given negatives make the task harder.",
                step=step,
            )
