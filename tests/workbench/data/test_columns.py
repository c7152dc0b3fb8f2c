"""Columns are told by the words of their names; none that looks like texts is lost in silence."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, everything, lines
from workbench.data.preview import preview
from workbench.data.problems import ProblemLog, Report
from workbench.data.shapes.columns import Meaning, meaning
from workbench.data.shapes.recognise import recognise
from workbench.errors import NoGoodRows
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

NEGATIVES = [
    *("rejected", "rejecteds", "rejected_response", "rejected_responses", "rejectedResponses"),
    *("hard_neg", "hard_negs", "hardNeg", "hardneg", "HardNegatives", "hard-negative", "negs"),
    *("neg_passages", "negPassage", "negative_documents", "negative_doc", "Negative Texts"),
    *("neg_1", "neg2", "negative3", "hard_negative_4", "distractor", "distractors", "distractor1"),
    *("irrelevant_passages", "non_relevant_docs", "not_relevant", "wrong_answers", "falsch"),
    *("incorrect_answers", "negdocs", "NEG", "bm25_negatives", "负例", "bad_passages", "负样本"),
]
POSITIVES = [
    *("pos_passages", "positiveDocuments", "positive_1", "pos_docs", "relevant_passages"),
    *("chosen", "chosen_response", "correct_answer", "gold_passage", "accepted_answer"),
]


@pytest.mark.parametrize("name", NEGATIVES)
def test_a_name_that_says_negatives(name: str, workspace: Workspace, tmp_path: Path) -> None:
    assert meaning(name) == Meaning("negative", "texts")
    for value in (["bad", "worse"], "bad"):
        row = {"query": "q", "response": "good", name: value}
        result, reader = bring(workspace, lines(tmp_path / "a.jsonl", [row]))
        wanted = value if isinstance(value, list) else [value]
        assert everything(reader) == {"q": ("train", ["good"], wanted)}
        assert (result["problems"], result["set_aside"]["own_columns"]) == ([], [])


@pytest.mark.parametrize("name", POSITIVES)
def test_a_name_that_says_positives(name: str, workspace: Workspace, tmp_path: Path) -> None:
    assert meaning(name) == Meaning("positive", "texts")
    row = {"question": "q", name: ["good", "fine"], "rejected": "bad"}
    _, reader = bring(workspace, lines(tmp_path / "a.jsonl", [row]))
    assert everything(reader) == {"q": ("train", ["good", "fine"], ["bad"])}


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("neg_ids", "ids"),
        ("negativeDocIds", "ids"),
        ("rejected_scores", "scores"),
        ("positive_similarity", "scores"),
        ("negative_title", "other"),
        ("num_negatives", "other"),
        ("is_correct", "other"),
    ],
)
def test_what_is_said_of_texts_and_is_none(name: str, holds: str) -> None:
    found = meaning(name)
    assert found is not None and found.holds == holds


@pytest.mark.parametrize(
    "name", ["position", "postal", "negotiation", "notes", "text", "irrelevance"]
)
def test_a_name_that_says_neither(name: str) -> None:
    assert meaning(name) is None


def test_several_columns_of_each_side(workspace: Workspace, tmp_path: Path) -> None:
    row = {
        "query": "q", "positive_1": "a", "positive_2": "b", "hardNegatives": ["c"], "neg_1": "d",
        "positive_ids": ["x", "y"],
    }  # fmt: skip
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", [row]))
    assert everything(reader)["q"][1:] == (["a", "b"], ["c", "d"])
    assert result["problem_counts"] == {"ids-left-out": 1}  # Two columns, and one list of ids.


def test_scores_and_ids_under_other_names(workspace: Workspace, tmp_path: Path) -> None:
    row = {
        "query": "q", "positives": ["a"], "negatives": ["b"], "positive_ids": [7],
        "negative_scores": [0.25],
    }  # fmt: skip
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", [row]))
    assert result["problems"] == []
    assert reader.candidates()["score"].to_pylist() == [0.25]
    assert reader.documents()["id"].to_pylist()[0] == "7"


@pytest.mark.parametrize(
    "aside",
    [
        {"rejected": 5},
        {"neg_count": 3},
        {"negative_title": "T"},
        {"negative_url": "http://x"},
        {"Query": "another"},
        {"relevance_scores": [0.5]},
    ],
)
def test_what_is_kept_aside_is_told(
    aside: dict[str, Any], workspace: Workspace, tmp_path: Path
) -> None:
    row = {"query": "q", "positive": "p", "negative": "n", **aside}
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", [row]))
    assert [one["field"] for one in result["problems"]] == list(aside)
    assert result["problem_counts"] == {"unknown-columns": 1}
    assert result["set_aside"]["own_columns"] == list(aside)
    assert everything(reader)["q"][1:] == (["p"], ["n"])


def test_the_preview_says_what_the_import_says(workspace: Workspace, tmp_path: Path) -> None:
    row = {"query": "q", "response": "p", "rejected": ["n"], "neg_count": 1}
    file = lines(tmp_path / "a.jsonl", [row])
    result, _ = bring(workspace, file)
    found = preview(workspace, ImportRecipe(paths=[str(file)], name="-"))
    assert found.format == result["format"] == "query-pos-neg"
    assert found.rows[0].texts == (("query", "q"), ("positive", "p"), ("negative", "n"))
    assert found.problems == result["problems"]


# -- hints -----------------------------------------------------------------------------------

ODD = [
    {"query": "q", "documents_text": ["p"]},
    {"query_id": "1", "query": "q", "candidate_list": ["a"]},
    {"query": "q", "passages_found": ["a"], "text_b": 3},
    {"instruction": "p", "chosen": "a", "rejected": "b"},
    {"input": "a", "output": "b", "more": 3},
    {"anchor": "a", "messages": [{"role": "user", "content": "x"}]},
]


@pytest.mark.parametrize("row", ODD)
def test_no_hint_proposes_what_is_there(
    row: dict[str, Any], workspace: Workspace, tmp_path: Path
) -> None:
    with pytest.raises(NoGoodRows) as refused:
        bring(workspace, lines(tmp_path / "a.jsonl", [row]))
    message = refused.value.details["problems"][0]["message"]
    for name in row:
        assert f"'{name}' to '{name}'" not in message
        assert f"--map {name}={name}" not in message
        assert f"to '{name}'" not in message
    renamed = [part.split("' to '")[1] for part in message.split(", ") if "' to '" in part]
    assert len(renamed) == len(set(renamed))


def test_one_column_may_be_mapped_beside_others_that_are_known(
    workspace: Workspace, tmp_path: Path
) -> None:
    row = {"query": "q", "antwort": "p", "neg": ["n"]}
    file = lines(tmp_path / "a.jsonl", [row])
    _, reader = bring(workspace, file, mapping=["positive=antwort"])
    assert everything(reader) == {"q": ("train", ["p"], ["n"])}
    row = {"frage": "q", "pos": "p", "neg": ["n"]}
    _, reader = bring(workspace, lines(tmp_path / "b.jsonl", [row]), mapping=["query=frage"])
    assert everything(reader) == {"q": ("train", ["p"], ["n"])}


# -- nothing is lost -------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        *NEGATIVES,
        *POSITIVES,
        *("query", "question", "response", "passage", "answer", "text", "title", "context"),
        *("pos", "neg", "positive", "negatives", "query_id", "note", "topic", "instruction"),
        *("pos_title", "sentence1", "sentence2", "neg_count", "rejected_reason", "Query", "hits"),
    ]
)
VALUES = st.sampled_from(["a text", "another one", ["one", "two"]])


@settings(max_examples=300)
@given(row=st.dictionaries(NAMES, VALUES, min_size=1, max_size=7))
def test_no_text_column_is_lost_in_silence(
    row: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each column is read, kept as the row's own, or the row is refused; and what is called like
    negatives or positives is read or told of."""
    for order in [tuple(row), tuple(reversed(row))]:
        marked = {name: _mark(name, row[name]) for name in order}
        plan = recognise(marked)
        log = ProblemLog(tmp_path_factory.getbasetemp() / "none.parquet")
        report = Report(log, "f")
        report.unknown(plan.unknown)
        found = plan.read(marked, report)
        if found is None:
            assert log.total
            continue
        for name in marked:
            assert name in repr(found), (name, found)
            read = name not in plan.own
            side = meaning(name)
            if not read and side is not None and side.holds == "texts":
                assert name in [column for column, _ in plan.unknown]


