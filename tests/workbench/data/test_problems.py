"""Every code there is, each from a file a person might send, with its place and its fix."""

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import bring, lines, pdf
from tests.workbench.data.sheets import packed, sheet
from tests.workbench.pictures.fakes import bomb, noise
from workbench.data import lines as lines_module
from workbench.data import sources
from workbench.data.problems import PROBLEMS, ProblemLog
from workbench.data.reader import read_problems
from workbench.errors import NoGoodRows
from workbench.workspace import Workspace

GOOD = {"query": "good", "pos": ["yes"]}


def two_sheets() -> bytes:
    out = BytesIO()
    packed(out, {"rows": sheet([["query", "positive"], ["q", "p"]]), "more": sheet([["x"]])})
    return out.getvalue()


def jsonl(*rows: Any, name: str = "rows.jsonl") -> dict[str, bytes]:
    """Files: a good row, then these (text goes in as it is)."""
    written = [row if isinstance(row, str) else json.dumps(row) for row in (GOOD, *rows)]
    return {name: ("\n".join(written) + "\n").encode()}


def beir(qrels: str, corpus: str = '{"_id": "d", "text": "t"}\n') -> dict[str, bytes]:
    return {
        "set/corpus.jsonl": corpus.encode(),
        "set/queries.jsonl": b'{"_id": "q", "text": "question"}\n',
        "set/qrels/train.tsv": b"query-id\tcorpus-id\tscore\n" + qrels.encode(),
    }


# code, files, line, field, severity
def shown(*more: Any) -> dict[str, bytes]:
    """A picture with its caption."""
    rows = [{"image": "a bag.png", "text": "bag"}, *more]
    named = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return {"p/a bag.png": noise(1), "p/captions.jsonl": named}


