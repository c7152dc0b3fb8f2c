"""From a question to an answer: what is told, whatever the model or the index does."""

import asyncio
import time
from typing import Any

import pytest

from tests.workbench.answers.conftest import KEY, Asking, FakeSearch, all_of, end_of, hits
from tests.workbench.synthesis.server import Handler, Manner, Server


def writes(*texts: str, **more: Any) -> Manner:
    return lambda handler, _: handler.stream(*texts, **more)


async def test_an_answer_with_its_sources(asking: Asking, server: Server) -> None:
    server.manner = writes("Three ", "minutes [", "1]. Boil", " it [2].")
    events = await all_of(asking())
    assert [event["event"] for event in events] == [
        "passages",
        *("text", "text", "cite", "text", "text", "cite", "text"),
        "end",
    ]
    assert [one["enough"] for one in events[0]["passages"]] == [True, True, False]
    end = events[-1]
    assert (end["state"], end["answer"]) == ("answered", "Three minutes [1]. Boil it [2].")
    assert end["citations"] == [
        {"number": 1, "id": "d0", "title": "Title 0"},
        {"number": 2, "id": "d1", "title": "Title 1"},
    ]
    assert (end["uncited"], end["wrong_citations"], end["error"]) == (False, [], None)
    assert [(one["read"], one["cited"]) for one in end["passages"]] == [
        (True, True),
        (True, True),
        (False, False),
    ]
    assert end["tokens"] == {"prompt": 100, "completion": 4}
    assert set(end["milliseconds"]) == {"encode", "search", "first_token", "write", "total"}
    asked = server.asked[0]["messages"][0]["content"]
    assert "Text 0 about tea." in asked and "Text 2" not in asked
    assert server.asked[0]["stream"] and "temperature" not in server.asked[0]
    assert server.keys == [f"Bearer {KEY}"]


async def test_text_comes_while_the_model_still_writes(asking: Asking, server: Server) -> None:
    """The server goes on only after the first text was seen here."""

    def waits(handler: Handler, _: int) -> None:
        handler.begin_stream()
        handler.chunk({"choices": [{"index": 0, "delta": {"content": "Three"}}]})
        assert seen.wait(30)
        handler.chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})

    import threading

    seen = threading.Event()
    server.manner = waits
    end: dict[str, Any] = {}
    async for event in asking():
        if event["event"] == "text":
            seen.set()
        end = event
    assert (end["state"], end["answer"], end["cut_off"]) == ("answered", "Three", True)


async def test_without_a_model_the_passages_are_the_answer(asking: Asking, server: Server) -> None:
    first, end = await all_of(asking(endpoint="", endpoint_model=""))
    assert first["event"] == "passages" and len(first["passages"]) == 3
    assert (end["state"], end["answer"], end["writer"]) == ("passages", "", None)
    assert server.asked == []


@pytest.mark.parametrize("model", [{}, {"endpoint": "", "endpoint_model": ""}])
async def test_nothing_relevant_is_said_and_no_model_is_asked(
    asking: Asking, server: Server, search: FakeSearch, model: dict[str, str]
) -> None:
    assert (await end_of(asking(min_score=0.95, **model)))["state"] == "nothing-found"
    search.hits = []
    assert (await end_of(asking(min_score=None, **model)))["state"] == "nothing-found"
    assert server.asked == []


async def test_the_agreed_reply_means_nothing_relevant(asking: Asking, server: Server) -> None:
    for reply in ("NOT IN ", "段落中没有"):
        server.manner = writes(reply, {"NOT IN ": "THE PASSAGES."}.get(reply, "答案。"))
        end = await end_of(asking())
        assert (end["state"], end["citations"], end["uncited"]) == ("not-in-passages", [], False)


async def test_citations_of_nothing_are_counted_and_left_out(
    asking: Asking, server: Server
) -> None:
    server.manner = writes("Three [7], four [3].")
    end = await end_of(asking())
    # The third passage is there, but it scored too little to be given to the model.
    assert (end["answer"], end["wrong_citations"]) == ("Three, four.", [7, 3])
    assert (end["state"], end["uncited"]) == ("answered", True)


async def test_the_second_stage_the_filter_and_the_number_are_handed_on(
    asking: Asking, server: Server, search: FakeSearch
) -> None:
    server.manner = writes("x [1]")
    await end_of(asking(top_k=2, reranker="orders", where="year >= 2020"))
    assert search.asked == [
        {
            "index": "tea",
            "query": "How long?",
            "top_k": 2,
            "reranker": "orders",
            "candidates": 50,
            "where": "year >= 2020",
        }
    ]


def breaks(handler: Handler, _: int) -> None:
    handler.stream("Three minutes [1] and", finish=None)


