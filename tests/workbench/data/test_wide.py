"""Tables with thousands of columns: work grows with the columns, not with their square, and beyond
a bound a row is refused by name."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.workbench.data.fakes import bring, context, lines
from workbench.data import builder
from workbench.data.job import run_import
from workbench.data.mapping import guess_roles
from workbench.data.preview import POOL, preview, preview_in_subprocess
from workbench.data.shapes.row import own_fields
from workbench.errors import BadInput, JobCancelled
from workbench.limited import Ended, NeededTooMuch, TookTooLong
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace


class Counted(Mapping[str, Any]):
    """A row that counts how many of its columns were walked over."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row, self.seen = row, 0

    def __getitem__(self, key: str) -> Any:
        return self.row[key]

    def __len__(self) -> int:
        return len(self.row)

    def __iter__(self) -> Iterator[str]:
        for key in self.row:
            self.seen += 1
            yield key


def test_own_columns_are_walked_over_a_few_times_however_many() -> None:
    wide = Counted({"metadata": {"x": 1}, **{f"c{at}": at for at in range(3_000)}, "fields": {}})
    kept = json.loads(own_fields(wide, {"c0"}))
    assert len(kept) == 3_000 and kept["x"] == 1
    assert wide.seen <= 5 * len(wide)


@pytest.mark.parametrize(
    ("row", "used", "kept"),
    [
        ({"metadata": {"a": 1, "b": 2}}, set(), {"a": 1, "b": 2}),
        ({"metadata": {"a": 1}, "a": 2}, set(), {"metadata": {"a": 1}, "a": 2}),
        ({"a": 2, "metadata": {"a": 1}}, set(), {"metadata": {"a": 1}, "a": 2}),
        ({"metadata": {"a": 1}, "a": 2}, {"a"}, {"a": 1}),
        ({"metadata": {"metadata": 1}}, set(), {"metadata": 1}),
        (
            {"metadata": {"a": 1}, "fields": {"a": 2}},
            set(),
            {"a": 1, "fields": {"a": 2}},
        ),
        ({"metadata": '{"a": 1}', "b": ""}, set(), {"a": 1}),
        ({"metadata": '{"a": ' + "[" * 100_000, "b": 1}, set(), None),
    ],
)
def test_packed_columns_are_unpacked_unless_two_would_be_one(
    row: dict[str, Any], used: set[str | None], kept: dict[str, Any] | None
) -> None:
    found = json.loads(own_fields(row, used))
    assert found == (row if kept is None else kept)


@pytest.mark.parametrize("levels", [90, 110, 900, 5_000])
def test_what_is_stored_can_be_read_from_anywhere(levels: int) -> None:
    deep: Any = "x"
    for at in range(levels):
        deep = [deep] if at % 2 else {"in": deep}
    kept = json.loads(own_fields({"deep": deep, "flat": [[1]] * 200, "nan": float("inf")}, set()))
    assert (kept["flat"], kept["nan"]) == ([[1]] * 200, "inf")
    assert (kept["deep"] == "(nested too deeply)") == (levels > 100)


def test_deep_values_cost_no_row_and_no_import(workspace: Workspace, tmp_path: Path) -> None:
    """orjson reads a thousand levels; what writes them again goes less deep."""
    rows = [{"query": f"q{at}", "pos": [f"p{at}"]} for at in range(12)]
    text = [json.dumps(row) for row in rows]
    for levels in (400, 990, 5_000):
        nest = "[" * levels + "]" * levels
        text.append(f'{{"query": "deep {levels}", "pos": ["d {levels}"], "own": {nest}}}')
    text.append('{"query": "half \\ud83d", "pos": ["h"], "own": ' + "[" * 600 + "]" * 600 + "}")
    path = tmp_path / "deep.jsonl"
    path.write_text("\n".join(text), encoding="utf-8")
    result, _ = bring(workspace, path)
    refused = {one["line"] for one in result["problems"] if one["severity"] == "error"}
    assert result["queries"] == 16 - len(refused)
    assert refused <= {15, 16}


def test_roles_are_guessed_in_one_walk() -> None:
    rows = [{f"frage {at}": "was ist das?" for at in range(5_000)}]
    assert list(guess_roles(rows).values()).count("query") == 1


@pytest.fixture
def twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.data.intake.MOST_COLUMNS", 20)


def many(count: int) -> dict[str, Any]:
    return {f"c{at}": at for at in range(count)}


@pytest.mark.usefixtures("twenty")
def test_too_many_columns_cost_their_row_only(workspace: Workspace, tmp_path: Path) -> None:
    rows: list[Any] = [{"query": f"q{at}", "pos": [f"p{at}"]} for at in range(12)]
    rows.insert(3, {"query": "wide", "pos": ["w"], **many(19)})
    rows.insert(5, {"query": "just", "pos": ["j"], **many(18)})
    result, _ = bring(workspace, lines(tmp_path / "rows.jsonl", rows))
    assert result["queries"] == 13
    wide = [one for one in result["problems"] if one["code"] == "too-many-columns"]
    assert [(one["file"], one["line"]) for one in wide] == [("rows.jsonl", 4)]
    assert "21 columns" in wide[0]["message"] and "leave the others out" in wide[0]["message"]