CASES: list[tuple[str, dict[str, bytes], int | None, str | None, str]] = [
    ("not-json", jsonl('{"query": "cut of'), 2, None, "error"),
    (
        "not-json",
        {"a.json": b'[{"query": "q", "pos": ["p"]},\n{"query": }, \n{"query": "r", "pos": ["p"]}]'},
        2,
        None,
        "error",
    ),
    ("not-json", jsonl("[" * 100_000), 2, None, "error"),
    ("not-object", jsonl(["a", "list"]), 2, None, "error"),
    ("missing-field", jsonl({"pos": ["p"], "neg": ["n"]}), 2, "query", "error"),
    ("missing-field", jsonl({"query": "q"}), 2, "pos", "error"),
    ("missing-field", jsonl({"query": None, "pos": ["p"]}), 2, "query", "error"),
    (
        "missing-field",
        jsonl({"query": "q", "pos": ["p"], "neg": [{"title": "t"}]}),
        2,
        "neg[0]",
        "warning",
    ),
    ("wrong-type", jsonl({"query": 12345, "pos": ["p"]}), 2, "query", "error"),
    ("wrong-type", jsonl('{"query": NaN, "pos": ["p"]}'), 2, "query", "error"),
    ("wrong-type", jsonl({"query": "q", "pos": [["nested"]]}), 2, "pos[0]", "error"),
    ("wrong-type", jsonl({"query": "q", "pos": ["p"], "neg": [7, "n"]}), 2, "neg[0]", "warning"),
    ("wrong-type", jsonl({"query": ["Instruction;", "q"], "pos": ["p"]}), 2, "query", "error"),
    ("empty-text", jsonl({"query": "   ", "pos": ["p"]}), 2, "query", "error"),
    ("empty-text", jsonl({"query": "q", "pos": ["p"], "neg": ["", "n"]}), 2, "neg[0]", "warning"),
    ("no-positive", jsonl({"query": "q", "pos": []}), 2, "pos", "error"),
    ("no-positive", jsonl({"query": "q", "pos": ""}), 2, "pos", "error"),
    (
        "no-positive",
        jsonl({"query": "q", "hits": [{"content": "c", "label": -1}]}),
        2,
        "hits",
        "error",
    ),
    (
        "positive-equals-negative",
        jsonl({"query": "q", "pos": ["p"], "neg": ["p", "n"]}),
        2,
        None,
        "warning",
    ),
    ("duplicate-query", jsonl({"query": "good", "pos": ["other"]}), 2, "query", "warning"),
    ("duplicate-row", jsonl(GOOD), 2, "query", "warning"),
    (
        "not-utf8",
        {
            "a.jsonl": jsonl()["rows.jsonl"] * 2
            + b'{"query": "caf\xe9", "pos": ["p"]}\n'
            + '{"query": "中文字字", "pos": ["p"]}\n'.encode()
        },
        3,
        None,
        "error",
    ),
    ("odd-characters", jsonl('{"query": "half \\ud83d", "pos": ["p"]}'), 2, None, "warning"),
    (
        "bad-score",
        jsonl('{"query": "q", "pos": ["p"], "pos_scores": [Infinity]}'),
        2,
        "pos_scores",
        "warning",
    ),
    (
        "bad-score",
        jsonl({"query": "q", "pos": ["p"], "pos_scores": [1, 2]}),
        2,
        "pos_scores",
        "warning",
    ),
    (
        "bad-score",
        jsonl('{"query": "q", "pos": ["p"], "neg": ["n"], "score": Infinity}'),
        2,
        "score",
        "warning",
    ),
    (
        "bad-score",
        jsonl({"query": "q", "hits": [{"content": "c", "label": 1}, {"content": "d"}]}),
        2,
        "hits[1].label",
        "warning",
    ),
    ("bad-score", beir("q\td\t1\nq\td\tmuch\n"), 3, "score", "error"),
    (
        "ids-left-out",
        jsonl({"query": "q", "pos": ["p", "r"], "pos_id": ["d1"]}),
        2,
        "pos_id",
        "warning",
    ),
    (
        "unknown-columns",
        jsonl({"query": "q", "pos": ["p"], "neg_count": 1}),
        2,
        "neg_count",
        "warning",
    ),
    (
        "neutral-label",
        {**jsonl(), "a.csv": b"premise,hypothesis,label\na,b,neutral\n"},
        2,
        "label",
        "error",
    ),
    (
        "numbered-inference",
        {**jsonl(), "a.csv": b"premise,hypothesis,label\na,b,2\n"},
        2,
        None,
        "error",
    ),
    ("two-grades", beir("q\td\t1\nq\td\t2\n"), 3, None, "warning"),
    (
        "id-as-number",
        {
            "set/corpus.jsonl": b'{"_id": "1", "text": "t"}\n',
            "set/queries.jsonl": b'{"_id": "q", "text": "question"}\n',
            "set/qrels/train.tsv": b"query-id\tcorpus-id\tscore\nq\t1.0\t1\n",
        },
        2,
        "document",
        "warning",
    ),
    (
        "scores-alone",
        {
            **jsonl(),
            "set/corpus.jsonl": b'{"_id": "1", "text": "t"}\n',
            "set/queries.jsonl": b'{"_id": "q", "text": "question"}\n',
            "set/train.jsonl": b'{"query_id": "q", "document_ids": ["1"], "scores": [1]}\n',
        },
        None,
        None,
        "error",
    ),
    ("missing-field", jsonl({"id": "1", "text": "a document among queries"}), 2, "query", "error"),
    ("bad-score", jsonl({"text1": "a", "text2": "b", "score": None}), 2, "score", "error"),
    ("bad-score", {**jsonl(), "a.csv": b"query,passage,label\nq,p,good\n"}, 2, "label", "error"),
    ("unsupported-shape", jsonl({"image": "a.png", "text": "a picture"}), 2, None, "error"),
    ("picture-unknown", {**shown(), "p/b.png": b"no picture"}, None, None, "error"),
    ("picture-broken", {**shown(), "p/b.png": noise(2)[:300]}, None, None, "error"),
    (
        "too-many-columns",
        jsonl({"query": "q2", "pos": ["p2"], **{f"c{at}": at for at in range(10_001)}}),
        2,
        None,
        "error",
    ),
    ("picture-too-large", {**shown(), "p/b.png": bomb()}, None, None, "error"),
    ("picture-repeated", {**shown(), "p/a cup.png": noise(1)}, None, None, "warning"),
    ("picture-missing", shown({"image": "b.png", "text": "cup"}), 2, "image", "error"),
    (
        "no-caption",
        {**shown({"image": "b.png", "text": ""}), "p/b.png": noise(2)},
        2,
        None,
        "warning",
    ),
    ("unsupported-shape", {**jsonl(), "a.docx": b"PK"}, None, None, "error"),
    ("unreadable", {**jsonl(), "a.pdf": b"%PDF"}, None, None, "error"),
    ("no-text", {**jsonl(), "a.pdf": pdf("")}, None, None, "error"),
    (
        "not-utf8",
        {**jsonl(), "a.txt": b"caf\xe9\n" + "中文字字\n".encode() * 9},
        1,
        None,
        "warning",
    ),
    (
        "queries-alone",
        {**jsonl(), "queries.jsonl": b'{"_id": "q", "text": "question"}\n'},
        None,
        None,
        "error",
    ),
    (
        "instruction-dropped",
        {"a.json": b'[{"query": ["Find:", "q"], "pos": ["Passage:", "p"]}]'},
        1,
        "pos",
        "warning",
    ),
    (
        "passage-key-dropped",
        jsonl({"question": "q", "positive_ctxs": [{"text": "p", "score": 7, "title_score": 1}]}),
        2,
        "title_score",
        "warning",
    ),
    ("unsupported-shape", {**jsonl(), "a.csv": b"a,b,c\n1,2,3\n"}, 1, None, "error"),
    ("unknown-id", beir("q\td\t1\nq\tnobody\t1\n"), 3, "document", "error"),
    (
        "repeated-id",
        beir("q\td\t1\n", '{"_id": "d", "text": "t"}\n{"_id": "d", "text": "u"}\n'),
        2,
        "id",
        "error",
    ),
    (
        "duplicate-id",
        jsonl(
            {"query": "q", "positive_passages": [{"docid": "1", "text": "a"}]},
            {"query": "r", "positive_passages": [{"docid": "1", "text": "b"}]},
        ),
        3,
        "id",
        "warning",
    ),
    (
        "leaked-test-query",
        {**jsonl(name="test.jsonl"), **jsonl(name="train.jsonl")},
        1,
        "query",
        "warning",
    ),
    (
        "leaked-dev-query",
        {**jsonl(name="valid.jsonl"), **jsonl(name="train.jsonl")},
        1,
        "query",
        "warning",
    ),
    ("no-rows", {**jsonl(), "empty.jsonl": b"\n \n"}, None, None, "error"),
    (
        "missing-file",
        {**jsonl(), "qrels.tsv": b"query-id\tcorpus-id\tscore\nq\td\t1\n"},
        None,
        None,
        "error",
    ),
    ("line-too-long", jsonl('{"query": "' + "x" * 3_000_000 + '"}'), 2, None, "error"),
    ("bad-quotes", {"a.csv": b'query,pos\nq,p\n"open,p\nr,p\n'}, 3, None, "error"),
    ("bad-list", {**jsonl(), "a.csv": b"query,pos\nq,\"['a' ... 'b']\"\n"}, 2, "pos", "error"),
    ("missing-values", {"a.csv": b"query,pos,neg\nq,p,nan\n"}, 2, "neg", "warning"),
    ("doubled-column", {"a.csv": b"query,pos,neg,neg\nq,p,n,m\n"}, 2, "neg", "warning"),
    ("doubled-key", jsonl('{"query": "q", "pos": ["p"], "pos": ["r"]}'), 2, "pos", "warning"),
    ("no-header", {"a.csv": b"who is it?,It is she.\n"}, 1, None, "warning"),
    (
        "lines-above-header",
        {"a.csv": b"An export of ours,\nquery,positive\nq,p\n"},
        1,
        None,
        "warning",
    ),
    ("unclear-header", {"a.csv": b"foo,bar\nwho is it?,It is she.\n"}, 1, None, "warning"),
    ("too-many-columns", jsonl({f"c{at}": at for at in range(10_001)}), 2, None, "error"),
    ("other-sheets", {"a.xlsx": two_sheets()}, None, None, "warning"),
    ("extra-cells", {"a.csv": b"query,pos\nq,p\nr,p,one,two\n"}, 3, None, "error"),
    ("unreadable", {**jsonl(), "a.parquet": b"PAR1 and nothing more"}, None, None, "error"),
    ("unreadable", {**jsonl(), "a.zip": b"PK\x03\x04 and nothing more"}, None, None, "error"),
]


