"""An endpoint that does not end is ended: by the tokens, the bytes and the seconds asked for."""

import gzip
from typing import Any

import pytest

from tests.workbench.answers.conftest import Asking, end_of
from tests.workbench.synthesis.server import Handler, Manner, Server, serving
from workbench.endpoints import Limit, tokens
from workbench.synthesis import endpoint

FINISH = {"choices": [{"index": 0, "delta": {"content": "Fine [1]."}, "finish_reason": "stop"}]}


def until_gone(handler: Handler, block: bytes, pause: float = 0.0) -> None:
    """Write on until nobody reads."""
    while not handler.ours.over.wait(pause):
        try:
            handler.wfile.write(block)
            handler.wfile.flush()
        except OSError:
            handler.ours.gone.set()
            return


def head(handler: Handler, kind: str = "text/event-stream", status: int = 200, **more: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    for name, value in more.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def words_for_ever(handler: Handler, _: int) -> None:
    head(handler)
    piece = b'data: {"choices": [{"index": 0, "delta": {"content": "word "}}]}\n\n'
    until_gone(handler, piece)


def one_long_piece(handler: Handler, _: int) -> None:
    handler.stream("文" * 5000)


def whole(handler: Handler, _: int) -> None:
    message = {"role": "assistant", "content": "word " * 5000}
    handler.good(choices=[{"index": 0, "finish_reason": "stop", "message": message}])


@pytest.mark.parametrize("manner", [words_for_ever, one_long_piece, whole])
async def test_more_tokens_than_asked_for_are_cut_off(
    asking: Asking, server: Server, manner: Manner
) -> None:
    server.manner = manner
    end = await end_of(asking(max_tokens=50))
    assert (end["state"], end["cut_off"], end["error"]) == ("answered", True, None)
    assert 50 <= tokens(end["answer"]) <= 4 * 50 + 1
    assert server.asked[0]["max_tokens"] == 50
    if manner is words_for_ever:
        assert server.gone.wait(30), "the endpoint is not read on"


async def test_an_answer_of_the_length_asked_for_is_whole(asking: Asking, server: Server) -> None:
    text = "internationalization " * 10 + "茶" * 40
    server.manner = lambda handler, _: handler.stream(*text)
    end = await end_of(asking(max_tokens=100))
    assert (end["answer"], end["cut_off"]) == (text, False)


ENDLESS: dict[str, Manner] = {
    "a line": lambda h, _: (head(h), until_gone(h, b"data: " + b"x" * 5000)),
    "comments": lambda h, _: (head(h), until_gone(h, b": alive\n\n" * 500)),
    "events without text": lambda h, _: (head(h), until_gone(h, b'data: {"choices": []}\n\n' * 99)),
    "an event's name": lambda h, _: (head(h), until_gone(h, b"event: x\n" * 500)),
    "json": lambda h, _: (head(h, "application/json"), until_gone(h, b"[" * 5000)),
    "json, blanks": lambda h, _: (head(h, "application/json"), until_gone(h, b" " * 5000)),
    "a page": lambda h, _: (head(h, "text/html"), until_gone(h, b"<p>" * 2000)),
    "an error": lambda h, _: (head(h, status=500), until_gone(h, b"no " * 2000)),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_a_reply_without_end_is_not_read_on(
    asking: Asking, server: Server, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(endpoint, "MOST_BYTES", 200_000)
    server.manner = ENDLESS[kind]
    end = await end_of(asking(max_tokens=1, retries=5, timeout=60.0))
    assert end["state"] == "failed" and len(server.asked) == 1
    assert "sent more than an answer of the longest length can be" in end["error"]["message"]
    assert server.gone.wait(30), "the endpoint is not read on"


async def test_what_was_written_before_stays(
    asking: Asking, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "MOST_BYTES", 200_000)

    def begins_well(handler: Handler, _: int) -> None:
        handler.stream("Fine [1].", finish=None)
        until_gone(handler, b": alive\n\n" * 500)

    server.manner = begins_well
    end = await end_of(asking(max_tokens=10, timeout=60.0))
    assert (end["state"], end["answer"]) == ("broken", "Fine [1].")
    assert "cut off" in end["error"]["message"]


@pytest.mark.parametrize("after", [b": alive\n\n" * 500, b"data: [DONE]\n\n" + b"x" * 5000])
async def test_what_follows_the_end_of_an_answer_spoils_nothing(
    asking: Asking, server: Server, monkeypatch: pytest.MonkeyPatch, after: bytes
) -> None:
    monkeypatch.setattr(endpoint, "MOST_BYTES", 200_000)

    def goes_on(handler: Handler, _: int) -> None:
        handler.begin_stream()
        handler.chunk(FINISH)
        until_gone(handler, after)

    server.manner = goes_on
    end = await end_of(asking(max_tokens=10, timeout=60.0))
    assert (end["state"], end["answer"], end["error"]) == ("answered", "Fine [1].", None)


def zipped(handler: Handler, _: int) -> None:
    """A thousand times as much as is sent."""
    body = gzip.compress(b" " * 5_000_000)
    handler.send(body, Content_Encoding="gzip")


async def test_a_compressed_reply_is_not_unpacked(asking: Asking, server: Server) -> None:
    server.manner = zipped
    end = await end_of(asking())
    assert "sends compressed answers" in end["error"]["message"] and len(server.asked) == 1
    assert server.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize("line", [b"X-Long: " + b"x" * 300_000, b"X-Many: x\r\n" * 40_000])
async def test_headers_without_end_are_not_read(
    asking: Asking, server: Server, line: bytes
) -> None:
    def much(handler: Handler, _: int) -> None:
        try:
            handler.hang_up(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n")
        except OSError:
            handler.close_connection = True

    server.manner = much
    end = await end_of(asking(retries=0))
    assert end["state"] == "failed" and "closed the connection" in end["error"]["message"]


async def test_an_answer_that_goes_on_and_on_is_ended_by_the_clock(
    asking: Asking, server: Server
) -> None:
    """Each piece comes in time; all of them do not."""

    def drips(handler: Handler, _: int) -> None:
        head(handler)
        piece = b'data: {"choices": [{"index": 0, "delta": {"content": "w"}}]}\n\n'
        until_gone(handler, piece, pause=0.02)

    server.manner = drips
    end = await end_of(asking(total_timeout=1.0, timeout=60.0, max_tokens=30_000))
    assert end["state"] == "broken" and set(end["answer"]) == {"w"}
    assert "was not done after 1 seconds" in end["error"]["message"]
    assert "total_timeout" in end["error"]["hint"]


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
async def test_a_byte_now_and_then_is_no_answer(
    asking: Asking, server: Server, before: bytes
) -> None:
    def drips(handler: Handler, _: int) -> None:
        handler.wfile.write(before)
        until_gone(handler, b" " if before else b"H", pause=0.05)

    server.manner = drips
    end = await end_of(asking(total_timeout=1.0, timeout=60.0, retries=5))
    assert end["state"] == "failed" and len(server.asked) == 1
    assert "was not done after 1 seconds" in end["error"]["message"]


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"choices":' * 50_000])
async def test_a_document_that_is_too_deep_is_no_completion(
    asking: Asking, server: Server, body: bytes
) -> None:
    def streamed(handler: Handler, _: int) -> None:
        handler.begin_stream()
        handler.wfile.write(b"data: " + body + b"\n\n")

    manners: list[Manner] = [lambda handler, _: handler.send(body), streamed]
    for server.manner in manners:
        end = await end_of(asking(retries=0))
        assert "no chat completion" in end["error"]["message"]


async def test_a_key_is_sent_to_nobody_else(asking: Asking, server: Server) -> None:
    """Not to where the endpoint leads, and not the prompt either."""
    with serving() as other:
        server.manner = lambda handler, _: handler.refuse(307, Location=f"{other.url}/x")
        end = await end_of(asking())
    assert other.asked == [] and "leads to another address (307)" in end["error"]["message"]


def test_a_limit_takes_what_fits() -> None:
    limit: Any = Limit(2)
    assert limit.take("x" * 30) == "x" * 30 and not limit.reached
    assert limit.take("abc") == "ab" and limit.reached
    assert limit.take("more") == ""
    assert Limit(1).take("茶" * 9) == "茶" * 4
