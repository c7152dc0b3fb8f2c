"""A whole result of ``evaluate`` as the terminal shows it."""

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.comparison.forgetting import forgetting, tables
from workbench.comparison.names import label
from workbench.comparison.table import Table, to_text


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