@pytest.mark.parametrize(("code", "files", "line", "field", "severity"), CASES)
def test_code(
    code: str,
    files: dict[str, bytes],
    line: int | None,
    field: str | None,
    severity: str,
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines_module, "LONGEST_LINE", 1 << 20)
    for name, data in files.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    tops = {name.split("/")[0] for name in files}
    result, reader = bring(workspace, *(tmp_path / "in" / top for top in sorted(tops)))
    found = [one for one in result["problems"] if one["code"] == code]
    assert len(found) == 1, result["problems"]
    assert (found[0]["line"], found[0]["field"], found[0]["severity"]) == (line, field, severity)
    assert found[0]["message"].endswith((".", "}"))
    assert result["problem_counts"][code] == 1
    assert reader.problems(0, 10, code=code)[0].to_dict() == found[0]
    assert result["queries"] >= 1  # The good rows are kept, whatever stands beside them.


def test_every_code_has_a_case() -> None:
    elsewhere = {"unsafe-path", "nested-archive", "archive-too-big", "picture-too-slow"}
    assert {case[0] for case in CASES} | elsewhere == set(PROBLEMS)


def write_zip(path: Path, members: dict[str, bytes | zipfile.ZipInfo]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            if isinstance(data, zipfile.ZipInfo):
                archive.writestr(data, "target")
            else:
                archive.writestr(name, data)
    return path


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("link.jsonl")
    entry.external_attr = 0o120777 << 16
    return entry


@pytest.mark.parametrize(
    ("code", "member", "data"),
    [
        ("unsafe-path", "link.jsonl", link()),
        ("unsafe-path", "../outside.jsonl", jsonl()["rows.jsonl"]),
        ("unsafe-path", "/etc/passwd.jsonl", jsonl()["rows.jsonl"]),
        ("unsafe-path", "C:\\rows.jsonl", jsonl()["rows.jsonl"]),
        ("nested-archive", "inner.zip", b"PK"),
    ],
)
def test_what_a_zip_must_not_hold(
    code: str, member: str, data: Any, workspace: Workspace, tmp_path: Path
) -> None:
    file = write_zip(tmp_path / "a.zip", {"rows.jsonl": jsonl()["rows.jsonl"], member: data})
    result, _ = bring(workspace, file)
    assert result["problem_counts"] == {code: 1}
    assert result["queries"] == 1


def test_a_bomb_is_refused(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_ALWAYS_FINE", 1_000_000)
    file = write_zip(tmp_path / "a.zip", {"rows.jsonl": b"\n" * 5_000_000})
    with pytest.raises(NoGoodRows) as refused:
        bring(workspace, file)
    assert refused.value.details["problem_counts"] == {"archive-too-big": 1}


def test_a_zip_is_read_like_a_folder(workspace: Workspace, tmp_path: Path) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = io.BytesIO()
    pq.write_table(pa.table({"query": ["dev query"], "pos": [["p"]]}), table)
    members: dict[str, Any] = {
        "data/train.jsonl": jsonl()["rows.jsonl"],
        "data/dev.parquet": table.getvalue(),
        "data/test.csv": b"query,pos\ntest query,p\n",
        "__MACOSX/data/._train.jsonl": b"\x00\x05",
        "data/.DS_Store": b"\x00",
    }
    result, _ = bring(workspace, write_zip(tmp_path / "a.zip", members))
    assert result["splits"] == {"train": 1, "dev": 1, "test": 1}
    assert result["problems"] == []


def test_a_zip_that_breaks_off_keeps_its_good_rows(workspace: Workspace, tmp_path: Path) -> None:
    import random

    chance = random.Random(3)
    many = "".join(
        json.dumps({"query": f"q{i} {chance.random()}", "pos": [f"p{i}"]}) + "\n"
        for i in range(60_000)
    )
    file = write_zip(tmp_path / "a.zip", {"rows.jsonl": many.encode()})
    data = bytearray(file.read_bytes())
    middle = len(data) * 3 // 4
    data[middle : middle + 64] = bytes(64)
    file.write_bytes(data)
    result, _ = bring(workspace, file)
    assert result["problem_counts"]["unreadable"] == 1
    assert result["queries"] > 10_000


def test_a_link_out_of_a_folder_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    outside = lines(tmp_path / "outside.jsonl", [GOOD])
    folder = tmp_path / "set"
    lines(folder / "rows.jsonl", [{"query": "q", "pos": ["p"]}])
    (folder / "link.jsonl").symlink_to(outside)
    (folder / "README.md").write_text("read me")
    result, _ = bring(workspace, folder)
    assert result["problem_counts"] == {"unsafe-path": 1}
    assert "README.md" in " ".join(result["notes"])


def test_problems_are_counted_whole_and_listed_by_page(tmp_path: Path) -> None:
    log = ProblemLog(tmp_path / "problems.parquet")
    for line in range(5_000):
        log.add("not-json" if line % 5 else "not-object", "f", line + 1, detail="x")
    log.close()
    path = tmp_path / "problems.parquet"
    assert dict(log.counts) == {"not-json": 4_000, "not-object": 1_000}
    assert [one.line for one in read_problems(path, 3_998, 4)] == [3_999, 4_000, 4_001, 4_002]
    picked = read_problems(path, 998, 10, code="not-object")
    assert [one.line for one in picked] == [4_991, 4_996]
    assert read_problems(path, 9_000, 10) == []


def test_the_list_ends_and_the_counts_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.data.problems.LISTED", 10)
    log = ProblemLog(tmp_path / "problems.parquet")
    for line in range(50):
        log.add("not-json", "f", line + 1)
    log.close()
    assert log.total == 50
    assert len(read_problems(tmp_path / "problems.parquet", 0, 100)) == 10
