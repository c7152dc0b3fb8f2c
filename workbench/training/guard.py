"""Stops a run whose numbers have gone wrong, before it wastes hours or overwrites what is good."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.errors import TrainingDiverged
from workbench.recipes.train import GUIDED

#: So many steps in a row with a loss (or gradient norm) of 0 mean that nothing is learned any more.
ZEROS_ALLOWED = 5
#: Mixed precision in fp16 overflows now and then: its scaler skips that step and lowers the scale.
OVERFLOWS_ALLOWED = 20
#: What a step is looked at for.
_WATCHED = ("loss", "grad_norm", "learning_rate")
_WHAT = {
    "loss": "The loss",
    "grad_norm": "The gradient's length",
    "learning_rate": "The learning rate",
}
_MEND = {
    "learning_rate": "Lower warmup, or train more steps.",
}
_HARDER = (
    "Check that queries and documents differ, and that each query has documents that do not answer "
    "it; a larger batch or given negatives make the task harder."
)

_GUIDED = (
    "The guide may leave out every negative: lower guide_margin, or name another guide_model. "
)


def hint_for(objective: str) -> str:
    """What to do where an objective's loss stays 0."""
    return _GUIDED + _HARDER if objective in GUIDED else _HARDER


def _zeros() -> dict[str, int]:
    return dict.fromkeys(_WATCHED, 0)


@dataclass(slots=True)
class Guard:
    """Looks at every step's numbers. ``fp16`` tolerates some infinite gradient norms in a row.

    ``hint``: what makes this run's task harder, where its objective says that better.
    """

    fp16: bool = False
    hint: str = _HARDER
    zeros: dict[str, int] = field(default_factory=_zeros)
    steps: int = 0
    overflows: int = 0

    def check(self, step: int, values: Mapping[str, float]) -> None:
        """Raise :class:`TrainingDiverged` if this step shows that going on is pointless.

        ``values``: the step's loss, and its gradient norm and learning rate where known.
        """
        self.steps += 1
        loss, grad_norm = values["loss"], values.get("grad_norm")
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"The loss became {loss} at step {step}, so training was stopped.",
                "Lower the learning rate, raise the temperature or use fp32, then train again.",
                step=step,
            )
        if grad_norm is not None:
            self._check_overflow(step, grad_norm)
        for name in _WATCHED:
            if name in values:
                self.zeros[name] = self.zeros[name] + 1 if values[name] == 0.0 else 0
        for name in ("loss", "grad_norm"):
            if self.zeros[name] > ZEROS_ALLOWED:
                self._stop(step, name)

    def end(self, step: int) -> None:
        """The same for a run that is over before it could be stopped: no step of it counted."""
        for name in _WATCHED:
            if self.zeros[name] == self.steps == step > 0:
                self._stop(step, name)

    def _check_overflow(self, step: int, grad_norm: float) -> None:
        self.overflows = 0 if math.isfinite(grad_norm) else self.overflows + 1
        allowed = OVERFLOWS_ALLOWED if self.fp16 else 0
        if self.overflows > allowed:
            raise TrainingDiverged(
                f"The gradient's length became {grad_norm} at step {step}: training was stopped.",
                "Lower the learning rate or use bf16 or fp32, then train again.",
                step=step,
            )

    def _stop(self, step: int, name: str) -> None:
        raise TrainingDiverged(
            f"{_WHAT[name]} has been exactly 0 for {self.zeros[name]} steps up to step {step}: "
            "the model learns nothing any more.",
            _MEND.get(name, self.hint),
            step=step,
        )
