"""Search from the app or the command line, through one resident worker process. Torch-free.

The worker is started on first use, ends when idle, and is started again when needed; one that died
under a request is rebuilt and asked once more; one that hangs is killed.
"""

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import psutil

from workbench.errors import BadInput, SearchUnavailable, WorkbenchError, rebuilt
from workbench.models.resolve import resolve
from workbench.search.encoded import Encoded, Scored, Vectors
from workbench.search.fields import checked_filter
from workbench.search.found import check_candidates, check_kind, generation
from workbench.search.pictures import picture_request
from workbench.search.process import Busy, Gone, ResidentProcess, TimedOut
from workbench.search.protocol import (
    CANDIDATES,
    Embed,
    Fields,
    FieldValues,
    Hit,
    Request,
    Role,
    Score,
    Search,
    SearchResult,
    Warm,
    Write,
)
from workbench.workspace import Workspace

IDLE_SECONDS = 600.0
REQUEST_SECONDS = 180.0
#: With a second stage that is a language model, a CPU reads one candidate in seconds.
SECOND_STAGE_TIMES = 10.0
#: Without a piece: loading a language model of some gigabytes takes long.
WRITE_SECONDS = 600.0
MOST_HITS = 1000
_LONGEST_QUERY = 100_000
A = TypeVar("A")


