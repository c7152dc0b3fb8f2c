"""Arbitrary bytes: never an exception that is not ours, never a good line lost."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, everything
from workbench.data.formats.fileformat import formats
from workbench.data.sources import _PACKED_STARTS
from workbench.errors import WorkbenchError
from workbench.workspace import Workspace

SUFFIXES = st.sampled_from(
    [
        *(".jsonl", ".json", ".csv", ".tsv", ".txt", ".md", ".pdf", ".parquet", ".zip", ""),
        *(".qrels", ".arrow", ".feather", ".xlsx"),
    ]
)
PIECES = st.sampled_from(
    [
        *(b'{"query": "q", "pos": ["p"]}', b"query,pos\n", b"query-id\tcorpus-id\tscore\n"),
        *(b'"', b"{", b"[", b"]", b",", b"\n", b"\r", b"\t", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00"),
        *(
            b"PAR1",
            b"ARROW1\x00\x00",
            b"\xff\xff\xff\xff\x10\x00\x00\x00",
            b"['a' \"b's\"]",
            b'\\"',
            b"nan",
            b"%PDF-1.4\n",
            b"# Heading\n",
            b"id,text\n",
            b"left,right,score\n",
            b"PK\x03\x04",
            b"null",
            b"1e999",
            b'"\\ud800"',
            "中文".encode("gbk"),
        ),
        *(b'{"queries": {', b'{"corpus":{},"queries":{"a":"b"},"relevant_docs":{}}'),
    ]
)
MESSES = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=12).map(b"".join))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("fuzz")


@settings(max_examples=250)
@given(data=MESSES, suffix=SUFFIXES)
def test_any_bytes(data: bytes, suffix: str, workspace: Workspace, folder: Path) -> None:
    file = folder / f"file{suffix}"
    file.write_bytes(data)
    try:
        result, reader = bring(workspace, file)
    except WorkbenchError as error:
        assert error.hint
        return
    assert reader.page(0, 10) or reader.pairs().num_rows or reader.documents().num_rows
    json.dumps(result)


@settings(max_examples=60)
@given(
    data=MESSES,
    name=st.sampled_from(["a.jsonl", "qrels/test.tsv", "corpus.jsonl", "b.parquet", "x.csv"]),
)
def test_any_bytes_in_a_zip(data: bytes, name: str, workspace: Workspace, folder: Path) -> None:
    file = folder / "file.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("good.jsonl", '{"query": "good", "pos": ["p"]}')
        archive.writestr(name, data)
    _, reader = bring(workspace, file)
    assert "good" in everything(reader)


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda t: not t.isspace()
)
#: A file that begins with these is no file of lines with junk.
OTHER_FILES = (*_PACKED_STARTS, *(start for one in formats() for start in one.first_bytes))
JUNK = st.one_of(
    st.binary(max_size=40)
    .map(lambda junk: junk.replace(b"\n", b"").replace(b"\r", b""))
    .filter(lambda junk: not junk.startswith(OTHER_FILES)),
    st.sampled_from(
        [b"{", b"[]", b'{"query": 1}', b"null", b'{"query": "q"', b'"\\ud800"', b"\xff"]
    ),
)


@settings(max_examples=120)
@given(
    rows=st.dictionaries(
        TEXTS, st.tuples(TEXTS, st.lists(TEXTS, max_size=2)), min_size=1, max_size=8
    ),
    junk=st.lists(JUNK, min_size=1, max_size=8),
    ends=st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
    ascii_only=st.booleans(),
    data=st.data(),
)
def test_good_lines_between_junk_all_arrive(
    rows: dict[str, tuple[str, list[str]]],
    junk: list[bytes],
    ends: bytes,
    ascii_only: bool,
    data: st.DataObject,
    workspace: Workspace,
    folder: Path,
) -> None:
    good = [
        json.dumps({"query": query, "pos": [pos], "neg": neg}, ensure_ascii=ascii_only).encode()
        for query, (pos, neg) in rows.items()
    ]
    file = folder / "mixed.jsonl"
    # Which encoding a file of two lines is in nobody can know: here it is said.
    file.write_bytes(ends.join(data.draw(st.permutations([*good, *junk]))))
    _, reader = bring(workspace, file, encoding="utf-8")
    found = everything(reader)
    for query, (positive, negatives) in rows.items():
        _, positives, given_negatives = found[query]
        assert positives == [positive]
        kept = [one for one in dict.fromkeys(negatives) if one != positive]
        assert given_negatives == kept
    assert len(found) == len(rows)
