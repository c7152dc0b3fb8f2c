"""What is decided for a person, and why."""

from dataclasses import dataclass
from typing import Literal

#: By what a decision was made: a measurement on the data, a rule, or the person.
By = Literal["measured", "rule", "you"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A setting, its value, and the reason in one sentence (or its part, without a full stop)."""

    name: str
    value: int | float | str | bool
    reason: str
    by: By