class SearchClient:
    """One per process; any number of threads may use it at once."""

    def __init__(
        self,
        workspace: Workspace,
        *,
        idle_seconds: float = IDLE_SECONDS,
        request_seconds: float = REQUEST_SECONDS,
        more_models: int = 0,
    ) -> None:
        """``more_models`` stay in the worker's memory besides those that searches use."""
        self._workspace = workspace
        self._more_models = more_models
        self._idle_seconds = idle_seconds
        self._request_seconds = request_seconds
        self._process: ResidentProcess | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._known: tuple[object, dict[str, str]] = (None, {})

    def search(
        self,
        index: str,
        query: str,
        top_k: int = 10,
        *,
        reranker: str | None = None,
        candidates: int = CANDIDATES,
        where: str = "",
    ) -> SearchResult:
        """The ``top_k`` best documents of one index, by score, then document id.

        ``reranker``: a second stage (a reranker or late-interaction model: MODEL) that orders the
        index's first ``candidates`` documents anew. ``where``: a filter on the documents' own
        fields (:mod:`workbench.search.fields`). Raises :class:`IndexNotFound`,
        :class:`BadInput`, :class:`ModelNotFound`, :class:`ModelUnusable` or
        :class:`SearchUnavailable`.
        """
        stage: dict[str, Any] = {"reranker": reranker, "candidates": candidates, "where": where}
        return self.search_many([index], query, top_k, **stage)[0]

    def search_many(
        self,
        indexes: list[str],
        query: str,
        top_k: int = 10,
        *,
        reranker: str | None = None,
        candidates: int = CANDIDATES,
        where: str = "",
    ) -> list[SearchResult]:
        """The same question to several indexes, one after the other; one result for each."""
        _check(query, top_k)
        ids = self._ids(indexes)
        where = checked_filter(where)
        if not reranker:
            return self._ask(Search(ids, query, top_k, where=where))
        check_candidates(candidates, top_k, MOST_HITS)
        return self._ask(Search(ids, query, top_k, self._second(reranker), candidates, where))

    def search_picture(
        self,
        indexes: list[str],
        picture: Path,
        top_k: int = 10,
        *,
        where: str = "",
        without: str = "",
    ) -> list[SearchResult]:
        """The pictures of each index that are most like the one in a file; one result for each.

        ``without``: a picture that is left out, as :attr:`Hit.picture` names it. Raises what
        :meth:`search` does, :class:`PictureUnusable` for a file that cannot be opened, and
        :class:`ModelUnusable` for an index of texts.
        """
        _check_depth(top_k)
        found = [self._workspace.indexes.get(name) for name in indexes]
        return self._ask(picture_request(found, picture, top_k, where, without))

    def picture_file(self, found: SearchResult, hit: Hit) -> Path | None:
        """Where a hit's picture lies; None for a text, and where the data set was removed."""
        datasets = self._workspace.datasets
        if not hit.picture or not datasets.exists(found.dataset_id):
            return None
        return datasets.read(found.dataset_id).folder / hit.picture

    def fields(self, index: str) -> FieldValues:
        """The own fields of an index's documents: the most frequent values of each, and how many
        documents have them."""
        return self._ask(Fields(self._workspace.indexes.get(index).id))

    def warm(self, indexes: list[str], *, reranker: str | None = None, wait: bool = False) -> None:
        """Load these indexes and their models, so that the first search is quick.

        Without ``wait`` it happens in the background, where a failure is left for the search itself
        to report; a second stage that cannot be one is refused at once.
        """
        ids = [self._workspace.indexes.get(name).id for name in indexes]
        request = Warm(ids, self._second(reranker) if reranker else None)
        if wait:
            self._ask(request)
        else:
            threading.Thread(target=self._try, args=(request,), daemon=True).start()

    def warm_served(self, model: str) -> None:
        """Find out what computes the texts of a MODEL, which may take some seconds."""
        found = resolve(self._workspace, model)
        self._ask(Warm([], served=found.model_id or found.source))

    def embed(self, model: str, texts: Sequence[str], role: Role = "document") -> Vectors:
        """Vectors of texts (n, d), in their order, by a MODEL used as its contract says.

        Raises :class:`BadInput`, :class:`ModelNotFound`, :class:`ModelUnusable` or
        :class:`SearchUnavailable`.
        """
        return self.encoded(model, texts, role).vectors

    def encoded(self, model: str, texts: Sequence[str], role: Role = "document") -> Encoded:
        """As :meth:`embed`, with the number of tokens of each text."""
        found = resolve(self._workspace, model)
        request = Embed(found.model_id or found.source, texts, role)
        return Encoded.from_dict(self._ask(request))

    def rerank(self, model: str, query: str, documents: Sequence[str]) -> Vectors:
        """How well each document answers the query (n,), higher is better, by a reranker or
        late-interaction model: MODEL. Raises what :meth:`embed` raises."""
        pairs = [(0, row) for row in range(len(documents))]
        return self.scored(model, [query], documents, pairs).scores

    def scored(
        self,
        model: str,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: Sequence[Sequence[int]],
    ) -> Scored:
        """Scores of pairs of rows of ``queries`` and ``documents``, and their tokens."""
        request = Score(self._second(model), queries, documents, pairs)
        return Scored.from_dict(self._ask(request))

    def write(
        self, request: Write, check: Callable[[], None]
    ) -> Generator[dict[str, Any], None, None]:
        """What a causal language model of the worker writes: messages with a 'text' each, and at
        the end one with the 'answer' (:mod:`workbench.search.writer`).

        ``check`` is called between them and may raise to stop it. Raises :class:`BadInput`,
        :class:`ModelNotFound`, :class:`ModelUnusable` or :class:`SearchUnavailable`; what was
        written before is not asked for again.
        """
        process = self._ensure()
        try:
            with closing(process.converse(request.to_dict(), WRITE_SECONDS, check)) as told:
                for said in told:
                    if "error" in said:
                        raise rebuilt(said["error"], SearchUnavailable)
                    yield said
        except Gone:
            self._discard(process)
            yield from self.write(request, check)
        except Busy as error:
            raise SearchUnavailable(
                f"The language model was busy with other questions for {WRITE_SECONDS:.0f}"
                " seconds.",
                "Try again when they are answered.",
                late=True,
            ) from error
        except TimedOut as error:
            self._discard(process)
            raise SearchUnavailable(
                f"The language model did not write for {WRITE_SECONDS:.0f} seconds and was"
                " stopped.",
                "Choose a smaller model, or an endpoint.",
            ) from error
        except (OSError, EOFError) as error:
            self._discard(process)
            raise SearchUnavailable(
                "The search process ended while it was writing.",
                "There may be too little memory for the language model.",
            ) from error

    def status(self) -> dict[str, Any]:
        """'running', 'pid' and 'memory_mb' of the worker; never starts it, never waits for it."""
        process = self._process
        if process is None or not process.alive():
            return {"running": False, "pid": None, "memory_mb": 0.0}
        try:
            memory = psutil.Process(process.pid).memory_info().rss / 2**20
        except psutil.Error:
            return {"running": False, "pid": None, "memory_mb": 0.0}
        return {"running": True, "pid": process.pid, "memory_mb": memory}

    def release(self) -> None:
        """End the worker and give its memory back; the next search starts another."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the worker for good."""
        self._closed = True
        self.release()

    def _ids(self, indexes: list[str]) -> list[str]:
        """The indexes' ids; what was looked up holds while nothing is written."""
        now = generation(self._workspace)
        then, known = self._known
        if then != now:
            then, known = self._known = (now, {})
        for name in indexes:
            if name not in known:
                known[name] = self._workspace.indexes.get(name).id
        return [known[name] for name in indexes]

    def _second(self, model: str) -> str:
        """What the worker finds the second stage by; one of the wrong kind is refused here."""
        resolved = resolve(self._workspace, model)
        if resolved.contract is not None:
            check_kind(resolved.name, resolved.contract.kind)
        return resolved.model_id or resolved.source

    def _try(self, request: Request[Any]) -> None:
        try:
            self._ask(request)
        except WorkbenchError:
            return

    def _ask(self, request: Request[A]) -> A:
        seconds = self._request_seconds * (SECOND_STAGE_TIMES if request.reranks else 1)
        message = request.to_dict()
        for attempt in (1, 2):
            process = self._ensure()
            try:
                said = process.ask(message, seconds, request.shares)
            except Busy as error:
                raise SearchUnavailable(
                    f"The search was busy with other requests for {seconds:.0f} seconds.",
                    "Try again when they are done.",
                    late=True,
                ) from error
            except TimedOut as out:
                self._discard(process)
                raise SearchUnavailable(
                    f"The search did not answer within {out.seconds:.0f} seconds and was stopped.",
                    "Try again; a large model may need a GPU, or fewer candidates.",
                    late=True,
                ) from out
            except (OSError, EOFError) as error:
                # It died, or ended as idle just now. A new one gets one chance.
                self._discard(process)
                if attempt == 2:
                    raise _died(process) from error
                continue
            if "error" in said:
                raise rebuilt(said["error"], SearchUnavailable)
            return request.read(said["answer"])
        raise AssertionError("unreachable")

    def _ensure(self) -> ResidentProcess:
        with self._lock:
            if self._closed:
                raise SearchUnavailable("The search has been closed.", "Start the app again.")
            if self._process is not None and not self._process.alive():
                self._process.kill()
                self._process = None
            if self._process is None:
                self._process = ResidentProcess(
                    self._workspace, self._idle_seconds, self._more_models
                )
            return self._process

    def _discard(self, process: ResidentProcess) -> None:
        with self._lock:
            if self._process is process:
                self._process = None
        process.kill()


def _died(process: ResidentProcess) -> SearchUnavailable:
    lines = process.log_tail().splitlines()
    said = f" It last said: {lines[-1]}" if lines else ""
    return SearchUnavailable(
        f"The search process ended twice while answering.{said}",
        "There may be too little memory for the model and the index.",
    )


def _check(query: str, top_k: int) -> None:
    if not query.strip():
        raise BadInput("There is nothing to search for.", "Type a question.")
    if len(query) > _LONGEST_QUERY:
        raise BadInput(f"The question is longer than {_LONGEST_QUERY:,} characters.", "Shorten it.")
    _check_depth(top_k)


def _check_depth(top_k: int) -> None:
    if not 1 <= top_k <= MOST_HITS:
        raise BadInput(f"top_k must be between 1 and {MOST_HITS}.", "Ask for fewer documents.")
