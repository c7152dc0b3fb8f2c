"""A small OpenAI-compatible server on loopback that answers, fails, stalls and talks nonsense."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: What a request gets: it is handed the handler and its number, from 0.
Manner = Callable[["Handler", int], None]


@dataclass
class Server:
    """What was asked, in order; ``manner`` decides what comes back."""

    url: str = ""
    manner: Manner = field(default=lambda handler, _n: handler.good())
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    #: All that was said in the headers of each request.
    headers: list[dict[str, str]] = field(default_factory=list)
    #: Set when the test is over: a stalling request ends.
    over: threading.Event = field(default_factory=threading.Event)
    #: Set when a reply that does not end is read no more.
    gone: threading.Event = field(default_factory=threading.Event)
    #: The most requests that were under way at once.
    most: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/v1")

    @property
    def passages(self) -> list[str]:
        """The last line of each prompt."""
        return [one["messages"][0]["content"].splitlines()[-1] for one in self.asked]

    def enter(self, body: dict[str, Any], headers: dict[str, str]) -> int:
        with self._lock:
            self.asked.append(body)
            self.headers.append(headers)
            self.keys.append(headers.get("authorization", ""))
            self._now += 1
            self.most = max(self.most, self._now)
            return len(self.asked) - 1

    def leave(self) -> None:
        with self._lock:
            self._now -= 1


class Handler(BaseHTTPRequestHandler):
    ours: Server

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = {name.lower(): value for name, value in self.headers.items()}
        number = self.ours.enter(self.body, said)
        try:
            self.ours.manner(self, number)
        finally:
            self.ours.leave()

    @property
    def passage(self) -> str:
        return str(self.body["messages"][0]["content"]).splitlines()[-1]

    def good(self, text: str | None = None, **more: Any) -> None:
        """A completion; by default two questions that only this passage's words ask."""
        said = (
            text if text is not None else f"1. What is {self.passage}?\nQ2: Who has {self.passage}?"
        )
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        self.send(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [choice],
                "usage": usage,
                **more,
            }
        )

    def refuse(self, status: int, message: str = "no", **headers: str) -> None:
        self.send({"error": {"message": message, "type": "t", "code": "c"}}, status, **headers)

    def send(self, value: Any, status: int = 200, **headers: str) -> None:
        plain = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", headers.pop("type", "application/json"))
        self.send_header("Content-Length", str(len(plain)))
        for name, one in headers.items():
            self.send_header(name.replace("_", "-"), one)
        self.end_headers()
        self.wfile.write(plain)

    def stream(
        self, *texts: str, finish: str | None = "stop", pause: float = 0.0, usage: bool = True
    ) -> None:
        """A completion in pieces; without ``finish`` it breaks off after them."""
        self.begin_stream()
        for text in texts:
            self.chunk({"choices": [{"index": 0, "delta": {"content": text}}]})
            self.ours.over.wait(pause)
        if finish is None:
            return
        self.chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if usage and "stream_options" in self.body:
            counts = {"prompt_tokens": 100, "completion_tokens": len(texts), "total_tokens": 0}
            self.chunk({"choices": [], "usage": counts})
        self.wfile.write(b"data: [DONE]\n\n")

    def begin_stream(self) -> None:
        """The head; what follows ends with the connection."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def chunk(self, value: Any) -> None:
        more = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        whole = {**more, **value} if isinstance(value, dict) else value
        self.wfile.write(f"data: {json.dumps(whole)}\n\n".encode())
        self.wfile.flush()

    def stall(self) -> None:
        self.ours.over.wait(60)

    def drip(self) -> None:
        """An answer of which a byte comes now and then: no single wait is long."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not self.ours.over.wait(0.05):
            try:
                self.wfile.write(b" ")
                self.wfile.flush()
            except OSError:
                return

    def hang_up(self, after: bytes = b"") -> None:
        self.wfile.write(after)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        return None


@contextmanager
def serving() -> Iterator[Server]:
    ours = Server()
    handler = type("Ours", (Handler,), {"ours": ours})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    ours.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield ours
    finally:
        ours.over.set()
        http.shutdown()
        http.server_close()
        thread.join()
