"""Measuring on dev: before the first step, during training, and the saved model."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from workbench.comparison.trained import ORIGINAL
from workbench.evaluation.candidates import Bm25Scorer, CandidateSet, rerank
from workbench.evaluation.measure import Encoder, Measured, measure, score
from workbench.evaluation.named import GIVEN
from workbench.evaluation.pool import Pool, excluding
from workbench.jobs.reporting import JobContext

BASELINE_FILE = "baseline.json"
#: Of candidates that the data brings in no order.
BM25_ORDER = "BM25's order of the candidates"

Means = dict[str, float]


class Values(Protocol):
    def means(self) -> Means: ...


class DevResult(Protocol):
    """What a model was found to be worth on a dev task."""

    @property
    def scores(self) -> Values: ...


class DevTask(Protocol):
    """What is asked, and of what: fixed before the first step."""

    @property
    def queries(self) -> int: ...

    @property
    def documents(self) -> int: ...

    @property
    def baseline_name(self) -> str: ...

    @property
    def excluding(self) -> Mapping[str, int]:
        """For how many queries their own document was left out, where there are some."""
        ...

    def baseline(self) -> Means | None:
        """What must be beaten, where that is not the untrained model itself."""
        ...

    def orders(self) -> Mapping[str, Measured]:
        """Every order that is there without the model, by name: what a test has to beat besides
        the base as it is."""
        ...

    def measure(self, model: Any, **options: Any) -> "DevResult": ...


@dataclass(frozen=True, slots=True)
class Retrieval:
    """An embedding model searches a pool of documents; it must beat the original."""

    pool: Pool
    #: The model as the encoder that is measured.
    as_encoder: Callable[[Any], Encoder] = lambda model: model

    @property
    def baseline_name(self) -> str:
        return ORIGINAL

    @property
    def queries(self) -> int:
        return len(self.pool.queries)

    @property
    def documents(self) -> int:
        return self.pool.documents

    @property
    def excluding(self) -> dict[str, int]:
        return excluding(self.pool)

    def baseline(self) -> Means | None:
        return None

    def orders(self) -> Mapping[str, Measured]:
        return {}

    def measure(self, model: Any, **options: Any) -> Measured:
        return measure(self.as_encoder(model), self.pool, **options)


@dataclass(frozen=True, slots=True)
class Reranking:
    """A second stage orders frozen candidates; it must beat the first stage's own order."""

    frozen: CandidateSet

    @property
    def queries(self) -> int:
        return len(self.frozen.pool.queries)

    @property
    def documents(self) -> int:
        return len(self.frozen.rows)

    @property
    def excluding(self) -> dict[str, int]:
        return excluding(self.frozen.pool)

    @property
    def baseline_name(self) -> str:
        depth = self.frozen.run.documents.shape[1]
        if self.frozen.origin == GIVEN:
            return "the candidates' given order"
        return f"the order of {self.frozen.origin} (first {depth})"

    def baseline(self) -> Means | None:
        return score(self.frozen.pool, self.frozen.run).scores.means()

    def orders(self) -> Mapping[str, Measured]:
        found = {self.baseline_name: score(self.frozen.pool, self.frozen.run)}
        if self.frozen.origin == GIVEN:
            # What the data brings has an order of chance: to beat that would be no feat.
            found[BM25_ORDER] = rerank(Bm25Scorer(), self.frozen)
        return found

    def measure(self, model: Any, **options: Any) -> Measured:
        return rerank(model, self.frozen, **options)


class Dev:
    """One fixed dev task, measured again and again; every row goes into the job's record."""

    def __init__(self, dev_task: DevTask, context: JobContext, output: Path) -> None:
        self.dev_task = dev_task
        self.context = context
        self.output = output

    @property
    def excluding(self) -> dict[str, int]:
        """As the dev task says."""
        return dict(self.dev_task.excluding)

    def before(self, load: Callable[[], Any]) -> tuple[Means, Means]:
        """The baseline, and the untrained model's values; measured once per job.

        A resumed attempt reads them from the first one: their rows are already on the chart. The
        first stage's order is the baseline of a second stage; the untrained model's value is then
        the dev curve's first point, at step 0.
        """
        path = self.output / BASELINE_FILE
        if path.is_file():
            kept = json.loads(path.read_text(encoding="utf-8"))
            return (baseline := kept["baseline"]), kept.get("untrained", baseline)
        untrained = self._measure(load(), "Measuring the original on dev")
        found = self.dev_task.baseline()
        baseline = untrained if found is None else found
        kept = (
            {"baseline": baseline}
            if found is None
            else {
                "baseline": found,
                "untrained": untrained,
            }
        )
        self.context.metrics(0, "baseline", baseline)
        if found is not None:
            self.context.metrics(0, "dev", untrained)
        path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        return baseline, untrained

    def during_training(self, model: Any, step: int) -> Means:
        """The model as it is after ``step`` steps; reported as a row of that step."""
        values = self.dev_task.measure(model, stop=self.context.check_cancelled).scores.means()
        self.context.metrics(step, "dev", values)
        return values

    def check_saved(self, model: Any) -> Means:
        """The model as it was read back from disk."""
        return self._measure(model, "Checking the best checkpoint")

    def _measure(self, model: Any, message: str) -> Means:
        def progress(done: int, total: int) -> None:
            self.context.progress(done, total, "texts", message)

        stop = self.context.check_cancelled
        return self.dev_task.measure(model, progress=progress, stop=stop).scores.means()
