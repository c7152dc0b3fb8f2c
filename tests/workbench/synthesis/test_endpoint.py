"""What an endpoint can do wrong: what is tried again, what is left, what ends it, in words."""

import json
import time
from email.utils import formatdate
from typing import Any

import pytest

from tests.workbench.synthesis.conftest import KEY, Asking
from tests.workbench.synthesis.server import Handler, Manner, Server, serving
from workbench.endpoints import EndpointKeys, KeyNotAllowed
from workbench.errors import EndpointFailed
from workbench.prepare import prepare
from workbench.synthesis import endpoint
from workbench.synthesis.answers import IN_A_ROW
from workbench.synthesis.endpoint import Fatal
from workbench.synthesis.write import run
from workbench.workspace import Workspace

#: Seconds that only a hang takes.
PATIENT = 60.0
FAILURES: dict[str, Manner] = {
    "429": lambda handler, _: handler.refuse(429),
    "500": lambda handler, _: handler.refuse(500),
    "503 page": lambda handler, _: handler.send(b"<html>503</html>", 503, type="text/html"),
    "stalls": lambda handler, _: handler.stall(),
    "drips": lambda handler, _: handler.drip(),
    "hangs up": lambda handler, _: handler.hang_up(),
    "hangs up midway": lambda handler, _: handler.hang_up(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
    ),
    "no http": lambda handler, _: handler.hang_up(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "broken json": lambda handler, _: handler.send(b'{"choices": [{'),
    "a page": lambda handler, _: handler.send(b"<html>hello</html>", type="text/html"),
    "another json": lambda handler, _: handler.send({"hello": ["world"]}),
    "a list": lambda handler, _: handler.send([1, 2]),
    "null": lambda handler, _: handler.send(None),
    "no choices": lambda handler, _: handler.good(choices=[]),
    "wrong choices": lambda handler, _: handler.good(choices=[{"message": {"content": [1]}}]),
    "latin": lambda handler, _: handler.send('{"choices": "é"}'.encode("latin-1")),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_may_pass_is_tried_again(asking: Asking, server: Server, failure: Manner) -> None:
    """Every request fails the first time, and is answered the second."""
    seen: set[str] = set()

    def first_fails(handler: Handler, number: int) -> None:
        if handler.passage in seen:
            return handler.good()
        seen.add(handler.passage)
        return failure(handler, number)

    server.manner = first_fails
    never = failure in (FAILURES["stalls"], FAILURES["drips"])
    wait = 3.0 if never else PATIENT
    result = run(*asking(timeout=wait, passages=3, preview=True))
    assert (result["answered"], result["failed"]) == (3, 0)
    assert len(server.asked) >= 6


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("429", r"accepts no more requests for now \(429\)"),
        ("500", r"failed with status 500. It says: 'no'"),
        ("stalls", "did not answer within 0.3 seconds"),
        ("hangs up", "closed the connection"),
        ("a page", "no chat completion"),
        ("broken json", "no chat completion"),
    ],
)
def test_what_does_not_pass_ends_it_in_a_sentence(
    asking: Asking, server: Server, name: str, sentence: str
) -> None:
    server.manner = FAILURES[name]
    with pytest.raises(EndpointFailed, match=sentence) as caught:
        run(*asking(timeout=0.3 if name == "stalls" else PATIENT, retries=1, concurrency=1))
    assert server.url in caught.value.message and "resume the job" in caught.value.hint
    if name != "stalls":  # a busy machine may give up before the server has looked
        assert len(server.asked) == 2 * IN_A_ROW


