"""Labels that are words or booleans; pairs of questions; premises and hypotheses."""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import bring, codes, everything, lines
from workbench.errors import NoGoodRows
from workbench.workspace import Workspace

TWO = {
    "ask one": ("train", ["good one"], ["bad one"]),
    "ask two": ("train", ["good two"], ["bad two"]),
}
ALL_TRAIN = {"dev_share": 0, "test_share": 0}


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("column", ["label", "relevance", "is_relevant", "relevant", "correct"])
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("True", "False"),
        ("TRUE", "false"),
        ("yes", "No"),
        ("Y", "n"),
        ("1", "0"),
        ("1.0", "0.0"),
        ("relevant", "irrelevant"),
        ("Relevant", "not_relevant"),
        ("relevant", "Non-Relevant"),
        ("positive", "negative"),
        ("correct", "incorrect"),
    ],
)
def test_two_labels(
    column: str, right: str, wrong: str, workspace: Workspace, tmp_path: Path
) -> None:
    rows = [f"query,passage,{column}"]
    for number in ("one", "two"):
        rows += [f"ask {number},good {number},{right}", f"ask {number},bad {number},{wrong}"]
    result, reader = bring(workspace, table(tmp_path / "a.csv", *rows), **ALL_TRAIN)
    assert (result["format"], result["problems"]) == ("graded-pairs", [])
    assert everything(reader) == TWO
    assert reader.judgments()["grade"].to_pylist() == [1, 1]


def test_booleans_of_json(workspace: Workspace, tmp_path: Path) -> None:
    rows = [
        {"query": f"ask {n}", "passage": f"{kind} {n}", "relevant": kind == "good"}
        for n in ("one", "two")
        for kind in ("good", "bad")
    ]
    _, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows), **ALL_TRAIN)
    assert everything(reader) == TWO


def test_words_of_several_grades(workspace: Workspace, tmp_path: Path) -> None:
    said = ["not relevant", "partially relevant", "relevant", "Highly_Relevant"]
    rows = ["query,passage,label", *(f"q,p{n},{label}" for n, label in enumerate(said))]
    result, reader = bring(workspace, table(tmp_path / "a.csv", *rows))
    assert result["problems"] == []
    assert reader.judgments()["grade"].to_pylist() == [1, 2, 3]
    rows = ["query,passage,label", "q,a,irrelevant", "q,b,relevant", "q,c,very relevant"]
    _, reader = bring(workspace, table(tmp_path / "b.csv", *rows))
    assert reader.judgments()["grade"].to_pylist() == [1, 2]


def test_a_label_nobody_knows_is_refused_in_words(workspace: Workspace, tmp_path: Path) -> None:
    rows = ["query,passage,label", "q,a,relevant", "q,b,dunno"]
    result, _ = bring(workspace, table(tmp_path / "a.csv", *rows))
    [problem] = result["problems"]
    assert (problem["code"], problem["line"], problem["field"]) == ("bad-score", 3, "label")
    assert "'dunno'" in problem["message"] and "left out" in problem["message"]


@pytest.mark.parametrize("left", ["premise,hypothesis", "sentence1,sentence2"])
def test_natural_language_inference(left: str, workspace: Workspace, tmp_path: Path) -> None:
    rows = [f"{left},gold_label", "a man eats,someone eats,entailment"]
    rows += ["a man eats,nobody eats,contradiction", "a man eats,it rains,neutral"]
    result, reader = bring(workspace, table(tmp_path / "a.csv", *rows))
    assert everything(reader) == {"a man eats": ("train", ["someone eats"], ["nobody eats"])}
    assert codes(result) == [("neutral-label", 4, "error")]


def test_classes_as_numbers_are_no_grades(workspace: Workspace, tmp_path: Path) -> None:
    file = table(tmp_path / "a.csv", "premise,hypothesis,label", "a,b,0", "c,d,2", "e,f,1")
    with pytest.raises(NoGoodRows, match="0 is entailment"):
        bring(workspace, file)
    assert bring(workspace, file, scores="pairs")[0]["pairs"] == 3


def scores(reader: Any) -> dict[str, float]:
    return dict(
        zip(reader.pairs()["left"].to_pylist(), reader.pairs()["score"].to_pylist(), strict=True)
    )


@pytest.mark.parametrize(
    ("right", "wrong"), [("1", "0"), ("True", "False"), ("duplicate", "not duplicate")]
)
def test_duplicate_questions(right: str, wrong: str, workspace: Workspace, tmp_path: Path) -> None:
    rows = [
        "id,qid1,qid2,question1,question2,is_duplicate",
        f"0,1,2,a,b,{right}",
        f"1,3,4,c,d,{wrong}",
    ]
    result, reader = bring(workspace, table(tmp_path / "a.csv", *rows))
    assert (result["format"], result["problems"]) == ("scored-pairs", [])
    assert scores(reader) == {"a": 1.0, "c": 0.0}


@pytest.mark.parametrize(("right", "wrong"), [("True", "False"), ("relevant", "not relevant")])
def test_judgments_in_words(right: str, wrong: str, workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    lines(folder / "corpus.jsonl", [{"_id": f"d{n}", "text": f"t{n}"} for n in range(2)])
    lines(folder / "queries.jsonl", [{"_id": "q", "text": "question"}])
    rows = [{"query-id": "q", "corpus-id": f"d{n}", "score": (right, wrong)[n]} for n in range(2)]
    for name in ("qrels/test.jsonl", "qrels/test.tsv"):
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        if name.endswith("tsv"):
            (folder / "qrels/test.jsonl").unlink()
            table(file, "query-id\tcorpus-id\tscore", *("\t".join(row.values()) for row in rows))
        else:
            lines(file, rows)
        result, reader = bring(workspace, folder)
        assert (result["problems"], reader.judgments()["grade"].to_pylist()) == ([], [1, 0])


def test_decimal_commas(workspace: Workspace, tmp_path: Path) -> None:
    rows = ["sentence1,sentence2,score", 'a,b,"4,5"', 'c,d,"1,0"']
    _, reader = bring(workspace, table(tmp_path / "a.csv", *rows))
    assert scores(reader) == {"a": 4.5, "c": 1.0}