def _mark(name: str, value: str | list[str]) -> str | list[str]:
    """The value with its column's name in it, to be found again."""
    return [f"{name}: {one}" for one in value] if isinstance(value, list) else f"{name}: {value}"


def test_the_order_of_columns_means_nothing_where_names_do(
    workspace: Workspace, tmp_path: Path
) -> None:
    row = {"query": "q", "response": "p", "rejected": ["n"], "neg_2": "m"}
    seen = set()
    for order in permutations(row):
        plan = recognise({name: row[name] for name in order})
        assert plan.format == "query-pos-neg" and not plan.own
        seen.add(plan.read.query)  # type: ignore[attr-defined]
    assert seen == {"query"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"query": "q one", "antwort": "p one"}, ["antwort"]),
        ({"Query": "q one", "frei": "p one"}, ["frei"]),
        ({"frage": "q one", "passage": "p one"}, ["frage"]),
        ({"eins": "q one", "zwei": "p one"}, ["eins", "zwei"]),
    ],
)
def test_a_guess_tells_only_of_names_that_are_not_known(
    row: dict[str, str], told: list[str], workspace: Workspace, tmp_path: Path
) -> None:
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", [row]))
    assert everything(reader)["q one"][1] == ["p one"]
    assert [one["field"] for one in result["problems"]] == told


