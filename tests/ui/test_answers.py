"""The route that streams an answer, and what is said of it in both languages."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from tests.storage import make
from tests.ui.serving import served, wait_until
from tests.workbench.answers.conftest import FakeSearch
from tests.workbench.synthesis.server import Handler, Server, serving
from ui.routes.answers import worded
from ui.services import Services
from ui.words import speaking
from workbench.endpoints import EndpointKeys
from workbench.recipes.answer import AnswerRecipe
from workbench.workspace import Workspace


@pytest.fixture
def services(home: Path) -> Iterator[Services]:
    opened = Workspace.open(home)
    opened.store.indexes.insert(make.index("i1", "tea"))
    yield Services(opened, search=FakeSearch())  # type: ignore[arg-type]
    opened.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture
def url(services: Services) -> Iterator[str]:
    with served(services, gr.Blocks()) as found:
        yield found


def body(server: Server | None = None, question: str = "How long?", **more: Any) -> dict[str, Any]:
    about = {"endpoint": server.url, "endpoint_model": "m"} if server else {}
    return {"question": question, "recipe": {"index": "tea", "min_score": 0.2, **about, **more}}


def ask(url: str, asked: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    answer = httpx.post(f"{url}/api/answers", json=asked, headers=headers, timeout=300)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_an_answer_comes_line_by_line(url: str, server: Server) -> None:
    server.manner = lambda handler, _: handler.stream("Three minutes [1].")
    first, *pieces, end = ask(url, body(server))
    assert first["status"] == "m is reading the passages…"
    assert [one["score"] for one in first["passages"]] == [
        "score 0.900",
        "score 0.700",
        "score 0.100",
    ]
    assert first["passages"][2]["badges"] == [["score too low", "warn"]]
    assert "".join(one["text"] for one in pieces) == "Three minutes [1]."
    assert end["status"] == "The answer is complete. Passages cited: 1."
    assert end["passages"][0]["badges"] == [["cited", "good"]]
    assert (end["notes"], end["shown"]) == ([], True)
    assert "first word after" in end["took"] and "100 tokens read, 1 written" in end["took"]


def test_text_arrives_before_the_answer_is_whole(url: str, server: Server) -> None:
    def waits(handler: Handler, _: int) -> None:
        handler.stream("Three ", finish=None)
        handler.ours.over.wait(30)

    server.manner = waits
    with httpx.stream("POST", f"{url}/api/answers", json=body(server), timeout=300) as answer:
        lines = answer.iter_lines()
        assert json.loads(next(lines))["event"] == "passages"
        assert json.loads(next(lines)) == {"event": "text", "text": "Three "}


def test_a_browser_that_goes_away_stops_the_model(url: str, server: Server) -> None:
    gone: list[bool] = []

    def writes_on(handler: Handler, _: int) -> None:
        handler.begin_stream()
        try:
            while not handler.ours.over.wait(0.02):
                handler.chunk({"choices": [{"index": 0, "delta": {"content": "word "}}]})
        except OSError:
            gone.append(True)

    server.manner = writes_on
    with httpx.stream("POST", f"{url}/api/answers", json=body(server), timeout=300) as answer:
        lines = answer.iter_lines()
        next(lines)
        next(lines)
    wait_until(lambda: gone, "the model's connection to end")


def test_it_speaks_the_browsers_language(url: str) -> None:
    end = ask(url, body(min_score=5.0), **{"accept-language": "zh"})[-1]
    assert end["status"] == "没有找到相关内容：没有段落的得分达到 5.000。"


def test_what_cannot_be_asked_is_a_sentence(url: str) -> None:
    def refused(asked: Any) -> tuple[int, str]:
        answer = httpx.post(f"{url}/api/answers", json=asked, timeout=300)
        return answer.status_code, answer.json()["error"]

    status, said = refused(body(index="none"))
    assert status == 404 and said.startswith("There is no index named 'none'.")
    assert refused(body(question=" ")) == (400, "There is nothing to answer. Type a question.")
    assert refused(body(top_k=0))[0] == 400
    assert refused(body(endpoint="http://u:p@x/v1"))[0] == 400
    assert refused({"question": "a"})[0] == 422
    status, said = refused(body(local_model="no/such/folder"))
    assert status in (400, 404) and "no/such/folder" in said


def test_no_variable_is_sent_anywhere_that_was_not_allowed(
    url: str, services: Services, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "a value that is nobody's business"
    monkeypatch.setenv("WORKBENCH_SECRET", secret)
    monkeypatch.setenv("OPENAI_API_KEY", secret)
    server.manner = lambda handler, _: handler.stream("Fine [1].")

    def answered(**more: Any) -> tuple[int, str]:
        answer = httpx.post(f"{url}/api/answers", json=body(server, **more), timeout=60)
        return answer.status_code, answer.text

    for variable in ("WORKBENCH_SECRET", "OPENAI_API_KEY", "PATH", "NOT_SET"):
        status, said = answered(key_variable=variable)
        assert status == 400 and f"{variable} may not be sent" in said and secret not in said
    assert server.asked == []
    assert answered()[0] == 200
    assert server.keys == ["Bearer none"]
    allowed = EndpointKeys.read([f"WORKBENCH_SECRET={server.origin}"])
    monkeypatch.setattr(services.workspace, "endpoint_keys", allowed)
    for variable in ("", "WORKBENCH_SECRET"):
        assert answered(key_variable=variable)[0] == 200
    assert server.keys[1:] == [f"Bearer {secret}"] * 2


def test_null_means_the_default(url: str, server: Server) -> None:
    server.manner = lambda handler, _: handler.stream("Fine [1].")
    usual = AnswerRecipe(index="tea")
    nulls = {name: None for name in AnswerRecipe.model_fields if name != "index"}
    about = {"endpoint": server.url, "endpoint_model": "m", "min_score": 0.2}
    end = ask(url, {"question": "How long?", "recipe": {"index": "tea", **nulls, **about}})[-1]
    assert end["answer"] == "Fine [1]." and server.asked[0]["max_tokens"] == usual.max_tokens


def test_a_page_of_another_site_cannot_ask(url: str) -> None:
    answer = httpx.post(
        f"{url}/api/answers", json=body(), headers={"origin": "http://evil.example"}, timeout=60
    )
    assert answer.status_code == 403


def test_without_a_search_it_says_so(services: Services) -> None:
    with served(replace(services, search=None), gr.Blocks()) as url:
        answer = httpx.post(f"{url}/api/answers", json=body(), timeout=300)
    assert answer.status_code == 500 and "search" in answer.json()["error"].lower()


def told(**more: Any) -> dict[str, Any]:
    """An end, in words."""
    event = {
        "event": "end",
        "state": "answered",
        "passages": [],
        "citations": [],
        "wrong_citations": [],
        "uncited": False,
        "cut_off": False,
        "error": None,
        "min_score": None,
        "milliseconds": {},
        "tokens": {"prompt": None, "completion": None},
    }
    return worded({**event, **more})


def test_every_end_is_told() -> None:
    error = {
        "message": "x cannot be reached.",
        "hint": "Check the address, and that the server runs.",
    }
    broken = told(state="broken", error=error, uncited=True)
    assert (
        broken["status"].startswith("The answer was interrupted")
        and "x cannot be reached" in broken["status"]
    )
    assert len(broken["notes"]) == 2 and broken["shown"]
    failed = told(state="failed", error=error)
    assert failed["status"].startswith("No answer was generated: x cannot") and not failed["shown"]
    assert "passages do not answer" in told(state="not-in-passages")["status"]
    assert not told(state="not-in-passages")["shown"]
    assert "returned an empty answer" in told(state="empty")["status"]
    assert "set an endpoint" in told(state="passages")["status"]
    notes = [
        one["text"] for one in told(wrong_citations=[7, 9], cut_off=True, uncited=True)["notes"]
    ]
    assert "Check it" in notes[0] and "7, 9" in notes[1] and "maximum" in notes[2]
    with speaking("zh"):
        assert "无法连接 x" in told(state="failed", error=error)["status"]