def stalls_midway(handler: Handler, _: int) -> None:
    handler.stream("Three minutes [1] and", finish=None)
    handler.stall()


def says_it_lives(handler: Handler, _: int) -> None:
    handler.stream("Three minutes [1] and", finish=None)
    while not handler.ours.over.wait(0.05):
        try:
            handler.wfile.write(b": alive\n\n")
            handler.wfile.flush()
        except OSError:
            return


def error_midway(handler: Handler, _: int) -> None:
    handler.stream("Three minutes [1] and", finish=None)
    handler.chunk({"error": {"message": f"out of memory {KEY}"}})


def nonsense_midway(handler: Handler, _: int) -> None:
    handler.stream("Three minutes [1] and", finish=None)
    handler.wfile.write(b"data: {nonsense\n\n")


def chunks_end(handler: Handler, _: int) -> None:
    body = b'data: {"choices": [{"index": 0, "delta": {"content": "Three minutes [1] and"}}]}\n\n'
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    handler.hang_up(head + f"{len(body):x}\r\n".encode() + body + b"\r\nff\r\nx")


@pytest.mark.parametrize(
    ("manner", "sentence"),
    [
        (breaks, "broke the answer off"),
        (chunks_end, "broke the answer off"),
        (stalls_midway, "did not answer within 3 seconds"),
        (says_it_lives, "did not answer within 3 seconds"),
        (error_midway, r"failed. It says: 'out of memory \*\*\*'"),
        (nonsense_midway, "no chat completion"),
    ],
)
async def test_what_was_written_before_a_break_is_kept(
    asking: Asking, server: Server, manner: Manner, sentence: str
) -> None:
    server.manner = manner
    # Short for those that never end; a busy machine may take seconds for the others' words.
    end = await end_of(asking(timeout=3.0 if "within" in sentence else PATIENT))
    assert (end["state"], end["answer"]) == ("broken", "Three minutes [1] and")
    assert [one["number"] for one in end["citations"]] == [1]
    assert len(server.asked) == 1, "what was written is not written again"
    import re

    assert re.search(sentence, end["error"]["message"])
    assert "resume" not in end["error"]["hint"]


def drips(handler: Handler) -> None:
    """A document that never ends."""
    begin_document(handler)
    while not handler.ours.over.wait(0.05):
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return


def breaks_off(handler: Handler) -> None:
    begin_document(handler)
    handler.hang_up(b'{"choices": [')