def _for_ever(handler: Handler, block: bytes, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    while not handler.ours.over.is_set():
        try:
            handler.wfile.write(block)
        except OSError:
            handler.ours.gone.set()
            return


@pytest.mark.parametrize("status", [200, 500])
def test_a_reply_without_end_is_not_read_on(
    asking: Asking, server: Server, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(endpoint, "MOST_BYTES", 100_000)
    server.manner = lambda handler, number: (
        _for_ever(handler, b" " * 5000, status) if number == 0 else handler.good()
    )
    result = run(*asking(passages=3, concurrency=1, preview=True, max_tokens=16, timeout=60.0))
    assert (result["failed"], result["answered"]) == (1, 2)
    assert "sent more than an answer" in next(iter(result["failures"]))
    assert server.gone.wait(30) and len(server.asked) == 3


def test_more_tokens_than_asked_for_are_cut_off(asking: Asking, server: Server) -> None:
    server.manner = lambda handler, _: handler.good("What is tea? \n" * 10_000)
    recipe, job = asking(passages=1, preview=True, max_tokens=16, questions=20)
    assert run(recipe, job)["answered"] == 1
    (kept,) = (job.folder / "answers.jsonl").read_text().splitlines()
    assert len(kept) < 16 * 16 + 500


def _quota(handler: Handler, _: int) -> None:
    handler.send({"error": {"message": "pay", "code": "insufficient_quota"}}, 429)


@pytest.mark.parametrize(
    ("manner", "sentence", "hint"),
    [
        (lambda h, _: h.refuse(401), "refuses the key in OPENAI_API_KEY", "Set OPENAI_API_KEY"),
        (lambda h, _: h.refuse(403, KEY), "refuses the key", "valid key"),
        (lambda h, _: h.refuse(404, "no such"), "knows no model 'm'.*'no such'", "/v1"),
        (_quota, "is used up.*'pay'", "resume"),
    ],
)
def test_what_fails_for_all_ends_it_at_once(
    asking: Asking, server: Server, manner: Manner, sentence: str, hint: str
) -> None:
    server.manner = manner
    with pytest.raises(Fatal, match=sentence) as caught:
        run(*asking(concurrency=1))
    assert len(server.asked) == 1 and hint in caught.value.hint
    assert KEY not in str(caught.value)


def test_an_address_where_nobody_listens(asking: Asking, server: Server) -> None:
    with pytest.raises(EndpointFailed, match="cannot be reached") as caught:
        run(*asking(endpoint="http://127.0.0.1:9/v1", retries=1))
    assert "Check the address" in caught.value.hint


def test_a_key_that_is_not_set_is_named(
    asking: Asking, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    run(*asking(preview=True, passages=1))
    assert server.keys == ["Bearer none"]
    server.manner = lambda handler, _: handler.refuse(401)
    with pytest.raises(Fatal, match="without a key: there is none in OPENAI_API_KEY"):
        run(*asking())


SECRET = "a value that is nobody's business"


@pytest.mark.parametrize("variable", ["WORKBENCH_SECRET", "PATH", "NOT_SET"])
def test_a_key_goes_nowhere_that_was_not_allowed(
    asking: Asking,
    server: Server,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """Neither at the click nor in a worker that is handed such a recipe."""
    monkeypatch.setenv("WORKBENCH_SECRET", SECRET)
    recipe, job = asking(key_variable=variable)
    for act in (lambda: prepare(recipe, workspace), lambda: run(recipe, job)):
        with pytest.raises(KeyNotAllowed, match=f"{variable} may not be sent to {server.origin}"):
            act()
    assert server.asked == []


def test_without_a_pair_the_endpoint_is_asked_without_a_key(
    asking: Asking, server: Server, workspace: Workspace
) -> None:
    workspace.endpoint_keys = EndpointKeys.read(["OPENAI_API_KEY=https://api.example.com"])
    run(*asking(preview=True, passages=1))
    assert server.keys == ["Bearer none"]
    server.manner = lambda handler, _: handler.refuse(401)
    with pytest.raises(Fatal, match="refuses a request without a key") as caught:
        run(*asking())
    assert "--endpoint-key" in caught.value.hint


def test_nothing_else_of_the_environment_is_sent(
    asking: Asking, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library has habits of its own."""
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Tenant: {SECRET}\nAuthorization: {SECRET}")
    run(*asking(preview=True, passages=1))
    assert server.keys == [f"Bearer {KEY}"]
    assert SECRET not in str(server.headers) and "x-stainless-os" not in server.headers[0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_address_is_not_followed(asking: Asking, server: Server, status: int) -> None:
    with serving() as other:
        server.manner = lambda handler, _: handler.refuse(status, Location=f"{other.url}/x")
        with pytest.raises(Fatal, match="leads to another address") as caught:
            run(*asking(concurrency=1))
    assert other.asked == [] and len(server.asked) == 1
    assert "Give the address that it leads to" in caught.value.hint


def test_another_variable_holds_the_key(
    asking: Asking, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "other")
    run(*asking(preview=True, passages=1, key_variable="MY_KEY"))
    assert server.keys == ["Bearer other"]


def test_a_passage_that_is_refused_is_left_and_the_others_go_on(
    asking: Asking, server: Server
) -> None:
    server.manner = lambda handler, _: (
        handler.refuse(400, "too long") if "leaf7 " in handler.passage else handler.good()
    )
    recipe, job = asking()
    result = run(recipe, job)
    assert (result["failed"], result["answered"], result["kept"]) == (1, 11, 22)
    assert job.notes == [f"1 passages stay without questions: {next(iter(result['failures']))}"]
    assert len(server.asked) == 12


def test_what_it_asks_to_wait_is_waited(asking: Asking, server: Server) -> None:
    """Retry-After holds for every request, in seconds or as a date."""
    arrived: list[float] = []

    def full(handler: Handler, number: int) -> None:
        arrived.append(time.monotonic())
        if number == 0:
            return handler.refuse(429, Retry_After="0.4")
        if number == 1:
            return handler.refuse(503, Retry_After=formatdate(time.time() - 60, usegmt=True))
        return handler.good()

    server.manner = full
    run(*asking(concurrency=1, passages=2, preview=True))
    assert len(arrived) == 4
    assert arrived[1] - arrived[0] >= 0.4  # no upper bound: the machine may be busy


def test_no_more_a_minute_than_allowed(asking: Asking, server: Server) -> None:
    arrived: list[float] = []

    def note(handler: Handler, _: int) -> None:
        arrived.append(time.monotonic())
        handler.good()

    server.manner = note
    run(*asking(requests_per_minute=600, passages=6, preview=True))
    assert arrived[-1] - arrived[0] >= 0.45


def test_newer_models_get_their_limit_by_its_newer_name(asking: Asking, server: Server) -> None:
    def newer(handler: Handler, _: int) -> None:
        if "max_tokens" in handler.body:
            return handler.refuse(400, "Use 'max_completion_tokens' instead.")
        return handler.good()

    server.manner = newer
    result = run(*asking(concurrency=1, temperature=None, preview=True))
    assert result["answered"] == 12 and len(server.asked) == 13
    assert "temperature" not in server.asked[-1]


def test_passages_are_asked_about_in_their_language(
    asking: Asking, server: Server, workspace: Any, tmp_path: Any
) -> None:
    from tests.workbench.data.fakes import bring, lines

    rows = [{"id": "a", "text": "tea {n} is hot"}, {"id": "b", "text": "绿茶不发酵 tea"}]
    bring(workspace, lines(tmp_path / "two" / "corpus.jsonl", rows), name="two")
    recipe, job = asking(dataset="two", dataset_version=1, preview=True, concurrency=1)
    run(recipe, job)
    english, chinese = (one["messages"][0]["content"] for one in server.asked)
    assert "Write 2 different questions" in english and english.endswith("tea {n} is hot")
    assert "写出2个不同的问题" in chinese
    server.asked.clear()
    own = "{n}? {passage} {json}"
    run(*asking(dataset="two", dataset_version=1, preview=True, language="en", template_en=own))
    said = {one["messages"][0]["content"] for one in server.asked}
    assert said == {"2? tea {n} is hot {json}", "2? 绿茶不发酵 tea {json}"}
    assert json.dumps(job.seen)
