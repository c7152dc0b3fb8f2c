"""What training cost elsewhere: each model's difference on a second data set, in a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.comparison.names import label
from workbench.comparison.table import Difference, Table, build_table, pair_table


@dataclass(frozen=True, slots=True)
class Forgetting:
    """One model on the second data set, against the same model as on the first."""

    model: str
    #: 'good' (better there too), 'bad' (worse there), '' (no difference can be told).
    tone: str
    text: str


def forgetting(result: Mapping[str, Any]) -> list[Forgetting]:
    """A sentence per model that was compared on both data sets.

    Second stages are left out, and BM25, which learned nothing that could be forgotten.
    """
    second = result.get("second_dataset")
    if not second:
        return []
    here, there = (_compared(one) for one in (result, second))
    return [
        _sentence(model, here[model], there[model], str(result["dataset"]), str(second["dataset"]))
        for model in here
        if model in there
    ]


def tables(result: Mapping[str, Any]) -> list[Table]:
    """The result's tables: what retrieval gave, what scored pairs gave; those that have rows."""
    both = (build_table(result), pair_table(result))
    return [table for table in both if table is not None and table.rows]


def _compared(result: Mapping[str, Any]) -> dict[str, Difference]:
    table = tables(result)[0]
    return {
        row.model: row.comparison
        for row in table.rows
        if row.comparison and not row.comparison.second_stage and row.kind != "bm25"
    }


def _sentence(model: str, one: Difference, other: Difference, here: str, there: str) -> Forgetting:
    gained = f"{model}: {one.verdict} on {here} ({_amount(one)})"
    if other.sure and other.delta < 0:
        link = "but" if one.sure and one.delta > 0 else "and"
        lost = f"{link} worse on {there} ({_amount(other)}): it has lost ground there."
        return Forgetting(model, "bad", f"{gained}, {lost}")
    if other.sure:
        return Forgetting(model, "good", f"{gained}, and better on {there} ({_amount(other)}).")
    if other.verdict.startswith("too few"):
        return Forgetting(model, "", f"{gained}; on {there} {other.verdict} ({_amount(other)}).")
    loss = max(0.0, -other.low)
    at_most = f"a loss of more than {loss:.3f} is unlikely" if loss else "a loss is unlikely"
    return Forgetting(
        model, "", f"{gained}; {other.verdict} of {there} ({_amount(other)}): {at_most} there."
    )


def _amount(one: Difference) -> str:
    return f"{one.delta:+.3f} {label(one.metric)}"
