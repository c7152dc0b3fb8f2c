"""Uploads in pieces: names, sizes, going on after a break, tidying up, what a callback gets."""

import json
import os
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.storage import make
from ui.kit.dropzone import staged_files
from ui.routes import uploads as routes
from ui.routes.replies import Refused
from ui.routes.uploads import clean
from ui.services import Services
from ui.uploads import MOST_BYTES, RESERVE, STALE, Uploads
from workbench.errors import BadInput
from workbench.workspace import Workspace


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path)


def begin(client: TestClient, name: str = "train.jsonl", size: int = 10) -> str:
    answer = client.post("/api/uploads", json={"name": name, "size": size})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def send(client: TestClient, id: str, offset: int, data: bytes) -> tuple[int, dict[str, object]]:
    answer = client.put(f"/api/uploads/{id}", params={"offset": offset}, content=data)
    return answer.status_code, answer.json()


def test_a_file_arrives_in_pieces(client: TestClient, shared: Workspace) -> None:
    id = begin(client)
    status, state = send(client, id, 0, b"01234")
    assert (status, state["received"], state["complete"]) == (200, 5, False)
    status, state = send(client, id, 5, b"56789")
    assert (status, state["received"], state["complete"]) == (200, 10, True)
    value = json.dumps([{"id": id, "name": "../other", "size": 10}])
    [path] = staged_files(Services(shared), value)
    assert path.name == "train.jsonl"
    assert path.read_bytes() == b"0123456789"
    assert path.is_relative_to(shared.home / "uploads")


def test_after_a_break_it_goes_on_where_the_file_ends(client: TestClient) -> None:
    id = begin(client)
    send(client, id, 0, b"0123")
    for wrong in (0, 3, 9):
        status, state = send(client, id, wrong, b"xxx")
        assert (status, state["received"]) == (409, 4)
    assert client.get(f"/api/uploads/{id}").json()["received"] == 4
    assert send(client, id, 4, b"456789")[1]["complete"] is True


def test_more_than_was_announced_is_refused(client: TestClient) -> None:
    id = begin(client)
    assert send(client, id, 0, b"0" * 11)[0] == 400
    assert client.get(f"/api/uploads/{id}").json()["received"] == 0


def test_a_piece_has_a_limit(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MOST_SLICE", 4)
    id = begin(client)
    status, state = send(client, id, 0, b"01234")
    assert status == 413
    assert "at most" in str(state["error"])


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", ".", "..", ".hidden", "../x", "a/b", "a\\b", "/etc/passwd", "a\x00b", "a\nb"),
        *("upload.json", "a.part", "x" * 300, "文" * 100, "\ud800"),
    ],
)
def test_only_plain_names_are_taken(client: TestClient, name: str) -> None:
    # Written by hand: half a character is no text that a client would send by itself.
    body = json.dumps({"name": name, "size": 1})
    head = {"content-type": "application/json"}
    answer = client.post("/api/uploads", content=body, headers=head)
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize("name", ["train.jsonl", "问答 (1).csv", "a..b", "data.tar.gz", "ü"])
def test_plain_names_are_kept(uploads: Uploads, name: str) -> None:
    upload = uploads.append(uploads.begin(name, 1), 0, b"x")
    assert uploads.whole(upload.id).name == name


@pytest.mark.parametrize(("size", "status"), [(0, 400), (-1, 400), (MOST_BYTES + 1, 413)])
def test_sizes_that_will_not_do(client: TestClient, size: int, status: int) -> None:
    assert client.post("/api/uploads", json={"name": "a", "size": size}).status_code == status


def test_a_full_disk_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, free=lambda: RESERVE + 100)
    uploads.begin("small", 100)
    with pytest.raises(Refused, match="only 100 bytes are free") as refused:
        uploads.begin("large", 101)
    assert refused.value.status == 507


@pytest.mark.parametrize("id", ["nothing0", "..", "%2e%2e", "a.b", "..%2f..%2fworkbench.db"])
def test_ids_lead_nowhere_else(client: TestClient, id: str) -> None:
    for method in ("GET", "DELETE"):
        assert client.request(method, f"/api/uploads/{id}").status_code in (404, 405)


def test_what_is_not_json_is_answered_in_words(client: TestClient) -> None:
    answer = client.post("/api/uploads", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert "cannot be read" in answer.json()["error"]


def test_letting_go(client: TestClient) -> None:
    id = begin(client)
    assert client.delete(f"/api/uploads/{id}").status_code == 200
    assert client.get(f"/api/uploads/{id}").status_code == 404


def test_a_callback_gets_whole_files_only(workspace: Workspace) -> None:
    services = Services(workspace)
    uploads = Uploads(workspace.path("uploads"))
    begun = uploads.begin("a.jsonl", 3)
    assert staged_files(services, "") == []
    with pytest.raises(BadInput, match="not arrived completely"):
        staged_files(services, json.dumps([{"id": begun.id}]))
    for value in ("[1]", "{", '["x"]', json.dumps([{"id": "../.."}])):
        with pytest.raises(BadInput, match="choose the file again"):
            staged_files(services, value)


def test_stale_uploads_go_unless_a_job_needs_them(workspace: Workspace) -> None:
    uploads = Uploads(workspace.path("uploads"))
    fresh, stale, needed = (uploads.begin(name, 3) for name in ("fresh", "stale", "needed"))
    for upload in (stale, needed):
        age(uploads.folder / upload.id)
    recipe = {"paths": [f"uploads/{needed.id}/needed"]}
    workspace.store.jobs.insert(make.job("importing0", task="import", recipe=recipe))
    assert clean(Services(workspace)) == [stale.id]
    assert {path.name for path in uploads.folder.iterdir()} == {fresh.id, needed.id}


def age(folder: Path) -> None:
    long_ago = time.time() - STALE - 10
    for path in (*folder.glob("*"), folder):
        os.utime(path, (long_ago, long_ago))
