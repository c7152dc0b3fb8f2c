"""Requests that wait for the one model at work, encoded together.

What arrives while the engine is busy is taken along with the next batch of its kind. Each request
gives a share to every batch, so that a short one does not wait until a long one is done.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from workbench.errors import WorkbenchError

U = TypeVar("U")
R = TypeVar("R")

#: Units (texts, or pairs) that go to the engine at once, and those of one request among them.
TOGETHER = 256
SHARE = 64
#: What may wait in all, before more is refused.
MOST_REQUESTS = 256
MOST_UNITS = 16_384


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


class Together(Generic[U, R]):
    """``work`` gets a key and units of one or more requests of that key, and gives one result each.

    One batch at a time: the engine uses all cores. Belongs to one event loop.
    """

    def __init__(
        self,
        work: Callable[[Any, list[U]], Awaitable[Sequence[R]]],
        *,
        most_requests: int = MOST_REQUESTS,
        most_units: int = MOST_UNITS,
    ) -> None:
        self._work = work
        self._most_requests = most_requests
        self._most_units = most_units
        self._waiting: deque[_Waiting[U, R]] = deque()
        self._runner: asyncio.Task[None] | None = None
        #: How many batches ran, and how many units they held.
        self.batches = 0
        self.units = 0

    async def ask(self, key: Hashable, units: Sequence[U]) -> list[R]:
        """The results of the units (one or more), in their order. Raises :class:`Full`, and what
        ``work`` raises."""
        waiting = sum(len(one.units) - one.taken for one in self._waiting)
        # A request that is larger than what may wait is let in where nothing else does.
        crowded = waiting and waiting + len(units) > self._most_units
        if len(self._waiting) >= self._most_requests or crowded:
            raise Full("Too many requests are waiting for the model.", "Try again in a moment.")
        mine: _Waiting[U, R] = _Waiting(key, units, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await mine.answer

    async def _run(self) -> None:
        while self._waiting:
            shares = self._take()
            if not shares:
                continue
            units = [unit for one, count in shares for unit in _next(one, count)]
            self.batches += 1
            self.units += len(units)
            try:
                found = list(await self._work(shares[0][0].key, units))
            except Exception as error:  # noqa: BLE001 - it belongs to those who asked
                self._fail([one for one, _ in shares], error)
                continue
            self._deal(shares, found)

    def _take(self) -> list[tuple[_Waiting[U, R], int]]:
        """Who gives how many units to the next batch: the oldest, and others of its key."""
        left = TOGETHER
        shares: list[tuple[_Waiting[U, R], int]] = []
        for one in list(self._waiting):
            if one.answer.cancelled():
                self._waiting.remove(one)
            elif left and (not shares or one.key == shares[0][0].key):
                count = min(left, SHARE, len(one.units) - one.taken)
                shares.append((one, count))
                left -= count
        if len(shares) == 1:
            one, count = shares[0]
            shares = [(one, min(TOGETHER, len(one.units) - one.taken))]
        return shares

    def _deal(self, shares: list[tuple[_Waiting[U, R], int]], found: list[R]) -> None:
        """Each request gets its results; what is not done goes to the end of the line."""
        at = 0
        for one, count in shares:
            one.results += found[at : at + count]
            one.taken += count
            at += count
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


def _next(one: _Waiting[U, R], count: int) -> Sequence[U]:
    return one.units[one.taken : one.taken + count]
