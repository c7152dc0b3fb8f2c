"""Folders sent as one stream: cut into their files wherever it breaks off; paths that lead away."""

import json
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from ui import uploads
from ui.kit.dropzone import staged_files
from ui.services import Services
from ui.uploads import Uploads
from workbench.workspace import Workspace

FILES = [("corpus.jsonl", 5), ("empty.csv", 0), ("qrels/test.tsv", 4), ("z/y/x.md", 1)]


def begin(client: TestClient, files: list[Any], size: int | None = None, name: str = "set") -> Any:
    total = sum(count for _, count in files) if size is None else size
    return client.post("/api/uploads", json={"name": name, "size": total, "files": files})


def test_a_folder_arrives_in_pieces(client: TestClient, shared: Workspace) -> None:
    id = begin(client, FILES).json()["id"]
    for offset, data in ((0, b"012"), (3, b"34abc"), (8, b"dZ")):
        assert client.get(f"/api/uploads/{id}").json()["received"] == offset
        answer = client.put(f"/api/uploads/{id}", params={"offset": offset}, content=data)
        assert answer.status_code == 200, answer.text
    assert answer.json()["complete"] is True
    [root] = staged_files(Services(shared), json.dumps([{"id": id}]))
    assert root.name == "set"
    texts = {path: (root / path).read_bytes() for path, _ in FILES}
    assert list(texts.values()) == [b"01234", b"", b"abcd", b"Z"]
    again = client.put(f"/api/uploads/{id}", params={"offset": 3}, content=b"x")
    assert (again.status_code, again.json()["received"]) == (409, 10)


@given(
    sizes=st.lists(st.integers(0, 6), max_size=8),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=20),
)
def test_wherever_the_stream_is_cut(
    sizes: list[int], cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    sizes = [*sizes, 1]
    whole = bytes(number % 251 for number in range(sum(sizes)))
    files = [(f"{number}/f", size) for number, size in enumerate(sizes)]
    uploads = Uploads(tmp_path_factory.mktemp("cut"))
    upload = uploads.begin("set", len(whole), files)
    for count in cycle(cuts):
        upload = uploads.append(upload, upload.received, whole[upload.received :][:count])
        assert upload.received == uploads.get(upload.id).received
        if upload.complete:
            break
    root = uploads.whole(upload.id)
    assert b"".join((root / path).read_bytes() for path, _ in files) == whole


def test_the_same_bytes_again_go_to_the_same_places(tmp_path: Path) -> None:
    """As after a crash between the bytes and the count of them."""
    uploads = Uploads(tmp_path)
    upload = uploads.begin("set", 10, FILES)
    uploads.append(upload, 0, b"01234ab")
    (tmp_path / upload.id / "received.part").write_text("3")
    done = uploads.append(upload, 3, b"34abcdZ")
    root = uploads.whole(done.id)
    assert [(root / path).read_bytes() for path, _ in FILES] == [b"01234", b"", b"abcd", b"Z"]


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "C:/x", "a\\b", "a\x00"),
        *(".ssh/config", "a/.hidden", "a\nb", "x" * 300, "a/" * 40 + "b", "\ud800"),
    ],
)
def test_paths_that_lead_away_are_refused(path: str, tmp_path: Path, client: TestClient) -> None:
    # Written by hand: half a character is no text that a client would send by itself.
    body = json.dumps({"name": "set", "size": 2, "files": [["ok.txt", 1], [path, 1]]})
    head = {"content-type": "application/json"}
    answer = client.post("/api/uploads", content=body, headers=head)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("files", "size"),
    [
        ([["a", 1], ["a", 1]], 2),  # one place twice
        ([["a", 1], ["a/b", 1]], 2),  # a file where a folder is to be
        ([["a", 1]], 2),  # sizes that do not add up
        ([["a", -1], ["b", 2]], 1),
        ([["a", 0]], 0),
    ],
)
def test_lists_that_cannot_be(files: list[Any], size: int, client: TestClient) -> None:
    answer = begin(client, files, size)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_too_many_files_are_told_what_to_do(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_FILES", 3)
    answer = begin(client, FILES)
    assert answer.status_code == 413
    assert "Pack it as a zip" in answer.json()["error"]


def test_letting_a_folder_go(client: TestClient, shared: Workspace) -> None:
    id = begin(client, FILES).json()["id"]
    client.put(f"/api/uploads/{id}", params={"offset": 0}, content=b"0123456")
    assert client.delete(f"/api/uploads/{id}").status_code == 200
    assert not (shared.home / "uploads" / id).exists()
