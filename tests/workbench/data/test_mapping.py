"""Columns mapped by hand, roles guessed, and the preview that shows what comes of it."""

from pathlib import Path

import pytest

from tests.workbench.data.fakes import bring, everything, lines, pdf
from workbench.data.mapping import guess_roles, read_map
from workbench.data.preview import preview
from workbench.errors import BadInput, NoGoodRows
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

FRAGEN = "frage,antwort,falsch\nWo liegt Bonn?,Am Rhein.,In Kiel.\nWer?,Niemand war es.,Alle.\n"
MAP = ["query=frage", "positive=antwort", "negative=falsch"]


@pytest.fixture
def fragen(tmp_path: Path) -> Path:
    (tmp_path / "fragen.csv").write_text(FRAGEN)
    return tmp_path / "fragen.csv"


def test_mapped_columns_are_read(fragen: Path, workspace: Workspace) -> None:
    result, reader = bring(workspace, fragen, mapping=MAP)
    found = everything(reader)
    assert found["Wo liegt Bonn?"][1:] == (["Am Rhein."], ["In Kiel."])
    assert result["problems"] == []


def test_without_the_map_the_message_says_how(fragen: Path, workspace: Workspace) -> None:
    with pytest.raises(NoGoodRows, match="--map query=frage --map positive=antwort"):
        bring(workspace, fragen)


def test_jsonl_and_several_columns_of_one_role(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"f": f"q{n}", "a": f"p{n}", "x": f"n{n}", "y": "", "z": f"m{n}"} for n in range(9)]
    named = ["query=f", "positive=a", "negative=x", "negative=y", "negative=z"]
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows), mapping=named)
    assert everything(reader)["q3"][1:] == (["p3"], ["n3", "m3"])
    assert result["problems"] == []


def test_pairs_and_documents_by_map(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("satz_a,satz_b,note\neins,zwei,0.5\n")
    named = ["left=satz_a", "right=satz_b", "label=note"]
    _, reader = bring(workspace, tmp_path / "a.csv", mapping=named)
    assert reader.pairs()["score"].to_pylist() == [0.5]
    (tmp_path / "b.csv").write_text("nr,inhalt,quelle\n1,Ein Text.,Buch\n")
    _, reader = bring(workspace, tmp_path / "b.csv", mapping=["id=nr", "text=inhalt"])
    assert reader.documents().select(["id", "text", "fields"]).to_pylist() == [
        {"id": "1", "text": "Ein Text.", "fields": '{"quelle": "Buch"}'}
    ]


def test_a_map_for_files_with_ids(workspace: Workspace, tmp_path: Path) -> None:
    lines(tmp_path / "set/corpus.jsonl", [{"nr": "d", "inhalt": "text"}])
    lines(tmp_path / "set/queries.jsonl", [{"nr": "q", "inhalt": "question"}])
    qrels = tmp_path / "set/qrels/test.tsv"
    qrels.parent.mkdir()
    qrels.write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    _, reader = bring(workspace, tmp_path / "set", mapping=["id=nr", "text=inhalt"])
    assert everything(reader) == {"question": ("test", ["text"], [])}


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (["query"], "ROLE=COLUMN"),
        (["query="], "ROLE=COLUMN"),
        (["qery=a"], "Did you mean 'query'"),
        (["query=a", "query=b"], "Only positive and negative"),
    ],
)
def test_a_map_that_is_none(said: list[str], hint: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_map(said)
    assert hint in refused.value.hint


def test_a_map_of_columns_that_are_not_there(fragen: Path, workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="'nix'") as refused:
        bring(workspace, fragen, mapping=["query=nix"])
    assert "'frage', 'antwort', 'falsch'" in refused.value.hint


@pytest.mark.parametrize(
    ("row", "roles"),
    [
        ({"frage": "x", "antwort": "y"}, {"frage": "query", "antwort": "positive"}),
        (
            {"问题": "x", "答案": "y", "标签": "1"},
            {"问题": "query", "答案": "positive", "标签": "label"},
        ),
        (
            {"col1": "a short one", "col2": "a text that is a good deal longer than that"},
            {"col1": "query", "col2": "positive"},
        ),
        ({"user_question": "x", "content": "y"}, {"user_question": "query", "content": "positive"}),
        (
            {"nr": "1", "titel": "T", "inhalt": "x"},
            {"nr": "id", "titel": "title", "inhalt": "text"},
        ),
        ({"a": 1, "b": 2}, {}),
    ],
)
def test_guesses(row: dict[str, object], roles: dict[str, str]) -> None:
    assert guess_roles([row]) == roles


def test_the_preview_shows_rows_as_they_would_be_read(fragen: Path, workspace: Workspace) -> None:
    blind = preview(workspace, ImportRecipe(paths=[str(fragen)], name="-"))
    assert (blind.known, blind.rows) == (False, [])
    assert blind.columns["antwort"] == "Am Rhein."
    assert [f"{role}={column}" for column, role in blind.guess.items()] == MAP
    seen = preview(workspace, ImportRecipe(paths=[str(fragen)], name="-", mapping=MAP))
    assert (seen.known, seen.format) == (True, "query-pos-neg")
    assert seen.rows[0].texts == (
        ("query", "Wo liegt Bonn?"),
        ("positive", "Am Rhein."),
        ("negative", "In Kiel."),
    )
    assert seen.to_dict()["rows"][1]["line"] == 3


def test_the_preview_shows_pieces(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One\n\nText.\n\n# Two\n\nMore text.\n")
    (tmp_path / "b.pdf").write_bytes(pdf("Paper."))
    found = preview(
        workspace, ImportRecipe(paths=[str(tmp_path / "a.md"), str(tmp_path / "b.pdf")], name="-")
    )
    assert found.format == "markdown + pdf"
    assert [dict(row.texts)["text"] for row in found.rows] == ["Text.", "More text.", "Paper."]
    assert [row.kind for row in found.rows] == ["document"] * 3


def test_the_preview_reads_little_and_writes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"query": f"q{n}", "pos": [f"p{n}"]} for n in range(50_000)]
    before = set(workspace.home.rglob("*"))
    found = preview(
        workspace, ImportRecipe(paths=[str(lines(tmp_path / "a.jsonl", rows))], name="-")
    )
    assert len(found.rows) == 5
    assert set(workspace.home.rglob("*")) == before


def test_the_preview_of_a_broken_file_says_so(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 nothing")
    found = preview(workspace, ImportRecipe(paths=[str(tmp_path / "a.pdf")], name="-"))
    assert [one["code"] for one in found.problems] == ["unreadable"]


def test_the_preview_of_a_corpus_shows_its_texts(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    lines(folder / "corpus.jsonl", [{"_id": f"d{n}", "title": "T", "text": "t"} for n in range(9)])
    lines(folder / "queries.jsonl", [{"_id": f"q{n}", "text": f"text {n}?"} for n in range(9)])
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    found = preview(workspace, ImportRecipe(paths=[str(folder)], name="-"))
    assert (found.format, found.known) == ("beir", True)
    assert [row.kind for row in found.rows] == ["document"] * 2 + ["query"] * 2
    assert found.rows[0].texts == (("id", "d0"), ("title", "T"), ("text", "t"))
    assert found.rows[2].texts == (("id", "q0"), ("query", "text 0?"))
