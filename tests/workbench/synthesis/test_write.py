"""From documents to a new version with queries: what is asked, kept, left out, and where."""

import json
from typing import Any

import pytest

from tests.workbench.data.fakes import everything
from tests.workbench.synthesis.conftest import KEY, Asking
from tests.workbench.synthesis.server import Handler, Server
from workbench.data.versions import versions
from workbench.errors import EndpointFailed, JobCancelled
from workbench.jobs.outcome import made
from workbench.recipes.synthesize import DROPPED
from workbench.synthesis.answers import ANSWERS, Answer, Answers
from workbench.synthesis.write import run
from workbench.workspace import Workspace


def test_documents_get_queries_in_a_new_version(
    asking: Asking, server: Server, workspace: Workspace
) -> None:
    recipe, job = asking(concurrency=3)
    result = run(recipe, job)
    assert (result["passages"], result["answered"], result["kept"]) == (12, 12, 24)
    assert result["tokens"] == {"prompt": 120, "completion": 60, "told": True}
    assert result["version"] == 2 and result["dropped"] == result["failed"] == 0
    assert server.most <= 3 and len(server.asked) == 12
    assert set(server.keys) == {f"Bearer {KEY}"}
    assert server.asked[0]["model"] == "m" and server.asked[0]["max_tokens"] == 400
    assert job.seen[-1] and any(unit == "passages" for _, _, unit, _ in job.seen)

    reader = workspace.datasets.read("tea")
    rows = everything(reader)
    assert rows["What is leaf3 steeped3?"][1] == ["leaf3 steeped3"]
    assert sum(reader.counts["splits"].values()) == 24
    assert all(count for count in reader.counts["splits"].values())
    for n in range(12):
        what, who = rows[f"What is leaf{n} steeped{n}?"], rows[f"Who has leaf{n} steeped{n}?"]
        assert what[0] == who[0]  # questions of one passage stay in one split
    said = versions(workspace, "tea")[-1]
    assert said.by == "synthesize" and said.what == "questions written by m"
    assert said.counts["queries_written"] == 24 and said.counts["prompt_tokens"] == 120
    kept = said.lineage[-1]["recipe"]
    assert kept["endpoint"] == server.url and "{passage}" in kept["template_en"]
    assert workspace.datasets.read("tea", 1).counts["queries"] == 0


