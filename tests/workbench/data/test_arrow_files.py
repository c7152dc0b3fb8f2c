"""Arrow's files, Feather, and folders that ``datasets`` saved; names that say something else."""

import bz2
import gzip
import json
import lzma
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from tests.workbench.data.fakes import bring, everything, lines
from workbench.data.formats.arrow import ArrowBlock
from workbench.workspace import Workspace

TABLE = pa.table({"query": ["a", "b"], "pos": [["p"], ["r", "s"]], "neg": [[], ["n"]]})
READ = {"a": (["p"], []), "b": (["r", "s"], ["n"])}


def stream(table: pa.Table, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    return path


def file(table: pa.Table, path: Path, **more: Any) -> Path:
    feather.write_feather(table, path, **more)
    return path


@pytest.mark.parametrize("name", ["a.arrow", "a.feather", "a.csv", "a.jsonl", "a"])
@pytest.mark.parametrize("write", [stream, file])
@pytest.mark.parametrize("zipped", [False, True])
def test_rows(name: str, write: Any, zipped: bool, workspace: Workspace, tmp_path: Path) -> None:
    path = write(TABLE, tmp_path / name)
    if zipped:
        with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
            archive.write(path, name)
        path = tmp_path / "in.zip"
    result, reader = bring(workspace, path)
    found = everything(reader)
    assert {query: (row[1], row[2]) for query, row in found.items()} == READ
    assert result["problems"] == []


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_two_columns_of_one_name(name: str, workspace: Workspace, tmp_path: Path) -> None:
    columns = [pa.array([text]) for text in ("q", "p", "n", "m")]
    table = pa.Table.from_arrays(columns, ["query", "positive", "negative", "negative"])
    if name == "a.parquet":
        pq.write_table(table, tmp_path / name)
    else:
        stream(table, tmp_path / name)
    result, reader = bring(workspace, tmp_path / name)
    assert everything(reader)["q"][2] == ["n", "m"]
    assert result["problem_counts"] == {"doubled-column": 1}


def test_texts_are_held_without_the_pictures_beside_them(tmp_path: Path) -> None:
    queries = [f"which lamp {number}" for number in range(1_000)]
    table = pa.table({"query": queries, "picture": [b"x" * 10_000] * 1_000})
    with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    with pa.memory_map(str(tmp_path / "a.arrow")) as whole:
        (batch,) = pa.ipc.open_stream(whole)
        block = ArrowBlock(np.arange(100), batch.slice(200, 100))
        alone, (listed, _) = block.text("query"), block.texts(["query"])
        held = [one.buffers()[2].address for one in (alone, listed)]
        first, last = (batch.column(name).buffers()[2] for name in ("query", "picture"))
        body = range(first.address, last.address + last.size)
    assert alone.to_pylist() == listed.to_pylist() == queries[200:300]
    assert len(body) >= 10_000_000
    assert not any(address in body for address in held)


@pytest.mark.parametrize("data", [b"ARROW1\0\0", b"\xff\xff\xff\xff\x10\0\0\0", b"FEA1", b""])
def test_a_broken_one_is_told(data: bytes, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.arrow").write_bytes(data)
    good = lines(tmp_path / "good.jsonl", [{"query": "q", "pos": ["p"]}])
    result, _ = bring(workspace, tmp_path / "a.arrow", good)
    assert [(one["file"], one["code"]) for one in result["problems"]] == [("a.arrow", "unreadable")]


@pytest.mark.parametrize("zipped", [False, True])
def test_saved_to_disk(zipped: bool, workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    for split, start in (("train", 0), ("validation", 4), ("test", 8)):
        for shard in (0, 1):
            numbers = range(start + 2 * shard, start + 2 * shard + 2)
            table = pa.table({"anchor": [f"q{i}" for i in numbers], "positive": ["p", "r"]})
            stream(table, folder / split / f"data-0000{shard}-of-00002.arrow")
        names = [{"filename": f"data-0000{shard}-of-00002.arrow"} for shard in (0, 1)]
        (folder / split / "state.json").write_text(json.dumps({"_data_files": names}))
        (folder / split / "dataset_info.json").write_text('{"features": {}}')
    (folder / "dataset_dict.json").write_text('{"splits": ["train", "validation", "test"]}')
    if zipped:
        path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", folder))
    else:
        # What was computed once and kept is no part of the rows.
        table = pa.table({"anchor": ["old"], "positive": ["old"]})
        stream(table, folder / "train/cache-1234.arrow")
        path = folder
    result, reader = bring(workspace, path)
    assert result["splits"] == {"train": 4, "dev": 4, "test": 4}
    assert set(everything(reader)) == {f"q{i}" for i in range(12)}
    assert result["problems"] == []


PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt", "a.md", "a.parquet", "a.arrow"])
def test_a_packed_file_is_known_by_its_first_bytes(
    packer: str, name: str, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(PACKERS[packer](b'{"query": "x", "pos": ["y"]}\n' * 9))
    good = lines(tmp_path / "good.jsonl", [{"query": "q", "pos": ["p"]}])
    result, reader = bring(workspace, tmp_path / name, good)
    [problem] = result["problems"]
    assert (problem["file"], problem["code"]) == (name, "unsupported-shape")
    assert packer in problem["message"]
    assert "Unpack it" in problem["message"]
    assert set(everything(reader)) == {"q"}


def test_a_zip_under_another_name(workspace: Workspace, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.jsonl", "w") as archive:
        archive.writestr("rows.jsonl", '{"query": "q", "pos": ["p"]}')
    _, reader = bring(workspace, tmp_path / "a.jsonl")
    assert set(everything(reader)) == {"q"}


def test_parquet_and_pdf_under_another_name(workspace: Workspace, tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.csv")
    _, reader = bring(workspace, tmp_path / "a.csv")
    assert set(everything(reader)) == {"a", "b"}
