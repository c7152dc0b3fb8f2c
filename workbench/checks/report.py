"""What a check found, as data and as lines."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Lengths:
    """Texts of one role in tokens, special tokens and prompt included, in a sample.

    ``mean`` and ``longest`` are after cutting at ``limit``; ``p95`` is before.
    """

    role: str
    limit: int
    sampled: int
    mean: float
    p95: int
    longest: int
    #: Share of texts that are cut, 0 to 1.
    cut: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes, estimated; see :mod:`.memory` for the formulas."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True, slots=True)
class Warning_:
    """Something to mend before training: what is wrong, and what to do."""

    code: str
    message: str
    mend: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Everything a check says. None: not known, and a note says why."""

    rows: int
    #: Of these, how many each epoch does not see.
    left_out: int
    batches: int
    steps: int
    texts_per_batch: int
    tokens_per_batch: int | None
    lengths: list[Lengths]
    parameters: int | None
    trainable: int | None
    memory: Memory | None
    #: Bytes that are free on the machine, or the GPU, that would train.
    available: int | None
    warnings: list[Warning_]
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        found = asdict(self)
        if self.memory:
            found["memory"] = {**found["memory"], "total": self.memory.total, "estimate": True}
        return found

    def lines(self) -> str:
        """For people."""
        return "\n".join([*self._size(), *self._lengths(), *self._model(), *self._said()])

    def _size(self) -> list[str]:
        tokens = (
            "" if self.tokens_per_batch is None else f", about {self.tokens_per_batch:,} tokens"
        )
        return [
            f"{self.rows:,} rows, {self.batches:,} batches an epoch, {self.steps:,} steps in all",
            f"{self.texts_per_batch:,} texts in a batch{tokens}",
        ]

    def _lengths(self) -> list[str]:
        return [
            f"{one.role}: {one.mean:.0f} tokens on average, 95% have at most {one.p95}; "
            f"{one.cut:.0%} are cut at {one.limit} (of {one.sampled:,} looked at)"
            for one in self.lengths
        ]

    def _model(self) -> list[str]:
        found = []
        if self.parameters is not None:
            share = ""
            if self.trainable is not None and self.trainable < self.parameters:
                share = f", {self.trainable:,} of an adapter are trained"
            found.append(f"{self.parameters:,} parameters{share}")
        if self.memory is not None:
            parts = ", ".join(
                f"{name} {gigabytes(value)}" for name, value in asdict(self.memory).items()
            )
            found.append(f"memory, an estimate: {gigabytes(self.memory.total)} ({parts})")
        if self.available is not None:
            found.append(f"memory that is free: {gigabytes(self.available)}")
        return found

    def _said(self) -> list[str]:
        warned = [f"! {one.message} {one.mend}" for one in self.warnings]
        return [*warned, *self.notes]


def gigabytes(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
