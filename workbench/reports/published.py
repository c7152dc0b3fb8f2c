"""The table people publish: ``Model | Original | Finetuned``, one row per base model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from storage.records import Evaluation, Model
from workbench.comparison.conditions import excluded, excludes, lengths
from workbench.comparison.names import HEADLINE, label
from workbench.comparison.table import markdown_line
from workbench.comparison.ways import ALL_CAPTIONS

if TYPE_CHECKING:
    from workbench.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A base model and a model trained from it, measured alike."""

    model: str
    original: float
    finetuned: float
    #: Which model, and what it was measured on.
    trained: str
    version: int
    queries: int
    measured_at: float
    #: Of the base and of the trained model: the name, the lengths, and what was left out.
    measured: tuple[Mapping[str, Any], ...] = ()


def published(
    workspace: "Workspace", dataset: str, split: str = "test", metric: str = HEADLINE
) -> list[PublishedRow]:
    """Of each base model: itself, and the newest model trained from it that was measured in the
    same way on the same version. The newest, not the best: the best of many on test is too good.
    """
    kept = [
        one for one in workspace.evaluations.list(dataset, split) if _counts_as_row(one, metric)
    ]
    models = {model.id: model for model in workspace.models.list()}
    rows: dict[str, PublishedRow] = {}
    for one in kept:  # newest first
        tuned = models.get(one.model_id or "")
        if tuned is None or not tuned.base or _short(tuned.base) in rows:
            continue
        original = _original(one, tuned, kept)
        if original is not None:
            rows[_short(tuned.base)] = PublishedRow(
                model=_short(tuned.base),
                original=original.metrics[metric],
                finetuned=one.metrics[metric],
                trained=one.model,
                version=one.version,
                queries=one.queries,
                measured_at=one.created_at,
                measured=tuple({**its.settings, "model": its.model} for its in (original, one)),
            )
    return sorted(rows.values(), key=lambda row: row.model.lower())


def published_markdown(rows: Sequence[PublishedRow], metric: str = HEADLINE) -> str:
    """As it is pasted into a model card; the better of the two in bold."""
    head = ["Model", f"Original ({label(metric)})", f"Finetuned ({label(metric)})"]
    lines = [markdown_line(head), markdown_line(["---", "---:", "---:"])]
    for row in rows:
        original, finetuned = f"{row.original:.3f}", f"{row.finetuned:.3f}"
        if original < finetuned:
            finetuned = f"**{finetuned}**"
        elif original > finetuned:
            original = f"**{original}**"
        lines.append(markdown_line([row.model, original, finetuned]))
    if said := published_notes(rows):
        lines += ["", " ".join(said)]
    return "\n".join(lines) + "\n"


def published_notes(rows: Sequence[PublishedRow]) -> list[str]:
    """How the rows were measured, in sentences."""
    measured = [one for row in rows for one in row.measured]
    left_out = next((said for one in measured if (said := excluded(one))), [])
    return [*left_out, *lengths(measured)]


def _counts_as_row(one: Evaluation, metric: str) -> bool:
    """Not a model cut to fewer dimensions, not the order of a first stage, not pictures that search
    captions: one number a model."""
    settings = one.settings
    whole = not settings.get("cut_to") and settings.get("kind") != "first-stage"
    whole = whole and settings.get("searched") != ALL_CAPTIONS
    return whole and metric in one.metrics


def _original(one: Evaluation, tuned: Model, kept: Sequence[Evaluation]) -> Evaluation | None:
    """The base in the same place: alone, or behind the same first stage."""
    stage, plus, _ = one.model.rpartition(" + ")
    wanted = {stage + plus + name for name in (tuned.base or "", _short(tuned.base or ""))}
    found = (other for other in kept if other.model in wanted and _alike(other, one))
    return next(found, None)


def _alike(one: Evaluation, other: Evaluation) -> bool:
    return _manner(one) == _manner(other)


def _manner(one: Evaluation) -> tuple[object, ...]:
    settings = one.settings
    fewer = settings.get("max_queries")
    chosen = (fewer, settings.get("seed") if fewer else None)
    return (one.version, one.queries, settings.get("searched"), *excludes(settings), *chosen)


def _short(name: str) -> str:
    """A folder's name where the base was given by its path."""
    return PurePath(name).name if name.startswith(("/", ".", "~")) else name
