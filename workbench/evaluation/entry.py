"""One row of a comparison, and what the rows' differences are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.comparison.conditions import LENGTHS
from workbench.comparison.significance import (
    Comparison,
    compare,
    holm,
    second_stage_verdict,
    verdict,
)
from workbench.comparison.ways import ALL_DOCUMENTS as ALL_DOCUMENTS
from workbench.comparison.ways import OWN_CANDIDATES, way_of
from workbench.evaluation.measure import Measured
from workbench.evaluation.named import GIVEN
from workbench.evaluation.pool import Rows
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel


@dataclass(frozen=True, slots=True)
class Entry:
    """A model, or a first stage's own order, as it was measured."""

    name: str
    #: 'bm25', a model's kind, or 'first-stage' for an order as it came.
    kind: str
    searched: str
    #: The query rows of the run, and how many documents were searched or put in order.
    asked: Rows
    documents: int
    measured: Measured
    model: ResolvedModel | None = None
    #: For a second stage: the name of the first-stage row whose candidates it orders.
    against: str = ""
    #: Pictures were the queries: ``asked`` are rows of documents.
    turned: bool = False
    #: Of lists longer than the metrics look: see ``evaluation/whole.py``.
    whole: dict[str, float] = field(default_factory=dict)
    #: What :func:`workbench.evaluation.pool.excluding` says of the queries asked.
    excluding: Mapping[str, int] = field(default_factory=dict)
    #: The model's own, by the contract it was used with; {} where no model has a part.
    lengths: Mapping[str, int] = field(default_factory=dict)

    @property
    def way(self) -> str:
        """Rows of different ways are never ranked against each other."""
        return way_of(self.searched)

    def row(self) -> dict[str, Any]:
        """The entry in ``evaluate``'s JSON."""
        scores = self.measured.scores
        about: dict[str, Any] = {"model": self.name, "queries": len(scores.queries)}
        about |= {"searched": self.searched, "way": self.way, "kind": self.kind}
        return {**about, **self.lengths, **scores.means(), **self.whole}


def lengths_of(contract: Contract) -> dict[str, int]:
    """After how many tokens a model cuts queries and documents: a row says it."""
    return {name: getattr(contract, name) for name in LENGTHS}


def order_name(origin: str, k: int) -> str:
    """What the row of a first stage's own order is called."""
    return "given order" if origin == GIVEN else f"{origin}, first {k}"


def searched_words(origin: str, k: int) -> str:
    """What a second stage looked at, in words."""
    return OWN_CANDIDATES if origin == GIVEN else f"top {k} of {origin}"


def comparisons(
    entries: Sequence[Entry], reference: str, *, metric: str, seed: int
) -> list[dict[str, Any]]:
    """Second stages against their first stage, the other models against the reference; those that
    were measured in another way than it, against the first of theirs.

    All of them are one family: what each is worth is judged by its p-value after Holm's correction.
    """
    named = {entry.name: entry for entry in entries}
    first = _first_of_each_way(entries, reference)
    found: list[tuple[Entry, str, Comparison]] = []
    for entry in entries:
        if entry.kind == "first-stage":
            continue
        against = named[entry.against or first[entry.way]]
        if against is entry:
            continue
        result = _compare(entry.measured, against.measured, metric, seed)
        if result is not None:
            found.append((entry, against.name, result))
    corrected = holm([result.p_value for _, _, result in found])
    return [
        _as_json(entry, against, metric, result, p_holm)
        for (entry, against, result), p_holm in zip(found, corrected, strict=True)
    ]


def _first_of_each_way(entries: Sequence[Entry], reference: str) -> dict[str, str]:
    """By way, the row that the others of it are compared with: the reference, if it is one."""
    found: dict[str, str] = {}
    for entry in entries:
        if entry.kind != "first-stage" and not entry.against:
            if entry.name == reference:
                found[entry.way] = entry.name
            found.setdefault(entry.way, entry.name)
    return found


def _compare(one: Measured, other: Measured, metric: str, seed: int) -> Comparison | None:
    """On the queries both were asked; a data set's own candidates may leave some out."""
    _, mine, theirs = np.intersect1d(
        one.scores.queries, other.scores.queries, assume_unique=True, return_indices=True
    )
    if not len(mine):
        return None
    values, against = one.scores.values[metric][mine], other.scores.values[metric][theirs]
    return compare(values, against, seed=seed)


def _as_json(
    entry: Entry, against: str, metric: str, result: Comparison, p_holm: float
) -> dict[str, Any]:
    judge = second_stage_verdict if entry.against else verdict
    return {
        "model": entry.name,
        "against": against,
        "metric": metric,
        "delta": result.delta,
        "ci95": list(result.ci95),
        "p_value": result.p_value,
        "p_holm": p_holm,
        "wins": result.wins,
        "losses": result.losses,
        "ties": result.ties,
        "queries": result.queries,
        "second_stage": bool(entry.against),
        "verdict": judge(result.delta, p_holm, result.queries),
    }
