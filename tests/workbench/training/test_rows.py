"""Training rows: negatives brought to one number, and never a wrong one."""

from typing import Any

import pyarrow as pa
import pytest

from tests.workbench.training.fakes import FakeReader
from workbench.errors import BadInput
from workbench.models.contract import Contract
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainImageTextRecipe
from workbench.training.rows import (
    build_rows,
    load_texts,
    own_prompts_note,
    teacher_scores,
    with_pictures,
)


def recipe(**values: Any) -> TrainEmbeddingRecipe:
    return TrainEmbeddingRecipe(dataset="pets", **values)


MIXED = [
    ("q0", ["p0"], ["n0", "n1", "n2"]),
    ("q1", ["p1"], ["n3"]),
    ("q2", ["p2", "p2b"], []),
]


def texts_of(reader: FakeReader, rows: Any, contract: Contract | None = None) -> list[Any]:
    queries, documents = load_texts(reader, rows, contract or Contract())
    return [
        (
            queries.get([query])[0],
            documents.get([positive])[0],
            documents.get([one for one in negatives if one >= 0]),
        )
        for query, positive, negatives in zip(
            rows.queries, rows.positives, rows.negatives, strict=True
        )
    ]


def test_rows_bring_their_own_negatives_and_no_others() -> None:
    reader = FakeReader({"train": MIXED})
    rows = build_rows(reader, recipe(negatives=3))
    given = [(query, right, wrong) for query, right, wrong in texts_of(reader, rows)]
    assert given == [
        ("q0", "p0", ["n0", "n1", "n2"]),
        ("q1", "p1", ["n3"]),
        ("q2", "p2", []),
        ("q2", "p2b", []),
    ]
    assert rows.notes == (
        "2 of 4 rows bring no negatives of their own; they are learnt from the other rows' "
        "documents alone.",
    )
    assert rows.fewest == 0 and rows.negatives.shape == (4, 3)


@pytest.mark.parametrize(
    "options",
    [{"in_batch_negatives": False}, {"negatives_cross_device": True}, {"batch_size": 1}],
    ids=str,
)
def test_where_columns_are_needed_short_rows_repeat_their_own(options: Any) -> None:
    """And empty ones draw others."""
    reader = FakeReader({"train": MIXED})
    rows = build_rows(reader, recipe(negatives=3, **options))
    found = texts_of(reader, rows)
    assert found[0] == ("q0", "p0", ["n0", "n1", "n2"])
    assert found[1] == ("q1", "p1", ["n3", "n3", "n3"])
    for query, positive, negatives in found[2:]:
        assert query == "q2" and positive in ("p2", "p2b")
        assert len(negatives) == 3 and not {"p2", "p2b"} & set(negatives)
    assert "were given documents at random" in rows.notes[0]


def test_no_more_columns_than_the_data_has() -> None:
    reader = FakeReader({"train": MIXED})
    rows = build_rows(reader, recipe(negatives=10))
    assert rows.negatives.shape == (4, 3)
    assert "at most 3 negatives" in rows.notes[0]


def test_without_given_negatives_the_batch_alone_is_used() -> None:
    reader = FakeReader({"train": [("a", ["b"], []), ("c", ["d"], [])]})
    rows = build_rows(reader, recipe(negatives=2))
    assert list(rows.columns) == ["query", "positive"] and not rows.notes


@pytest.mark.parametrize(
    ("queries", "batch"), [([("a", ["b"], []), ("c", ["d"], [])], 1), ([("a", ["b"], [])], 32)]
)
def test_a_batch_of_one_row_gets_something_to_compare_with(queries: Any, batch: int) -> None:
    reader = FakeReader({"train": queries, "test": [("x", ["y"], [])]})
    rows = build_rows(reader, recipe(batch_size=batch))
    assert rows.negatives.shape[1] == 1
    for query, _positive, negatives in texts_of(reader, rows):
        assert negatives[0] not in {"a": ["b"], "c": ["d"]}[query]


def test_nothing_but_relevant_documents_is_refused() -> None:
    reader = FakeReader({"train": [("a", ["b", "c"], [])]})
    with pytest.raises(BadInput, match="Every document is relevant"):
        build_rows(reader, recipe(batch_size=1))


def test_no_training_queries() -> None:
    with pytest.raises(BadInput, match="no training queries"):
        build_rows(FakeReader({"dev": [("a", ["b"], [])]}), recipe())


