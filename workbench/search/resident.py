"""The resident search worker: ``python -m workbench.search.resident``, started by the client.

It gets its settings as one JSON line on standard input, which then stays open: when it closes, the
parent is gone, and so is this process, however the parent ended. It listens before torch is
imported, answers each connection in a thread, and ends by itself after a time without requests.
"""

import json
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import SearchUnavailable, WorkbenchError
from workbench.search.protocol import (
    READY,
    Embed,
    Fields,
    Request,
    Score,
    Search,
    SearchPicture,
    Status,
    Warm,
    Write,
    receive,
    request_of,
    send,
)

if TYPE_CHECKING:
    from workbench.search.engine import Engine
    from workbench.search.writer import Writer
    from workbench.workspace import Workspace

_LOOK_EVERY = 1.0
#: Without requests for so long, what computes questions may be measured.
_QUIET_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the client hands over. ``address`` is a socket's path in a private folder."""

    address: str
    key: str
    home: str
    url: str | None
    trust_remote_code: bool
    idle_seconds: float
    #: How many models are kept in memory besides those that searches use.
    more_models: int = 0


class Resident:
    """One process, one engine, many connections."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine | None = None
        self._writer: Writer | None = None
        self._making = threading.Lock()
        self._counting = threading.Lock()
        self._busy = 0
        self._last = time.monotonic()
        self._measures = False
        self._parent = os.getppid()

    def serve(self) -> None:
        """Listen until the parent ends or nothing is asked for long enough."""
        listener = Listener(
            self._settings.address,
            family="AF_UNIX",
            backlog=64,
            authkey=bytes.fromhex(self._settings.key),
        )
        for watch in (self._wait_for_parent, self._watch, self._measure):
            threading.Thread(target=watch, daemon=True).start()
        print(READY, flush=True)
        # Libraries print; nobody reads the pipe any more.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        while True:
            try:
                connection = listener.accept()
            except (OSError, EOFError, AuthenticationError):
                # A client that was killed while it introduced itself.
                traceback.print_exc()
                continue
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: "Connection[Any, Any]") -> None:
        """One request after the other, until the client closes the connection."""
        with connection:
            try:
                while True:
                    message = receive(connection)
                    with self._working():
                        send(connection, self._respond(message, connection))
            except EOFError:
                return
            except OSError:
                # The client went away; its answer has no reader.
                traceback.print_exc()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """While this lasts the process is not idle."""
        with self._counting:
            self._busy += 1
        try:
            yield
        finally:
            with self._counting:
                self._busy -= 1
                self._last = time.monotonic()

    def _respond(
        self, message: dict[str, Any], connection: "Connection[Any, Any]"
    ) -> dict[str, Any]:
        try:
            request = request_of(message)
            if isinstance(request, Write):
                # Pieces go out while it is written: one that cannot be sent ends it.
                writer = self._get_writer()
                return {"answer": writer.write(request, lambda part: send(connection, part))}
            if isinstance(request, Status):
                return {"answer": self._loaded()}
            return {"answer": answered(self._get_engine(), request)}
        except ConnectionError:
            # Whoever asked went away.
            raise
        except WorkbenchError as error:
            return {"error": error.to_dict()}
        except Exception as error:  # noqa: BLE001 - whatever it is, the person gets a sentence
            traceback.print_exc()
            about = f"The search failed: {type(error).__name__}: {error}"
            hint = "Details are in logs/search.log of the workspace."
            return {"error": SearchUnavailable(about, hint).to_dict()}

    def _loaded(self) -> dict[str, list[str]]:
        """What is in memory; asking does not import torch."""
        return self._engine.loaded() if self._engine else {"models": [], "indexes": []}

    def _get_engine(self) -> "Engine":
        with self._making:
            if self._engine is None:
                # Here, and not above: this imports torch, which takes seconds.
                from workbench.search.engine import Engine

                self._engine = Engine(self._open(), self._settings.more_models)
            return self._engine

    def _get_writer(self) -> "Writer":
        with self._making:
            if self._writer is None:
                from workbench.search.writer import Writer

                self._writer = Writer(self._open())
            return self._writer

    def _open(self) -> "Workspace":
        from workbench.workspace import Workspace

        return Workspace.open(
            self._settings.home,
            url=self._settings.url,
            trust_remote_code=self._settings.trust_remote_code,
        )

    def _wait_for_parent(self) -> None:
        while sys.stdin.buffer.read(1):
            continue
        self._end()

    def _watch(self) -> None:
        """End when idle. The parent's id is looked at too: another child of it may have inherited
        the other end of the pipe, which then stays open."""
        while True:
            time.sleep(min(_LOOK_EVERY, self._settings.idle_seconds / 2))
            idle = self._idle() > self._settings.idle_seconds and not self._measures
            if idle or os.getppid() != self._parent:
                self._end()

    def _measure(self) -> None:
        """Find out what computes questions when nobody asks. In a thread of its own: a measurement
        may take longer than the process should outlive its parent."""
        while True:
            time.sleep(_LOOK_EVERY)
            if self._engine is None or self._idle() <= _QUIET_SECONDS:
                continue
            self._measures = True
            try:
                self._engine.decide()
            except Exception:  # noqa: BLE001 - torch computes then, and nobody asked for more
                traceback.print_exc()
            finally:
                self._measures = False

    def _idle(self) -> float:
        """Seconds since the last request; 0 while one is worked on."""
        with self._counting:
            return 0.0 if self._busy else time.monotonic() - self._last

    def _end(self) -> None:
        shutil.rmtree(Path(self._settings.address).parent, ignore_errors=True)
        # Not sys.exit: this is a thread, and a search may be running in another.
        os._exit(0)


def answered(engine: "Engine", request: Request[Any]) -> Any:
    """What the engine answers to a request, as JSON can hold it."""
    match request:
        case Search(names, query, top_k, reranker, candidates, where):
            found = engine.search(names, query, top_k, reranker, candidates, where)
            return [result.to_dict() for result in found]
        case SearchPicture(names, picture, top_k, where, without):
            found = engine.search_picture(names, picture, top_k, where, without)
            return [result.to_dict() for result in found]
        case Fields(name):
            return engine.fields(name)
        case Warm(names, reranker, served):
            engine.warm(names, reranker, served)
            return engine.loaded()
        case Embed(model, texts, role):
            return engine.embed(model, texts, role).to_dict()
        case Score(model, queries, documents, pairs):
            return engine.rerank(model, queries, documents, pairs).to_dict()
    raise AssertionError(f"{request.operation} is not answered by the engine")


def main() -> None:
    Resident(Settings(**json.loads(sys.stdin.buffer.readline()))).serve()


if __name__ == "__main__":
    main()
