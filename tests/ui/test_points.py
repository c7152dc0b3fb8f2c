"""What the chart, the log and the notices ask for: only what is new, and all of it."""

import csv
import io
import time
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from storage.records import JobStatus
from tests.storage import make
from tests.ui.serving import Run
from ui.kit.cards import badges
from ui.routes import downloads, live
from ui.routes.live import MOST_BYTES, brief, read_new
from workbench.errors import BadInput
from workbench.workspace import Workspace


@pytest.fixture
def run(shared: Workspace, request: pytest.FixtureRequest) -> Run:
    """A run with an id of its own."""
    made = Run(shared, name="tea", id=f"r{abs(hash(request.node.name)):x}"[:12])
    made.start()
    return made


def ask(client: TestClient, run: Run, after: int = 0) -> dict[str, Any]:
    answer = client.get(f"/api/jobs/{run.job.id}/points", params={"after": after})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_only_what_follows_comes_and_nothing_is_lost(client: TestClient, run: Run) -> None:
    run.baseline(0.5)
    run.train(30)
    first = ask(client, run)
    assert first["series"]["baseline"] == [[0], [0.5]]
    assert first["series"]["loss"][0] == list(range(1, 31))
    assert first["series"]["dev"][0] == [20]
    assert (first["metric"], first["anew"]) == ("MAP@100", False)
    run.train(5)
    second = ask(client, run, first["last"])
    assert second["series"]["loss"][0] == [31, 32, 33, 34, 35]
    assert set(second["series"]) == {"loss", "learning_rate", "grad_norm"}
    third = ask(client, run, second["last"])
    assert (third["series"], third["last"], third["anew"]) == ({}, second["last"], False)


def test_the_trainings_of_one_run_are_told_apart(client: TestClient, run: Run) -> None:
    run.train(5)
    assert ask(client, run)["parts"] == []
    run.part(number=0, of=0)
    assert ask(client, run)["parts"] == [{"step": 6, "number": 0, "of": 0}]