@pytest.mark.usefixtures("twenty")
def test_tables_of_too_many_columns_are_refused_in_words(
    workspace: Workspace, tmp_path: Path
) -> None:
    good = lines(tmp_path / "good.jsonl", [{"query": f"q{n}", "pos": [f"p{n}"]} for n in range(12)])
    names = ["query", "positive", *many(30)]
    (tmp_path / "wide.csv").write_text(",".join(names) + "\n" + ",".join(["x"] * 32) + "\n")
    table = pa.table({name: ["x"] for name in names})
    pq.write_table(table, tmp_path / "wide.parquet")
    result, _ = bring(workspace, good, tmp_path / "wide.csv", tmp_path / "wide.parquet")
    assert result["queries"] == 12
    assert result["problem_counts"]["too-many-columns"] == 2


def test_a_cancel_is_noticed_at_the_next_row(workspace: Workspace, tmp_path: Path) -> None:
    """All of them lie in one block of the file, and are not plain enough to be read together."""
    rows = [{"query": f"q{at}", "pos": [{"text": f"p{at}"}], "own": at} for at in range(2_000)]
    path = lines(tmp_path / "rows.jsonl", rows)
    asked = context(workspace, cancel_after=100)
    with pytest.raises(JobCancelled):
        run_import(ImportRecipe(paths=[str(path)], name="cancelled"), asked)
    assert asked.checks == 101


def test_a_row_of_many_positives_is_compared_in_one_go(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with each of them in turn: 20,000 in a row took 40 seconds, a million days."""
    calls: list[int] = []
    whole = builder._also_among

    def counted(owner: Any, keys: Any, some: Any) -> Any:
        calls.append(len(some))
        return whole(owner, keys, some)

    monkeypatch.setattr(builder, "_also_among", counted)
    rows: list[Any] = [{"query": f"q{at}", "pos": [f"p{at}"], "neg": ["n"]} for at in range(12)]
    many = [f"d{at}" for at in range(400)]
    rows.append({"query": "many", "pos": many, "neg": ["d0", "other", "d399", "d200", "p1"]})
    result, reader = bring(workspace, lines(tmp_path / "rows.jsonl", rows))
    assert len(calls) == 1
    assert result["judgments"] == 412
    assert result["problem_counts"] == {"positive-equals-negative": 1}
    texts = reader.documents()["text"].to_pylist()
    offered = reader.candidates()
    queries = reader.queries()
    query = queries["row"].to_pylist()[queries["text"].to_pylist().index("many")]
    kept = [
        texts[document]
        for at, document in zip(
            offered["query"].to_pylist(), offered["document"].to_pylist(), strict=True
        )
        if at == query
    ]
    assert sorted(kept) == ["other", "p1"]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_an_array_on_one_line_is_read_however_long_it_is(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """As json.dump writes it: of one longer than a line may be, all but 200 bytes were lost."""
    monkeypatch.setattr("workbench.data.lines.BLOCK", 1 << 10)
    monkeypatch.setattr("workbench.data.lines.LONG_PART", 1 << 11)
    monkeypatch.setattr("workbench.data.lines.LONGEST_LINE", 1 << 13)
    rows = [{"query": f"问 {at}, \n?", "pos": [f"答 {at} " + "文" * 40]} for at in range(300)]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding=encoding)
    assert path.stat().st_size > 3 << 13
    result, reader = bring(workspace, path)
    assert (result["queries"], result["problem_counts"]) == (300, {})
    assert set(reader.queries()["text"].to_pylist()) == {row["query"] for row in rows}


# -- previews ------------------------------------------------------------------------------------


def test_a_preview_in_subprocess_is_the_same(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"query": "q \u00e9", "pos": ["p"], "neg": ["n"], **many(50)}, {"query": "alone"}]
    recipe = ImportRecipe(paths=[str(lines(tmp_path / "a.jsonl", rows))], name="-")
    here, apart = preview(workspace, recipe), preview_in_subprocess(workspace, recipe)
    assert here == apart and apart.rows and apart.problems
    with pytest.raises(BadInput, match="names no column"):
        preview_in_subprocess(workspace, recipe.model_copy(update={"mapping": ["query="]}))


@pytest.mark.parametrize(
    ("error", "said"),
    [(TookTooLong, "longer than 20 seconds"), (NeededTooMuch, "2 GB"), (Ended, "crashed")],
)
def test_a_preview_that_fails_is_a_note(
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    said: str,
) -> None:
    def ask(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(POOL, "ask", ask)
    found = preview_in_subprocess(workspace, ImportRecipe(paths=[str(tmp_path)], name="-"))
    assert len(found.notes) == 1 and said in found.notes[0]
    assert not found.rows and not found.columns