def test_preferences_are_a_query_with_a_negative(workspace: Workspace, tmp_path: Path) -> None:
    row = {"prompt": "explain x", "chosen": "good x", "rejected": "bad x"}
    _, reader = bring(workspace, lines(tmp_path / "a.jsonl", [row]))
    assert everything(reader) == {"explain x": ("train", ["good x"], ["bad x"])}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        # The rejected text is no query.
        ({"chosen": "a: hello", "rejected": "a: go away"}, "has no 'query'"),
        (
            {"instruction": "explain x", "input": "", "chosen": "good", "rejected": "bad"},
            "Perhaps rename 'instruction' to 'query'.",
        ),
        (
            {"instruction": "explain x", "input": "", "output": "good"},
            "Perhaps rename 'instruction' to 'query', 'output' to 'pos'.",
        ),
    ],
)
def test_hints_that_help(
    row: dict[str, Any], says: str, workspace: Workspace, tmp_path: Path
) -> None:
    with pytest.raises(NoGoodRows) as caught:
        bring(workspace, lines(tmp_path / "a.jsonl", [row]))
    assert says in str(caught.value)


@pytest.mark.parametrize("documents", ["texts", "documents", "candidates"])
@pytest.mark.parametrize("labels", ["labels", "relevance", "scores"])
def test_a_list_of_labels_beside_a_list_of_documents(
    documents: str, labels: str, workspace: Workspace, tmp_path: Path
) -> None:
    row = {"query": "q", documents: ["a", "b", "c"], labels: [0, 1, 0]}
    _, reader = bring(workspace, lines(tmp_path / "a.jsonl", [row]))
    assert everything(reader) == {"q": ("train", ["b"], ["a", "c"])}


def test_a_label_that_is_none_costs_its_row_only(workspace: Workspace, tmp_path: Path) -> None:
    """SNLI writes '-' where its annotators did not agree: the others are still labels."""
    rows = [
        {"sentence1": "a man eats", "sentence2": "someone eats", "gold_label": "entailment"},
        {"sentence1": "a man eats", "sentence2": "nobody eats", "gold_label": "contradiction"},
        {"sentence1": "a dog eats", "sentence2": "a cat eats", "gold_label": "-"},
    ]
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows))
    assert everything(reader) == {"a man eats": ("train", ["someone eats"], ["nobody eats"])}
    assert [(one["code"], one["line"]) for one in result["problems"]] == [("bad-score", 3)]


def test_the_preview_counts_what_the_import_sets_aside(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [
        {"query": "q one", "pos": ["p", "['a', 'b']"], "scene": "s"},
        {"query": "", "pos": ["p"], "scene": "s"},
    ]
    path = lines(tmp_path / "a.jsonl", rows)
    result, _ = bring(workspace, path)
    found = preview(workspace, ImportRecipe(paths=[str(path)], name="x")).set_aside
    wanted = {"rows_refused": 1, "own_columns": ["scene"], "list_texts": 1}
    assert found == wanted
    assert {key: result["set_aside"][key] for key in wanted} == wanted