def test_the_key_is_never_written_down(
    asking: Asking, server: Server, workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    def echo(handler: Handler, number: int) -> None:
        if number == 0:
            return handler.good(f"Your header was {handler.headers['Authorization']}")
        if number == 1:
            return handler.refuse(400, f"Bad key {KEY}")
        return handler.good()

    server.manner = echo
    recipe, job = asking(concurrency=1)
    result = run(recipe, job)
    assert result["failed"] == 1 and result["without"] == 1
    assert "***" in next(iter(result["failures"]))
    workspace.close()
    files = [path for path in workspace.home.rglob("*") if path.is_file()]
    assert any(path.name == ANSWERS for path in files)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in json.dumps(result) + str(job.notes) + "".join(capfd.readouterr())


def test_fewer_passages_are_drawn_by_the_seed(asking: Asking, server: Server) -> None:
    run(*asking(passages=3, seed=5, preview=True))
    first = sorted(server.passages)
    server.asked.clear()
    run(*asking(passages=3, seed=5, preview=True))
    assert sorted(server.passages) == first and len(first) == 3


def test_a_preview_changes_nothing(asking: Asking, workspace: Workspace) -> None:
    recipe, job = asking(passages=3, preview=True)
    result = run(recipe, job)
    assert result["version"] is None and len(result["examples"]) == 3
    assert all(len(one["questions"]) == 2 for one in result["examples"])
    assert len(versions(workspace, "tea")) == 1


def test_what_does_not_find_its_passage_is_dropped_and_kept_aside(
    asking: Asking, server: Server
) -> None:
    server.manner = lambda handler, _: handler.good(
        f"What is {handler.passage}?\nHow is the weather in Lisbon?"
        if "leaf4 " in handler.passage
        else None
    )
    recipe, job = asking(round_trip_k=1)
    result = run(recipe, job)
    assert (result["kept"], result["dropped"]) == (23, 1)
    dropped = [json.loads(line) for line in (job.folder / DROPPED).read_text().splitlines()]
    assert [(one["question"], one["document"]) for one in dropped] == [
        ("How is the weather in Lisbon?", "d4")
    ]
    assert "first 1 of bm25" in dropped[0]["why"]


def test_nothing_left_is_an_error(asking: Asking, server: Server) -> None:
    server.manner = lambda handler, n: handler.good(f"Where is Lisbon number {n * 7}?")
    recipe, job = asking(round_trip_k=1)
    with pytest.raises(EndpointFailed, match="none is left"):
        run(recipe, job)


def test_a_question_of_two_passages_is_one_query(
    asking: Asking, server: Server, workspace: Workspace
) -> None:
    server.manner = lambda handler, _: handler.good("What is tea?")
    result = run(*asking(round_trip="", passages=4))
    assert (result["kept"], result["repeated"], result["judgments"]) == (1, 3, 4)
    assert len(everything(workspace.datasets.read("tea"))["What is tea?"][1]) == 4


def test_more_questions_go_beside_those_that_are_there(
    asking: Asking, server: Server, workspace: Workspace
) -> None:
    first = run(*asking(passages=6))
    server.asked.clear()
    server.manner = lambda handler, _: handler.good(f"Why {handler.passage}?\nWhy not tea?")
    recipe, job = asking(round_trip="")
    second = run(recipe, job)
    assert len(server.asked) == 6  # documents with a query are left out
    before, after = first["splits"], second["splits"]
    assert (after["dev"], after["test"]) == (before["dev"], before["test"])
    assert after["train"] == before["train"] + 7
    server.manner = lambda handler, _: handler.good("1. Why not Tea?\n2. Why so?")
    third = run(*asking(skip_judged=False, passages=2, round_trip=""))
    assert (third["version"], third["known"], third["kept"]) == (4, 2, 1)


def test_tokens_that_are_not_told_are_said_to_be_unknown(asking: Asking, server: Server) -> None:
    server.manner = lambda handler, _: handler.good(usage=None)
    assert run(*asking())["tokens"] == {"prompt": 0, "completion": 0, "told": False}


def test_a_stopped_job_asks_about_the_rest_only(asking: Asking, server: Server) -> None:
    server.manner = lambda handler, n: handler.good() if n < 5 else handler.refuse(401)
    recipe, job = asking(concurrency=1)
    with pytest.raises(EndpointFailed, match="401"):
        run(recipe, job)
    assert len((job.folder / ANSWERS).read_text().splitlines()) == 5
    with (job.folder / ANSWERS).open("a") as file:
        file.write('{"document": 3, "quest')  # killed while it wrote
    asked = server.passages[:5]
    server.asked.clear()
    server.manner = lambda handler, _: handler.good()
    result = run(recipe, job)
    assert len(server.asked) == 7 and not set(asked) & set(server.passages)
    assert result["kept"] == 24 and result["tokens"]["prompt"] == 120
    # Stopped once more before it could say so, the job has its version.
    assert made(job.workspace.store, job.folder) == result


def test_stopping_is_prompt_though_nothing_answers(asking: Asking, server: Server) -> None:
    server.manner = lambda handler, n: handler.good() if n < 2 else handler.stall()
    recipe, job = asking(timeout=3000)
    job.cancel_after = 8
    with pytest.raises(JobCancelled):
        run(recipe, job)
    assert len((job.folder / ANSWERS).read_text().splitlines()) == 2


def test_answers_without_a_question_end_it(tmp_path: Any) -> None:
    answers = Answers(tmp_path, 3)
    with pytest.raises(EndpointFailed, match=r"first 10 answers hold no question.*teapot"):
        for row in range(20):
            answers.add(row, Answer("I am a teapot."))
    assert len(Answers(tmp_path, 3).questions) == 10