def test_a_long_run_comes_in_parts(
    client: TestClient, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_ROWS", 7)
    run.train(20)
    steps: list[int] = []
    answer = {"more": True, "last": 0}
    while answer["more"]:
        answer = ask(client, run, answer["last"])
        steps += answer["series"].get("loss", [[]])[0]
    assert steps == list(range(1, 21))


def test_a_resumed_run_shows_its_new_attempt(client: TestClient, run: Run) -> None:
    run.train(10)
    last = ask(client, run)["last"]
    run.end(JobStatus.INTERRUPTED)
    assert ask(client, run, last)["job"]["finished"] is True
    run.store.queue.requeue(run.job.id)
    run.start()
    run.forget_after(6)
    run.train(1)
    answer = ask(client, run, last)
    assert (answer["anew"], answer["series"]["loss"][0]) == (True, [1, 2, 3, 4, 5, 6, 7])
    run.train(1)
    answer = ask(client, run, answer["last"])
    assert (answer["anew"], answer["series"]["loss"][0]) == (False, [8])


def test_a_resumed_run_with_many_points_comes_to_an_end(
    client: TestClient, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for as the chart does, also where it is resumed meanwhile: the cursor moves on."""
    monkeypatch.setattr(live, "MOST_ROWS", 7)

    def resume(step: int) -> None:
        run.end(JobStatus.INTERRUPTED)
        run.store.queue.requeue(run.job.id)
        run.start()
        run.forget_after(step)
        run.train(10)

    def read(after: int, steps: list[int]) -> int:
        for _ in range(10):
            answer = ask(client, run, after)
            if answer["anew"]:
                steps.clear()
            steps += answer["series"].get("loss", [[]])[0]
            after = answer["last"]
            if not answer["more"]:
                return after
        raise AssertionError(f"asked ten times, and no end after {steps}")

    run.train(20)
    resume(15)
    steps: list[int] = []
    last = read(0, steps)
    assert steps == list(range(1, 26))
    resume(22)
    read(last, steps)
    assert steps == list(range(1, 33))
    run.forget_after(-1)
    assert ask(client, run, last)["last"] == 0


def test_badges_say_how_it_stands(client: TestClient, run: Run) -> None:
    run.train(20)
    texts = {name: badge["text"] for name, badge in ask(client, run)["job"]["badges"].items()}
    assert texts == {
        "state": "running",
        "step": "step 20 of 400",
        "left": "1 min 35 s left",
        "rate": "31.4 samples/s",
        "memory": "1.4 GB memory",
    }
    run.end(JobStatus.FAILED, "The loss became NaN.")
    job = ask(client, run)["job"]
    assert job["badges"]["state"] == {"text": "failed", "tone": "bad"}
    assert job["badges"]["left"]["text"].startswith("took ")
    assert job["error"] == "The loss became NaN."


def test_a_job_that_is_asked_to_stop_says_so() -> None:
    job = make.job(status=JobStatus.RUNNING, cancel_requested_at=1.0)
    assert badges(job, {})["state"] == {"text": "stopping", "tone": "busy"}
    counting = make.job(progress={"done": 1200, "total": 5000, "unit": "rows"})
    assert badges(counting, {})["step"]["text"] == "1,200 of 5,000 rows"


@pytest.mark.parametrize("path", ["points", "log"])
def test_a_job_that_is_not_there_is_said_in_words(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/jobs/nosuchjob/{path}")
    assert answer.status_code == 404
    assert "no job named 'nosuchjob'" in answer.json()["error"]


def test_what_is_unforeseen_shows_no_trace(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(live, "columns", broken)
    answer = client.get(f"/api/jobs/{run.job.id}/points")
    assert answer.status_code == 500
    assert "app.log" in answer.json()["error"]
    assert "secret" not in answer.text
    assert "a secret detail" in caplog.text


def test_the_log_grows_by_whole_lines(client: TestClient, shared: Workspace, run: Run) -> None:
    log = shared.jobs.folder(run.job.id) / "log.txt"
    log.parent.mkdir(parents=True)
    where = f"/api/jobs/{run.job.id}/log"
    log.write_text("one\n 10%|#\r 90%|####\ntwo <script>\nthr", encoding="utf-8")
    first = client.get(where).json()
    assert first["text"] == "one\n 90%|####\ntwo <script>\n"
    with log.open("a", encoding="utf-8") as file:
        file.write("ee ü\n")
    second = client.get(where, params={"start": first["end"]}).json()
    assert (second["text"], second["start"]) == ("three ü\n", first["end"])
    again = client.get(where, params={"start": second["end"]}).json()
    assert (again["text"], again["start"]) == ("", second["end"])


def test_a_long_or_a_shortened_log_begins_anew(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert read_new(log, -1, False) == ("", 0, 0)
    log.write_text("".join(f"line {number}\n" for number in range(20_000)), encoding="utf-8")
    text, begin, end = read_new(log, 0, False)
    assert begin > 0
    assert text.startswith("line ")
    assert len(text) <= MOST_BYTES
    assert end == log.stat().st_size
    log.write_text("new\n", encoding="utf-8")
    assert read_new(log, end, False) == ("new\n", 0, 4)
    log.write_text("x" * (MOST_BYTES + 5), encoding="utf-8")
    assert len(read_new(log, 0, False)[0]) > 0


def test_changes_are_told_once_asked_for(client: TestClient, run: Run) -> None:
    first = client.get("/api/changes").json()
    assert first["jobs"] == []
    run.end()
    found = client.get("/api/changes", params={"since": first["now"]}).json()["jobs"]
    mine = [job for job in found if job["id"] == run.job.id]
    assert [(job["name"], job["status"], job["finished"]) for job in mine] == [
        ("tea", "succeeded", True)
    ]
    later = client.get("/api/changes", params={"since": time.time() + 60}).json()
    assert later["jobs"] == []


def test_the_numbers_can_be_taken_away(client: TestClient, run: Run) -> None:
    run.baseline(0.5)
    run.train(3)
    answer = client.get(f"/api/download/jobs/{run.job.id}/metrics.csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["step"], row["kind"]) for row in rows] == [
        ("0", "baseline"),
        ("1", "train"),
        ("2", "train"),
        ("3", "train"),
    ]
    assert rows[0]["map@100"] == "0.5"


def test_the_state_differs_once_anything_did_that_a_tab_lists(
    client: TestClient, shared: Workspace, run: Run
) -> None:
    def state() -> str:
        found: str = client.get("/api/state").json()["state"]
        return found

    seen = [state()]
    assert state() == seen[0]
    store = shared.store
    model = make.model("m9", "old name")
    for change in (
        lambda: store.jobs.report(run.job.id, run.job.attempt, progress={"done": 1}),
        lambda: store.queue.request_cancel(run.job.id),
        lambda: store.models.insert(model),
        lambda: store.models.delete("m9"),
    ):
        change()
        seen.append(state())
    assert len(set(seen)) == len(seen) - 1 and seen[-1] == seen[-3]


def test_questions_that_were_left_out_can_be_taken_away(
    client: TestClient, shared: Workspace
) -> None:
    job = shared.store.jobs.insert(make.job("written"))
    folder = shared.jobs.folder(job.id)
    folder.mkdir(parents=True)
    assert client.get("/api/download/jobs/written/dropped.jsonl").status_code == 404
    (folder / "dropped.jsonl").write_text('{"question": "茶？"}\n', encoding="utf-8")
    answer = client.get("/api/download/jobs/written/dropped.jsonl")
    assert answer.json() == {"question": "茶？"}
    assert "written-dropped.jsonl" in answer.headers["content-disposition"]


def test_a_run_can_be_taken_away_as_a_script(
    client: TestClient, shared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []

    def write(_workspace: Workspace, model: str, folder: Path) -> None:
        places.append(folder)
        if model != "m7":
            raise BadInput("There is no script for it.")
        (folder / "train.py").write_text("print('trained')", encoding="utf-8")

    monkeypatch.setattr(downloads, "write_in_own_process", write)
    for id, name in (("m7", "trained here"), ("m8", "brought")):
        shared.store.models.insert(make.model(id, name))
    answer = client.get("/api/download/models/trained here/script.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("trained here/train.py") == b"print('trained')"
    answer = client.get("/api/download/models/brought/script.zip")
    assert (answer.status_code, answer.json()) == (400, {"error": "There is no script for it."})
    assert len(places) == 2 and not any(place.exists() for place in places)


def test_a_model_can_be_taken_away_whole(client: TestClient, shared: Workspace) -> None:
    id, folder = shared.models.new_folder()
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "1_Pooling" / "config.json").write_text('{"a": 1}')
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 5000)
    (folder / "outside").symlink_to("/etc/passwd")
    path = folder.relative_to(shared.home).as_posix()
    shared.models.add(make.model(id, "tea model", path=path))
    answer = client.get("/api/download/models/tea model")
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = ["1_Pooling/config.json", "config.json", "model.safetensors"]
        assert sorted(archive.namelist()) == [f"tea model/{name}" for name in names]
        assert len(archive.read("tea model/model.safetensors")) == 1_280_000


def test_rankings_can_be_taken_away(client: TestClient, shared: Workspace) -> None:
    shared.store.datasets.insert(*make.dataset("trecset", "trec set"))
    ids = []
    for model in ("one model", "one model"):
        id, folder = shared.evaluations.new_folder()
        rows = {"query": [0, 0], "query_id": ["q 1", "q 1"], "document_id": ["b", "a"]}
        run = pa.table({**rows, "rank": [1, 2], "score": pa.array([0.5, 0.5], pa.float32())})
        pq.write_table(run, folder / "run.parquet")
        pq.write_table(pa.table({**rows, "grade": [2, 0]}), folder / "qrels.parquet")
        path = folder.relative_to(shared.home).as_posix()
        shared.evaluations.add(make.evaluation(id, dataset_id="trecset", model=model, path=path))
        ids.append(id)
    answer = client.get("/api/download/evaluations.trec.zip", params={"id": ",".join(ids)})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = ["one-model", f"one-model-{ids[1]}"]
        assert archive.namelist() == [f"{n}.{kind}" for n in names for kind in ("run", "qrels")]
        assert archive.read("one-model.qrels") == b"q%201 0 b 2\nq%201 0 a 0\n"
        first, second = archive.read("one-model.run").decode().splitlines()
    assert first == "q%201 Q0 b 1 0.5 one%20model"
    assert second == "q%201 Q0 a 2 0.49999997 one%20model"


@pytest.mark.parametrize(
    "path",
    [
        "models/nothing",
        "models/..%2f..%2fworkbench.db",
        "jobs/..%2f..%2f/log.txt",
        "jobs/nothing/log.txt",
        "evaluations.csv?id=nothing",
        "evaluations.trec.zip?id=nothing",
    ],
)
def test_downloads_lead_nowhere_else(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/download/{path}")
    assert answer.status_code == 404
    assert b"SQLite" not in answer.content


@pytest.mark.parametrize(
    ("task", "name", "told"),
    [
        ("data-check", "data-check", "Data check"),
        ("data-check", "of Monday", "of Monday"),
        ("elsewhere", "elsewhere", "elsewhere"),
    ],
)
def test_a_notice_names_the_job_in_words(task: str, name: str, told: str) -> None:
    assert brief(make.job(task=task, name=name))["name"] == told
