"""Tables with a header, without one, and with one of names that nobody knows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, everything, lines
from tests.workbench.data.sheets import workbook
from workbench.data.formats.fileformat import Head
from workbench.data.formats.headers import header_of
from workbench.data.mapping import read_map
from workbench.data.preview import preview
from workbench.errors import NoGoodRows
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

COLLECTION = (
    '0\tHe said "copper is a metal\n1\tcopper, tin; and | "soft"\n2\t"quoted passage start\n'
    "3\tiron rusts in water\n4\ttin melts easily\n"
)
QUERIES = "100\tis copper a metal\n101\tdoes iron rust\n102\ttin melting\n"
QRELS = {
    "qrels.dev.small.tsv": "100\t0\t0\t1\n100\t0\t1\t1\n101\t0\t3\t1\n102\t0\t4\t1\n",
    "qrels.txt": "100 Q0 0 1\n100 Q0 1 2\n101 Q0 3 1\n102 Q0 4 1\n",
    "dev.qrels": "100 0 1\n100 1 1\n101 3 1\n102 4 1\n",
    "judged.trec": "100 0 0 1\n100 0 1 1\n101 0 3 1\n102 0 4 1\n",
    "qrels.csv": "100,0,0,1\n100,0,1,1\n101,0,3,1\n102,0,4,1\n",
    "qrels.tsv": "100\t0\t1\n100\t1\t1\n101\t3\t1\n102\t4\t1\n",
    "judgments.tsv": "100\t0\n100\t1\n101\t3\n102\t4\n",
    "qrels/dev.tsv": "100\t0\t0\t1\n100\t0\t1\t1\n101\t0\t3\t1\n102\t0\t4\t1\n",
}


@pytest.mark.parametrize("name", QRELS)
@pytest.mark.parametrize("queries", ["queries.dev.small.tsv", "queries.txt"])
def test_ms_marco(name: str, queries: str, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "in" / name).parent.mkdir(parents=True)
    (tmp_path / "in" / name).write_text(QRELS[name])
    (tmp_path / "in" / queries).write_text(QUERIES)
    (tmp_path / "in/collection.tsv").write_text(COLLECTION)
    result, reader = bring(workspace, tmp_path / "in")
    assert (result["documents"], result["queries"], result["judgments"]) == (5, 3, 4)
    found = {query: row[1] for query, row in everything(reader).items()}
    texts = [line.split("\t")[1] for line in COLLECTION.splitlines()]
    assert found["is copper a metal"] == texts[:2]
    assert reader.documents()["id"].to_pylist() == ["0", "1", "2", "3", "4"]
    assert set(result["problem_counts"]) == {"no-header"}
    assert result["splits"]["dev"] == (3 if "dev" in name.replace("/", ".").split(".") else 0)


def test_triples(workspace: Workspace, tmp_path: Path) -> None:
    rows = [f'query {i} of all\tmetal {i} is "hard\tfruit {i}, soft' for i in range(4)]
    (tmp_path / "triples.train.small.tsv").write_text("".join(f"{row}\n" for row in rows))
    result, reader = bring(workspace, tmp_path / "triples.train.small.tsv")
    found = everything(reader)
    assert len(found) == 4
    assert found["query 0 of all"][1:] == (['metal 0 is "hard'], ["fruit 0, soft"])
    assert result["problem_counts"] == {"no-header": 1}


@pytest.mark.parametrize("mark", [",", "\t", ";", "|"])
@pytest.mark.parametrize(
    "rows",
    [
        [("what is the capital of France?", "It is Paris."), ("how tall is it", "3776 m.")],
        [("cat", "Katze"), ("dog", "Hund"), ("cow", "Kuh")],
        [("Mount Fuji", "a mountain of 3776 m in Japan"), ("Oslo fjord", "water")],
        [("1969", "the year of the moon landing"), ("1989", "the year of the wall")],
        [("北京是中国的首都吗", "是的"), ("上海在哪里", "在东海边")],
    ],
)
def test_no_row_is_taken_for_a_header_in_silence(
    rows: list[tuple[str, str]], mark: str, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("".join(f"{a}{mark}{b}\n" for a, b in rows))
    result, _ = bring(workspace, tmp_path / "rows.csv")
    found = result["queries"] or result["documents"]
    assert found == len(rows) or "unclear-header" in result["problem_counts"]
    assert set(result["problem_counts"]) & {"no-header", "unclear-header"}
    assert "header" in result["problems"][0]["message"]
    # A person may overrule it, either way.
    result, _ = bring(workspace, tmp_path / "rows.csv", header="no")
    assert (result["queries"] or result["documents"]) == len(rows)
    assert not result["problems"]


@pytest.mark.parametrize(
    "text",
    [
        "query,positive\nq,p\nr,s\n",
        "Query,Positive\nq,p\n",
        "query,positive,negative,topic,source\nq,p,n,t,s\n",
        "question;answer\nq;p\n",
        "frage,antwort\nWo liegt Bonn?,Am Rhein.\n",
        ",query,positive\n0,q,p\n",
        "query,positive,,\nq,p,,\n",
    ],
)
def test_a_header_of_known_names_is_one(text: str, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(text)
    result, _ = bring(workspace, tmp_path / "rows.csv")
    assert result["queries"] == text.count("\n") - 1
    assert not set(result["problem_counts"]) - {"unknown-columns"}


@pytest.mark.parametrize(
    ("name", "text", "first"),
    [
        ("collection.tsv", "steel-1a\tSteel is hard.\nwood\tWood, it burns\n", "steel-1a"),
        ("my-docs.csv", "d1,Steel is hard\nd2,Wood burns\n", "d1"),
        ("corpus.tsv", "a1\tA title\tThe text, a longer one\nb2\tB\tAnother text\n", "a1"),
        ("docs.tsv", "D1\thttp://x.y\tTitle\tText of it\nD2\thttp://x.z\tT\tMore\n", "D1"),
        ("corpus.tsv", "nummer\tinhalt\n1\tDer Text von eins.\n2\tDer andere.\n", "nummer"),
    ],
)
def test_a_corpus_without_a_header(
    name: str, text: str, first: str, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    result, reader = bring(workspace, tmp_path / name)
    lines = text.count("\n")
    if first == "nummer":
        assert result["documents"] == lines - 1
        return
    assert reader.documents()["id"].to_pylist()[0] == first
    assert result["documents"] == lines
    assert set(result["problem_counts"]) == {"no-header"}


def test_pictures_and_their_captions_have_a_header(tmp_path: Path) -> None:
    for names in (["file_name", "caption"], ["image", "alt_text"], ["path", "prompt"]):
        head = Head("metadata.csv", b"", lambda: None)  # type: ignore[arg-type, return-value]
        assert header_of(head, [names, ["a.png", "a cat"], ["b.png", "a dog"]]).names == ()


def test_an_unnamed_first_column_does_not_move_the_others(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "rows.tsv").write_text("\tquery\tpositive\n0\tthe query\tthe text\n")
    _, reader = bring(workspace, tmp_path / "rows.tsv")
    assert everything(reader)["the query"][1] == ["the text"]


@pytest.mark.parametrize(
    ("header", "queries", "counts"), [("yes", 2, {"unknown-columns": 2}), ("no", 3, {})]
)
def test_what_is_said_counts(
    header: str, queries: int, counts: dict[str, int], workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text("cat,Katze\ndog,Hund\ncow,Kuh\n")
    result, _ = bring(workspace, tmp_path / "rows.csv", header=header)
    assert (result["queries"], result["problem_counts"]) == (queries, counts)


def test_columns_without_names_can_be_mapped(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "top1000.tsv").write_text("1\td1\tthe query\tthe text\n2\td2\tother\ttext 2\n")
    mapping = ["query=column 3", "positive=column 4"]
    result, reader = bring(workspace, tmp_path / "top1000.tsv", mapping=mapping)
    assert everything(reader)["the query"][1] == ["the text"]
    assert result["queries"] == 2


def test_the_preview_says_it_too(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "collection.tsv").write_text(COLLECTION)
    recipe = ImportRecipe(paths=[str(tmp_path / "collection.tsv")], name="-")
    found = preview(workspace, recipe)
    assert [one["code"] for one in found.problems] == ["no-header"]
    assert found.rows[0].texts[0] == ("id", "0")


WORD = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20)


@given(rows=st.lists(st.lists(WORD, min_size=1, max_size=4), min_size=1, max_size=6))
def test_any_rows_get_an_answer(rows: list[list[str]]) -> None:
    def nothing() -> object:
        raise AssertionError

    for choice in ("auto", "yes", "no"):
        head = Head("rows.csv", b"", nothing, header=choice, columns=read_map([]))  # type: ignore[arg-type]
        header = header_of(head, rows)
        if header.names:
            assert len(header.names) in {len(row) for row in rows}


@pytest.mark.parametrize("first", ["sep=;", "\ufeffsep=;", '"sep=;"', "SEP=;"])
def test_excels_own_first_line_is_no_row(first: str, workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{first}\nquery;positive\nq one;p, one\nq two;p two\n", encoding="utf-8")
    result, reader = bring(workspace, path, dev_share=0, test_share=0)
    assert {query: row[1] for query, row in everything(reader).items()} == {
        "q one": ["p, one"],
        "q two": ["p two"],
    }
    assert result["problems"] == []


@pytest.mark.parametrize(
    "above", ["# made by a program\n", "My export,\n", "My export,\n\nof today,\n", "# a\n# b\n"]
)
def test_lines_above_the_names_are_told_and_are_no_rows(
    above: str, workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(above + "query,positive\nq one,p one\nq two,p two\n")
    result, reader = bring(workspace, path, dev_share=0, test_share=0)
    assert sorted(everything(reader)) == ["q one", "q two"]
    assert [one["code"] for one in result["problems"]] == ["lines-above-header"]


def test_lines_above_the_names_in_a_workbook(workspace: Workspace, tmp_path: Path) -> None:
    rows = [["An export", ""], ["query", "positive"], ["q one", "p one"]]
    result, reader = bring(workspace, workbook(tmp_path / "a.xlsx", rows=rows))
    assert list(everything(reader)) == ["q one"]
    assert [one["code"] for one in result["problems"]] == ["lines-above-header"]


def test_a_row_of_words_is_no_header_further_down(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("what is it?,a thing\nquery,answer\nwho is it?,a person\n")
    _, reader = bring(workspace, tmp_path / "a.csv")
    assert len(everything(reader)) == 3


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        (
            "msmarco_passage_00.jsonl",
            [{"pid": "m_0", "passage": "copper is soft", "spans": "(0,3)", "docid": "d_0"},
             {"pid": "m_1", "passage": "iron rusts", "spans": "(0,3)", "docid": "d_0"}],
        ),
        (
            "msmarco_doc_00.jsonl",
            [{"url": "http://a", "title": "", "headings": "h", "body": "copper is soft",
              "docid": "m_0"},
             {"url": "http://b", "title": "", "headings": "h", "body": "iron rusts",
              "docid": "m_1"}],
        ),
    ],
)  # fmt: skip
def test_ms_marco_of_the_second_version(
    name: str, rows: list[dict[str, str]], workspace: Workspace, tmp_path: Path
) -> None:
    """Its corpora are not called so, and its passages have their document's id too."""
    lines(tmp_path / "in" / name, rows)
    (tmp_path / "in/passv2_dev_queries.tsv").write_text("10\tis copper soft\n11\tdoes iron rust\n")
    (tmp_path / "in/passv2_dev_qrels.tsv").write_text("10\t0\tm_0\t1\n11\t0\tm_1\t1\n")
    result, reader = bring(workspace, tmp_path / "in", dev_share=0, test_share=0)
    assert {query: row[1] for query, row in everything(reader).items()} == {
        "is copper soft": ["copper is soft"],
        "does iron rust": ["iron rusts"],
    }
    assert result["set_aside"]["rows_refused"] == 0


def test_a_refusal_names_what_refused(workspace: Workspace, tmp_path: Path) -> None:
    """Not a remark about the header that stands before it in the list."""
    (tmp_path / "sts.tsv").write_text(
        "a\tb\t2012\t1\t5.0\tA plane flies.\tAn air plane flies.\n" * 2
    )
    with pytest.raises(NoGoodRows, match="not a shape that is known"):
        bring(workspace, tmp_path / "sts.tsv")


def test_q_and_a_are_names(workspace: Workspace, tmp_path: Path) -> None:
    rows = "".join(f"what is number {n} of them?,it is number {n} of all\n" for n in range(4))
    (tmp_path / "a.csv").write_text("q,a\n" + rows)
    result, reader = bring(workspace, tmp_path / "a.csv")
    assert len(everything(reader)) == 4
    assert [(one["code"], one["field"]) for one in result["problems"]] == [("unknown-columns", "a")]
