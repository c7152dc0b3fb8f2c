"""What the steps of one training task hand to each other, and what a kind of model brings."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from workbench.data.reader import DatasetReader
from workbench.jobs.context import JobContext
from workbench.models.contract import Contract
from workbench.models.keeping import Keeping
from workbench.models.load import load_model
from workbench.models.resolve import ResolvedModel
from workbench.training.batches import Batching
from workbench.training.cadence import Cadence
from workbench.training.dev import ORIGINAL, Dev
from workbench.training.recorder import Recorder
from workbench.training.rows import TrainingRows
from workbench.training.together import Together
from workbench.training.trainer import DevEvaluation


@dataclass(frozen=True, slots=True)
class Run:
    """What every step of the task needs."""

    recipe: Any
    context: JobContext
    reader: DatasetReader
    base: ResolvedModel
    output: Path
    device: str
    precision: str
    #: What is measured on dev; None without dev queries, and in all processes but the first.
    dev: Dev | None
    has_dev: bool
    together: Together

    def dev_evaluation(self, loaded: Any) -> DevEvaluation | None:
        """Measures ``loaded`` on dev during training; all processes get the first one's values."""
        if not self.has_dev:
            return None

        def measure(step: int) -> dict[str, float]:
            assert self.dev is not None, "only the first process measures, and it has a dev"
            return self.dev.during_training(loaded, step)

        return lambda step: self.together.tell(partial(measure, step))

    def load(
        self,
        model: ResolvedModel,
        contract: Contract | None = None,
        keeping: Keeping | None = None,
    ) -> Any:
        """The model in memory, on the run's device and in its precision."""
        return load_model(
            model,
            device=self.device,
            precision=self.precision,
            trust_remote_code=self.context.workspace.trust_remote_code,
            contract=contract,
            keeping=keeping,
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A trainer that is ready to go, and what it trains on."""

    trainer: Any
    rows: TrainingRows
    batching: Batching
    notes: tuple[str, ...] = ()
    #: After how many tokens the run cuts texts; the contract's are those of every later use.
    lengths: dict[str, int] = field(default_factory=dict)

    @property
    def negatives(self) -> int:
        return int(self.rows.negatives.shape[1])


class Kind(Protocol):
    """What differs from one kind of model to the other. Each has a module of its own."""

    def start(self, recipe: Any, base: ResolvedModel) -> Contract | None:
        """The contract that the base is loaded with; None takes its own."""
        ...

    def dev(
        self, recipe: Any, context: JobContext, reader: DatasetReader, output: Path, place: "Place"
    ) -> Dev:
        """What is measured on the dev split, and what with."""
        ...

    def contract(self, loaded: Any, recipe: Any, base_name: str) -> Contract:
        """The contract of the trained model."""
        ...

    def prepare(self, this: Run, loaded: Any, recorder: Recorder, cadence: Cadence) -> Prepared:
        """The trainer around a loaded model, whose contract is that of the trained one."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where to compute, and in what."""

    device: str
    precision: str


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out of the step loop."""

    steps: int
    best_step: int
    best: dict[str, float]
    rows: int
    #: Of these, how many each epoch does not see.
    left_out: int
    contract: Contract
    history: list[dict[str, Any]]
    notes: tuple[str, ...]
    lengths: dict[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the run compares: ``baseline`` is what must be beaten, ``untrained`` the model before
    the first step (the same thing for embedding models), ``best`` the chosen checkpoint."""

    metric: str
    baseline: dict[str, float]
    untrained: dict[str, float]
    best: dict[str, float]
    #: 'the original', or the first stage by name.
    baseline_name: str

    @property
    def beats_base(self) -> bool | None:
        """Whether the best checkpoint beats the baseline; None where nothing was measured."""
        return self.best[self.metric] > self.baseline[self.metric] if self.best else None

    @property
    def verdict(self) -> str:
        """'' for a model worth having; 'no-better' than the original, or 'below-first-stage'."""
        if not self.best:
            return ""
        if not self.beats_base:
            return "no-better" if self.baseline_name == ORIGINAL else "below-first-stage"
        return "" if self.best[self.metric] > self.untrained[self.metric] else "no-better"
