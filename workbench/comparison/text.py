"""What a result of ``evaluate`` says, in sentences and as the terminal shows it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.comparison.names import label
from workbench.comparison.table import Difference, Table, build_table, pair_table, to_text

# What training cost elsewhere: each model's difference on a second data set, in a sentence.


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
        _forgetting_sentence(
            model, here[model], there[model], str(result["dataset"]), str(second["dataset"])
        )
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


def _forgetting_sentence(
    model: str, one: Difference, other: Difference, here: str, there: str
) -> Forgetting:
    gained = f"{model}: {one.verdict} on {here} ({_amount(one)})"
    if other.sure and other.delta < 0:
        link = "but" if one.sure and one.delta > 0 else "and"
        lost = f"{link} worse on {there} ({_amount(other)}): it has lost ground there."
        return Forgetting(model, "bad", f"{gained}, {lost}")
    if other.sure:
        return Forgetting(model, "good", f"{gained}, and better on {there} ({_amount(other)}).")
    if other.verdict.startswith("too few") or other.low is None:
        return Forgetting(model, "", f"{gained}; on {there} {other.verdict} ({_amount(other)}).")
    loss = max(0.0, -other.low)
    at_most = f"a loss of more than {loss:.3f} is unlikely" if loss else "a loss is unlikely"
    return Forgetting(
        model, "", f"{gained}; {other.verdict} of {there} ({_amount(other)}): {at_most} there."
    )


def _amount(one: Difference) -> str:
    return f"{one.delta:+.3f} {label(one.metric)}"


def result_text(result: Mapping[str, Any]) -> str:
    """The tables, in words what they say, and what was measured beside them."""
    second = result.get("second_dataset")
    parts = [part for table in tables(result) for part in _with_words(table)]
    if result.get("pairs", {}).get("left_out"):
        names = ", ".join(result["pairs"]["left_out"])
        parts.append(f"Not judged by scored pairs, which need a model: {names}.\n")
    parts += [f"{one}\n" for one in full_list_lines(result)]
    if second:
        parts += [part for table in tables(second) for part in _with_words(table)]
        parts += [f"{one}\n" for one in full_list_lines(second)]
        parts += [f"{one.text}\n" for one in forgetting(result)]
    if result.get("dimensions"):
        parts.append("\n".join(_dimensions(result["dimensions"])) + "\n")
    return "\n".join(parts)


def full_list_lines(result: Mapping[str, Any]) -> list[str]:
    """What the table's MAP@100 does not see: one sentence where lists are longer than 100."""
    rows = [row for row in result.get("rows", ()) if "longest_list" in row]
    if not rows:
        return []
    longest = max(int(row["longest_list"]) for row in rows)
    values = ", ".join(f"{row['model']} {row['map']:.3f}" for row in rows)
    return [
        f"MAP@100 sees the first 100 of lists of up to {longest:,} candidates. Over whole lists, "
        f"as MTEB's reranking tasks report it, MAP is: {values}."
    ]


def sentences(table: Table) -> list[str]:
    """What each comparison says: 'tuned is better than base: MAP@100 +0.094 [+0.050, ...'."""
    return [_sentence(row.model, one) for row in table.rows if (one := row.comparison)]


def _sentence(model: str, one: Any) -> str:
    how = f"{label(one.metric)} {one.text}"
    counts = f"{one.wins} won, {one.losses} lost, {one.ties} the same"
    if one.second_stage:
        # Its verdict names the first stage itself.
        return f"{model} is {one.verdict}: {how}; {counts}."
    if one.sure:
        return f"{model} is {one.verdict} than {one.against}: {how}; {counts}."
    return f"{model} against {one.against}: {one.verdict} ({how}; {counts})."


def _with_words(table: Table) -> Iterator[str]:
    yield to_text(table)
    found = sentences(table)
    if found:
        yield "\n".join(found) + "\n"


def _dimensions(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    metrics = ("map@100", "ndcg@10", "recall@100")
    for row in rows:
        values = ", ".join(f"{label(name)} {row[name]:.3f}" for name in metrics)
        yield f"{row['model']} with {row['dimensions']} dimensions: {values}"