def test_max_rows_is_decided_by_the_seed() -> None:
    reader = FakeReader({"train": [(f"q{n}", [f"p{n}"], []) for n in range(50)]})
    chosen = [build_rows(reader, recipe(max_rows=10, seed=s)).queries.tolist() for s in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(set(chosen[0])) == 10


def test_prompts_of_the_data_are_mentioned() -> None:
    reader = FakeReader({"train": MIXED})
    assert own_prompts_note(reader, Contract()) == ()
    for query in reader._queries:
        query["prompt"] = "Represent this: "
    assert "'Represent this: '" in own_prompts_note(reader, Contract())[0]
    assert own_prompts_note(reader, Contract(query_prompt="Represent this: ")) == ()


MANY = [
    ("q0", ["p0"], [f"n{at}" for at in range(5)]),
    ("q1", ["p1"], ["m0"]),
    ("q2", ["p2"], []),
]


def seen(rows: Any, reader: FakeReader, draw: int) -> list[list[str]]:
    """The negatives that each row has in a draw, as the trainer's columns give them."""
    _, _, *wrong = rows.columns.values()
    _, documents = load_texts(reader, rows, Contract())
    first = draw * len(rows)
    return [
        documents.get([int(one[first + at]) for one in wrong if one[first + at] >= 0])
        for at in range(len(rows))
    ]


def test_of_more_negatives_others_are_taken_in_each_epoch() -> None:
    reader = FakeReader({"train": MANY})
    rows = build_rows(reader, recipe(negatives=2, epochs=3.0))
    assert (rows.width, rows.draws, len(rows)) == (2, 3, 3)
    found = [seen(rows, reader, draw) for draw in range(3)]
    assert all(one[1:] == [["m0"], []] for one in found)
    # Six places: each of the five is taken before one comes again.
    taken = [one for draw in found for one in draw[0]]
    assert len(set(taken[:5])) == 5 and all(len(set(one[0])) == 2 for one in found)
    again = build_rows(reader, recipe(negatives=2, epochs=3.0))
    assert again.negatives.tolist() == rows.negatives.tolist()
    other = build_rows(reader, recipe(negatives=2, epochs=3.0, seed=7))
    assert other.negatives.tolist() != rows.negatives.tolist()


def test_one_pass_draws_once_and_so_does_data_without_more() -> None:
    reader = FakeReader({"train": MANY})
    assert build_rows(reader, recipe(negatives=2, epochs=1.0)).draws == 1
    assert build_rows(reader, recipe(negatives=5, epochs=3.0)).draws == 1
    assert build_rows(reader, recipe(negatives=1, max_steps=100)).draws == 5


def test_a_run_of_few_steps_draws_no_oftener_than_it_sees_its_rows() -> None:
    many = [(f"q{at}", [f"p{at}"], [f"n{at}-{one}" for one in range(9)]) for at in range(40)]
    reader = FakeReader({"train": many})

    def draws(**values: Any) -> int:
        return build_rows(reader, recipe(negatives=1, **values)).draws

    assert draws(max_steps=5, batch_size=8) == 1
    assert draws(max_steps=6, batch_size=8) == 2
    assert draws(max_steps=6, batch_size=8, gradient_accumulation=2) == 3
    assert draws(max_steps=6, batch_size=8, devices="2") == 3
    assert draws(max_steps=5, batch_size=8, max_rows=20) == 2
    assert draws(max_steps=900, batch_size=8) == 8


def test_a_teacher_s_scores_are_those_of_each_draw_s_documents() -> None:
    reader = FakeReader({"train": MANY[:1]})
    table = reader.candidates("train")
    scores = {row: 0.5 + row / 10 for row in table["document"].to_pylist()}
    right = build_rows(reader, recipe(negatives=1, max_steps=9)).positives[0]

    def candidates(_: str) -> Any:
        rows = [{"query": 0, "document": one, "score": score} for one, score in scores.items()]
        return pa.Table.from_pylist([{"query": 0, "document": int(right), "score": 9.0}, *rows])

    rows = build_rows(reader, recipe(negatives=1, max_steps=9))
    reader.candidates = candidates  # type: ignore[method-assign]
    found = teacher_scores(reader, rows)  # type: ignore[arg-type]
    documents = rows.columns["negative_1"].tolist()
    assert len(documents) == rows.draws == 5
    assert found == [[9.0, scores[one]] for one in documents]


def test_of_pictures_and_texts_negatives_are_pictures() -> None:
    """A row is left out where its relevant document is a text, not where a negative is one."""
    queries = [(f"q{at}", [f"p{at}"], [f"text {at}", f"n{at}"]) for at in range(4)]
    queries += [("q4", ["a text"], ["n0"]), ("q5", ["p5"], ["only a text"])]
    reader: Any = FakeReader({"train": queries})
    table = reader._documents.to_pylist()
    for one in table:
        one["picture"] = None if "text" in one["text"] else f"{one['text']}.png"
    reader._documents = reader._documents.from_pylist(table, schema=reader._documents.schema)

    def named(rows: Any) -> dict[str, list[str]]:
        return {query: wrong for query, _, wrong in texts_of(reader, rows)}

    values: dict[str, Any] = {"dataset": "drawn", "negatives": 1, "epochs": 1.0}
    rows = with_pictures(reader, build_rows(reader, TrainImageTextRecipe(**values)))
    assert named(rows) == {**{f"q{at}": [f"n{at}"] for at in range(4)}, "q5": []}
    assert "1 of 6 training rows were left out" in rows.notes[-1]
    # Where each row needs one, it is drawn from the pictures.
    rows = build_rows(reader, TrainImageTextRecipe(**values, batch_size=1))
    assert all(len(one) == 1 and "text" not in one[0] for one in named(rows).values())
