"""One line of the history: one model, measured once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.comparison.names import CORRELATIONS, HEADLINE
from workbench.recipes.base import Recipe

COMPARISON, MATRIX, TRAINING = "comparison", "matrix", "training"
QUANTIZATION, BLEND = "quantization", "blend"
#: What measured it.
SOURCES = (COMPARISON, MATRIX, TRAINING, QUANTIZATION, BLEND)

#: What a line says of a measurement, where it has it.
HEADLINES = (HEADLINE, "ndcg@10", "recall@100", *CORRELATIONS)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model, measured once."""

    #: The evaluation's; of what is on record with a job alone, the job's with a place in it.
    id: str
    job: str | None
    #: One of ``SOURCES``.
    source: str
    measured_at: float
    model: str
    model_id: str | None
    #: Its name; ``dataset_id`` is '' where only the name is on record.
    dataset: str
    dataset_id: str
    #: Whether the data set is not there any more (another may have its name).
    removed: bool
    version: int | None
    split: str
    queries: int
    documents: int
    #: Of scored pairs: how many; then there are no queries.
    pairs: int
    #: The model cut to so many dimensions; None: used whole.
    cut_to: int | None
    #: While it was trained: after so many steps; None elsewhere.
    step: int | None
    searched: str
    metrics: dict[str, float]
    #: A query's, where that was measured.
    milliseconds: float | None
    #: Those that are not at their defaults.
    settings: dict[str, Any]

    def is_of(self, model: str | None, dataset: str | None, source: str | None) -> bool:
        """Whether it is by this model (alone, or as a part of a pipeline), on this data set, by
        this source; None is any."""
        return (
            (model is None or model in (self.model, *self.model.split(" + ")))
            and (dataset is None or dataset in (self.dataset, self.dataset_id))
            and (source is None or source == self.source)
        )


def headline_metrics(metrics: Mapping[str, float]) -> list[str]:
    """The few that a line says; of what has none of those, the first few it has."""
    found = [name for name in HEADLINES if name in metrics]
    return found or sorted(metrics)[: len(HEADLINES)]


def unusual(settings: Mapping[str, Any], recipe: type[Recipe], said: set[str]) -> dict[str, Any]:
    """Settings that are not at the recipe's defaults, but for those ``said`` elsewhere."""
    fields = recipe.model_fields
    return {
        name: value
        for name, value in settings.items()
        if name not in said and not (name in fields and fields[name].default == value)
    }
