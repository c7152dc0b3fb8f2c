"""Requests that wait for the one model at work, encoded together.

What arrives while the engine is busy is taken along with the next batch of its kind. Each request
gives a share to every batch, so that a short one does not wait until a long one is done.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from workbench.errors import WorkbenchError
from workbench.search.client import SearchClient
from workbench.search.protocol import PAIRS, Role
from workbench.serving.models import Served

U = TypeVar("U")
R = TypeVar("R")

#: Units (texts, or pairs) that go to the engine at once, and how many requests at least share them.
TOGETHER = 256
SHARING = 4
SHARE = TOGETHER // SHARING
#: What may wait in all, before more is refused; characters stand for memory.
MOST_REQUESTS = 256
MOST_UNITS = 16_384
MOST_CHARACTERS = 64 * 1024 * 1024


class Full(WorkbenchError):
    """Too much waits already."""

    code = "full"


@dataclass(eq=False, slots=True)
class _Waiting(Generic[U, R]):
    """One request: its units, and the results of those that are done."""

    key: Hashable
    units: Sequence[U]
    answer: "asyncio.Future[list[R]]"
    results: list[R] = field(default_factory=list)
    taken: int = 0
    characters: int = 0
    #: Whether a batch with some of its units is at work.
    out: bool = False


class BatchingQueue(Generic[U, R]):
    """``work`` gets a key and units of one or more requests of that key, and gives one result each.

    ``at_work`` batches at a time, each request in one of them. Belongs to one event loop.
    """

    def __init__(
        self,
        work: Callable[[Any, list[U]], Awaitable[Sequence[R]]],
        *,
        most_requests: int = MOST_REQUESTS,
        most_units: int = MOST_UNITS,
        most_characters: int = MOST_CHARACTERS,
        at_once: Callable[[Any], int] = lambda _key: TOGETHER,
        length: Callable[[U], int] = lambda _unit: 0,
        at_work: int = 1,
    ) -> None:
        """``at_once``: units of that key in one batch. ``length``: a unit's characters."""
        self._work = work
        self._at_once = at_once
        self._length = length
        self._most_characters = most_characters
        self._most_requests = most_requests
        self._most_units = most_units
        self._waiting: deque[_Waiting[U, R]] = deque()
        self._at_work = at_work
        self._runners: set[asyncio.Task[None]] = set()
        #: How many batches ran, and how many units they held.
        self.batches = 0
        self.units = 0

    async def ask(self, key: Hashable, units: Sequence[U]) -> list[R]:
        """The results of the units (one or more), in their order. Raises :class:`Full`, and what
        ``work`` raises."""
        waiting = sum(len(one.units) - one.taken for one in self._waiting)
        # A request that is larger than what may wait is let in where nothing else does.
        crowded = waiting and waiting + len(units) > self._most_units
        characters = sum(map(self._length, units))
        held = sum(one.characters for one in self._waiting)
        crowded = crowded or (held and held + characters > self._most_characters)
        if len(self._waiting) >= self._most_requests or crowded:
            raise Full("Too many requests are waiting for the model.", "Try again in a moment.")
        answer = asyncio.get_running_loop().create_future()
        mine: _Waiting[U, R] = _Waiting(key, units, answer, characters=characters)
        self._waiting.append(mine)
        self._runners = {one for one in self._runners if not one.done()}
        if len(self._runners) < self._at_work:
            self._runners.add(asyncio.create_task(self._run()))
        return await mine.answer

    async def _run(self) -> None:
        while shares := self._take():
            error = await self._try(shares)
            if error is None:
                continue
            if len(shares) > 1 and not late(error):
                # One may have spoilt it for all: each gets a batch of its own.
                for share in shares:
                    alone = await self._try([share])
                    if alone is not None:
                        self._fail([share[0]], alone)
            else:
                self._fail([one for one, _ in shares], error)

    async def _try(self, shares: list[tuple[_Waiting[U, R], int]]) -> Exception | None:
        """One batch; what went wrong, if anything did."""
        units = [unit for one, count in shares for unit in _next(one, count)]
        self.batches += 1
        self.units += len(units)
        try:
            found = list(await self._work(shares[0][0].key, units))
        except Exception as error:  # noqa: BLE001 - it belongs to those who asked
            return error
        self._deal(shares, found)
        return None

    def _take(self) -> list[tuple[_Waiting[U, R], int]]:
        """Who gives how many units to the next batch: the oldest, and others of its key."""
        shares: list[tuple[_Waiting[U, R], int]] = []
        most = left = 0
        for one in list(self._waiting):
            if one.out:
                continue
            if one.answer.cancelled():
                self._waiting.remove(one)
                continue
            if not shares:
                most = left = self._at_once(one.key)
            if left and (not shares or one.key == shares[0][0].key):
                count = min(left, max(1, most // SHARING), len(one.units) - one.taken)
                shares.append((one, count))
                left -= count
        if len(shares) == 1:
            one, count = shares[0]
            shares = [(one, min(most, len(one.units) - one.taken))]
        for one, _ in shares:
            one.out = True
        return shares

    def _deal(self, shares: list[tuple[_Waiting[U, R], int]], found: list[R]) -> None:
        """Each request gets its results; what is not done goes to the end of the line."""
        at = 0
        for one, count in shares:
            one.results += found[at : at + count]
            one.taken += count
            at += count
            one.out = False
            self._waiting.remove(one)
            if one.taken < len(one.units):
                self._waiting.append(one)
            elif not one.answer.done():
                one.answer.set_result(one.results)

    def _fail(self, asked: list[_Waiting[U, R]], error: Exception) -> None:
        for one in asked:
            self._waiting.remove(one)
            if not one.answer.done():
                one.answer.set_exception(error)


def late(error: Exception) -> bool:
    """Whether it took so long that nobody should wait for it once more."""
    return isinstance(error, WorkbenchError) and bool(error.details.get("late"))


def _next(one: _Waiting[U, R], count: int) -> Sequence[U]:
    return one.units[one.taken : one.taken + count]


# From texts to vectors and from pairs to scores, through the resident search worker.

Vector = NDArray[np.float32]
#: A text's vector, or a pair's score; and its tokens.
Embedded = tuple[Vector, int]
Judged = tuple[float, int]
#: ('model', role) for texts.
EmbedKey = tuple[str, Role]
#: ('model', whether it may be a language model) for pairs.
RerankKey = tuple[str, bool]
#: Batches of texts on their way: while one is computed the next is there, and an engine that has a
#: core for each of several batches starts it before the other has ended.
_ON_THE_WAY = 2
#: Of a language model so many pairs at once: others wait for the whole batch.
SLOW_PAIRS = 8


class Work:
    """Two lines of waiting requests over one search worker."""

    def __init__(self, search: SearchClient) -> None:
        self._search = search
        self.embedding: BatchingQueue[str, Embedded] = BatchingQueue(
            self._embed, length=len, at_work=_ON_THE_WAY
        )
        self.reranking: BatchingQueue[tuple[str, str], Judged] = BatchingQueue(
            self._rerank, at_once=_pairs_at_once, length=lambda pair: len(pair[1])
        )

    async def embed(self, model: Served, texts: list[str], role: Role) -> list[Embedded]:
        return await self.embedding.ask((model.known, role), texts)

    async def rerank(self, model: Served, query: str, documents: list[str]) -> list[Judged]:
        key = (model.known, model.slow)
        return await self.reranking.ask(key, [(query, one) for one in documents])

    async def _embed(self, key: EmbedKey, texts: list[str]) -> Sequence[Embedded]:
        model, role = key
        found = await run_in_threadpool(self._search.encoded, model, texts, role)
        return list(zip(found.vectors, found.tokens, strict=True))

    async def _rerank(self, key: RerankKey, pairs: list[tuple[str, str]]) -> Sequence[Judged]:
        """Each text is sent once, however many pairs it is in."""
        model, _ = key
        queries = _numbered(query for query, _ in pairs)
        documents = _numbered(document for _, document in pairs)
        places = [(queries[query], documents[document]) for query, document in pairs]
        asked = (model, list(queries), list(documents), places)
        found = await run_in_threadpool(self._search.scored, *asked)
        return list(zip(found.scores.tolist(), found.tokens, strict=True))


def _pairs_at_once(key: RerankKey) -> int:
    return SLOW_PAIRS if key[1] else PAIRS


def cut(vector: Vector, dimensions: int | None, normalize: bool) -> Vector:
    """The first so many numbers of a vector, to length 1 again where it should have that."""
    if dimensions is None or dimensions >= len(vector):
        return vector
    short = vector[:dimensions]
    length = float(np.linalg.norm(short))
    return short / length if normalize and length > 0 else short


def probability(logit: float) -> float:
    """A reranker's logit as a number between 0 and 1; keeps the order."""
    small = math.exp(-abs(logit))
    return (1 if logit >= 0 else small) / (1 + small)


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    """Each different text and its number, in the order they came."""
    return {text: at for at, text in enumerate(dict.fromkeys(texts))}


# Work for a client while it is there: one that went away is not computed for.

T = TypeVar("T")


class Gone(WorkbenchError):
    """Who asked has closed the connection; nobody reads this."""

    code = "gone"


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` gives; it is cancelled, and :class:`Gone` raised, when the client goes away.

    The request's body has been read before.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone("The client has closed the connection.")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
