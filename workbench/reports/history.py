"""Every number ever measured: evaluations are added and never written over."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.records import Evaluation
from workbench.recipes.evaluate import EvaluateRecipe

if TYPE_CHECKING:
    from workbench.workspace import Workspace

#: Of what is kept with an evaluation: said in columns of their own, or about the whole job.
_SAID = {"row", "kind", "searched", "cut_to", "pairs", "split", "dataset_version", "rerankers"}
_SAID |= {"also", "dimensions"}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model, measured once."""

    id: str
    job: str | None
    measured_at: float
    model: str
    model_id: str | None
    dataset: str
    version: int
    split: str
    queries: int
    documents: int
    #: Of scored pairs: how many; then there are no queries.
    pairs: int
    #: The model cut to so many dimensions; None: used whole.
    cut_to: int | None
    searched: str
    metrics: dict[str, float]
    #: Those that are not at their defaults.
    settings: dict[str, Any]


def history(
    workspace: "Workspace", model: str | None = None, dataset: str | None = None
) -> list[Measurement]:
    """Newest first; of one model (its name, also behind a first stage) or data set only."""
    names = {one.id: one.name for one in workspace.datasets.list()}
    found = workspace.evaluations.list(dataset)
    return [_measurement(one, names) for one in found if model is None or _is_of(one, model)]


def _is_of(one: Evaluation, model: str) -> bool:
    return model == one.model or model in one.model.split(" + ")


def _measurement(one: Evaluation, names: dict[str, str]) -> Measurement:
    settings = one.settings
    return Measurement(
        id=one.id,
        job=one.job_id,
        measured_at=one.created_at,
        model=one.model,
        model_id=one.model_id,
        # A data set that was removed is known by its id alone.
        dataset=names.get(one.dataset_id, one.dataset_id),
        version=one.version,
        split=one.split,
        queries=one.queries,
        documents=one.documents,
        pairs=int(settings.get("pairs") or 0),
        cut_to=settings.get("cut_to"),
        searched=str(settings.get("searched", "")),
        metrics=one.metrics,
        settings=_unusual(settings),
    )


def _unusual(settings: dict[str, Any]) -> dict[str, Any]:
    fields = EvaluateRecipe.model_fields
    return {
        name: value
        for name, value in settings.items()
        if name not in _SAID and not (name in fields and fields[name].default == value)
    }