def begin_document(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json; charset=utf-8")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()


#: Seconds that only a hang takes.
PATIENT = 60.0
FAILURES: dict[str, tuple[Manner, str]] = {
    "429": (lambda h, _: h.refuse(429), "accepts no more requests"),
    "500": (lambda h, _: h.refuse(500), "failed with status 500"),
    "stalls": (lambda h, _: h.stall(), "did not answer within 0.5 seconds"),
    "hangs up": (lambda h, _: h.hang_up(), "closed the connection"),
    "a page": (lambda h, _: h.send(b"<html>hello</html>", type="text/html"), "no chat completion"),
    "json": (lambda h, _: h.send({"hello": ["world"]}), "no chat completion"),
    "no document": (lambda h, _: h.send(b"{"), "no chat completion"),
    "no object": (lambda h, _: h.send([1]), "no chat completion"),
    "no message": (lambda h, _: h.send({"choices": [{"text": "a"}]}), "no chat completion"),
    "odd text": (
        lambda h, _: h.good(choices=[{"message": {"content": [1]}}]),
        "no chat completion",
    ),
    "an error all the same": (
        lambda h, _: h.refuse(200, "out of memory"),
        "failed. It says: 'out of memory'",
    ),
    "drips": (lambda h, _: drips(h), "did not answer within 0.5 seconds"),
    "breaks off": (lambda h, _: breaks_off(h), "closed the connection"),
    "empty": (lambda h, _: h.begin_stream(), "no chat completion"),
    "list": (lambda h, _: (h.begin_stream(), h.chunk([1, 2])), "no chat completion"),
    "odd": (
        lambda h, _: (h.begin_stream(), h.chunk({"choices": [{"delta": {"content": [1]}}]})),
        "no chat completion",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failure_before_the_first_word_is_tried_again(
    asking: Asking, server: Server, failure: str
) -> None:
    manner, sentence = FAILURES[failure]
    server.manner = lambda handler, number: (
        manner(handler, number) if number == 0 else handler.stream("Fine [1].")
    )
    never = "within" in sentence
    assert (await end_of(asking(timeout=3.0 if never else PATIENT)))["state"] == "answered"
    server.manner = manner
    end = await end_of(asking(timeout=0.5 if never else PATIENT, retries=1))
    assert (end["state"], end["answer"]) == ("failed", "")
    assert sentence in end["error"]["message"] and end["error"]["hint"]
    assert len(end["passages"]) == 3, "the passages are there all the same"


@pytest.mark.parametrize("status", [401, 404, 400])
async def test_what_will_not_pass_is_not_tried_again(
    asking: Asking, server: Server, status: int
) -> None:
    server.manner = lambda handler, _: handler.refuse(status, f"no {KEY}")
    end = await end_of(asking())
    assert end["state"] == "failed" and len(server.asked) == 1
    assert KEY not in str(end)


async def test_what_a_server_does_not_know_is_left_out(asking: Asking, server: Server) -> None:
    def picky(handler: Handler, number: int) -> None:
        if "stream_options" in handler.body:
            return handler.refuse(400, "unknown field stream_options")
        if "max_tokens" in handler.body:
            return handler.refuse(400, "use max_completion_tokens")
        return handler.stream("Fine [1].")

    server.manner = picky
    end = await end_of(asking(max_tokens=77, temperature=0.5))
    assert end["state"] == "answered" and end["tokens"]["completion"] is None
    assert server.asked[-1]["max_completion_tokens"] == 77
    assert server.asked[-1]["temperature"] == 0.5


@pytest.mark.parametrize("finish", ["stop", "length", None])
async def test_a_server_that_knows_no_streams(
    asking: Asking, server: Server, finish: str | None
) -> None:
    """It answers in plain JSON, whatever it was asked."""
    text = "<think>hm</think>Three minutes [1], says one."

    def plainly(handler: Handler, _: int) -> None:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": finish, "message": message}
        handler.good(text, choices=[choice])

    server.manner = plainly
    end = await end_of(asking())
    assert (end["state"], end["answer"]) == ("answered", "Three minutes [1], says one.")
    assert [one["number"] for one in end["citations"]] == [1]
    assert end["tokens"] == {"prompt": 10, "completion": 5}
    assert end["cut_off"] == (finish == "length") and len(server.asked) == 1


async def test_an_answer_without_words(asking: Asking, server: Server) -> None:
    server.manner = writes(" ", "\n")
    assert (await end_of(asking()))["state"] == "empty"


async def test_a_thought_before_the_answer_is_no_part_of_it(asking: Asking, server: Server) -> None:
    server.manner = writes("<thi", "nk>Perhaps [9]", "?</think>\n", "Three minutes [1].")
    end = await end_of(asking())
    assert (end["answer"], end["wrong_citations"]) == ("Three minutes [1].", [])
    server.manner = writes("<think>On and on", finish="length")
    end = await end_of(asking())
    assert (end["state"], end["cut_off"]) == ("empty", True)


async def test_a_key_that_comes_back_is_not_shown(asking: Asking, server: Server) -> None:
    server.manner = writes(f"Your key is {KEY} [1].")
    assert KEY not in str(await all_of(asking()))


async def test_nobody_listens(asking: Asking) -> None:
    end = await end_of(asking(endpoint="http://127.0.0.1:9/v1", retries=0))
    assert (end["state"], len(end["passages"])) == ("failed", 3)
    assert "cannot be reached" in end["error"]["message"]
    assert end["error"]["hint"] == "Check the address, and that the server runs."


async def test_an_answer_can_be_stopped(asking: Asking, server: Server) -> None:
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()

    def writes_on(handler: Handler, _: int) -> None:
        try:
            handler.begin_stream()
            while not handler.ours.over.wait(0.02):
                handler.chunk({"choices": [{"index": 0, "delta": {"content": "word "}}]})
        except OSError:
            loop.call_soon_threadsafe(gone.set)

    server.manner = writes_on
    events = asking()
    async for event in events:
        if event["event"] == "text":
            break
    await events.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(gone.wait(), 30)


async def test_retries_wait_as_long_as_is_asked(asking: Asking, server: Server) -> None:
    arrived: list[float] = []

    def full(handler: Handler, number: int) -> None:
        arrived.append(time.monotonic())
        if number == 0:
            return handler.refuse(429, Retry_After="0.4")
        return handler.stream("Fine [1].")

    server.manner = full
    assert (await end_of(asking()))["state"] == "answered"
    assert arrived[1] - arrived[0] >= 0.4  # no upper bound: the machine may be busy


async def test_scores_can_be_below_nought(asking: Asking, search: FakeSearch) -> None:
    search.hits = hits(-1.0, -5.0)
    end = await end_of(asking(endpoint="", endpoint_model="", min_score=-2.0))
    assert [one["enough"] for one in end["passages"]] == [True, False]
