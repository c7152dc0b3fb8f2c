"""Requests that wait are worked on together: in order, in fair shares, and never too many."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from workbench.errors import SearchUnavailable
from workbench.serving.batching import SHARE, TOGETHER, BatchingQueue, Full


class Engine:
    """Doubles numbers; holds each batch until told to go on, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, list[int]]] = []
        self.go = asyncio.Event()
        self.fails: Callable[[list[int]], bool] = lambda _units: False

    async def work(self, key: Any, units: list[int]) -> list[int]:
        self.asked.append((key, units))
        await self.go.wait()
        if self.fails(units):
            raise ValueError("it failed")
        return [2 * unit for unit in units]


async def started(together: BatchingQueue[int, int], *asked: tuple[str, list[int]]) -> list[Any]:
    """Ask, and let each request stand in the line."""
    tasks = [asyncio.create_task(together.ask(key, units)) for key, units in asked]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_what_arrives_meanwhile_goes_together_by_key() -> None:
    engine = Engine()
    together = BatchingQueue(engine.work)
    asked = [("a", [1]), ("a", [2, 3]), ("b", [4]), ("a", [5])]
    tasks = await started(together, *asked[:1])
    tasks += await started(together, *asked[1:])
    engine.go.set()
    assert await asyncio.gather(*tasks) == [[2], [4, 6], [8], [10]]
    assert engine.asked == [("a", [1]), ("a", [2, 3, 5]), ("b", [4])]
    assert (together.batches, together.units) == (3, 5)


async def test_two_batches_are_on_their_way_and_no_request_is_in_both() -> None:
    engine = Engine()
    together = BatchingQueue(engine.work, at_work=2)
    long = list(range(TOGETHER + 5))
    tasks = await started(together, ("a", long))
    tasks += await started(together, ("a", [1]))
    tasks += await started(together, ("a", [2]), ("a", [3]))
    assert engine.asked == [("a", long[:TOGETHER]), ("a", [1])]
    engine.go.set()
    assert await asyncio.gather(*tasks) == [[2 * one for one in long], [2], [4], [6]]
    assert sorted(len(units) for _, units in engine.asked) in (
        [1, 2, 5, TOGETHER],
        [1, 7, TOGETHER],
    )


async def test_a_short_request_does_not_wait_for_a_long_one() -> None:
    engine = Engine()
    together = BatchingQueue(engine.work)
    long = list(range(5 * TOGETHER))
    (first,) = await started(together, ("a", long))
    assert len(engine.asked[0][1]) == TOGETHER, "alone it has the whole batch"
    (short,) = await started(together, ("a", [7]))
    done: list[str] = []
    first.add_done_callback(lambda _: done.append("long"))
    short.add_done_callback(lambda _: done.append("short"))
    engine.go.set()
    assert await asyncio.gather(first, short) == [[2 * one for one in long], [14]]
    assert done == ["short", "long"]
    assert len(engine.asked[1][1]) == 1 + SHARE


async def test_too_much_waiting_is_refused_and_a_large_one_alone_is_not() -> None:
    engine = Engine()
    together = BatchingQueue(engine.work, most_requests=3, most_units=10)
    tasks = await started(together, ("a", list(range(50))))
    with pytest.raises(Full, match="Try again"):
        await together.ask("a", [1])
    engine.go.set()
    assert len((await asyncio.gather(*tasks))[0]) == 50
    engine.go.clear()
    tasks = await started(together, ("a", [1]), ("b", [1]), ("c", [1]))
    with pytest.raises(Full):
        await together.ask("a", [1])
    engine.go.set()
    assert await asyncio.gather(*tasks) == [[2], [2], [2]]
    assert await together.ask("a", [3]) == [6]


async def test_who_asked_is_told_of_a_failure_and_the_next_is_served() -> None:
    engine = Engine()
    engine.fails = lambda units: 13 in units
    together = BatchingQueue(engine.work)
    tasks = await started(together, ("a", [13]), ("b", [1]))
    engine.go.set()
    with pytest.raises(ValueError, match="it failed"):
        await tasks[0]
    assert await tasks[1] == [2]


async def test_who_went_away_is_not_worked_for() -> None:
    engine = Engine()
    together = BatchingQueue(engine.work)
    tasks = await started(together, ("a", [1]), ("b", [2]), ("b", [3]))
    tasks[1].cancel()
    engine.go.set()
    assert await tasks[0] == [2]
    assert await tasks[2] == [6]
    assert engine.asked == [("a", [1]), ("b", [3])]


async def test_what_spoils_a_batch_fails_alone() -> None:
    engine = Engine()
    engine.fails = lambda units: 13 in units
    together = BatchingQueue(engine.work)
    tasks = await started(together, ("b", [0]))
    tasks += await started(together, ("a", [1]), ("a", [13]), ("a", [2, 3]))
    engine.go.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [found[at] for at in (0, 1, 3)] == [[0], [2], [4, 6]]
    assert isinstance(found[2], ValueError)
    assert [units for _, units in engine.asked[1:]] == [[1, 13, 2, 3], [1], [13], [2, 3]]


async def test_what_took_too_long_is_not_waited_for_again() -> None:
    asked = []

    async def work(_key: Any, units: list[int]) -> list[int]:
        asked.append(units)
        if len(asked) > 1:
            raise SearchUnavailable("It took too long.", late=True)
        return units

    together = BatchingQueue(work)
    tasks = await started(together, ("b", [0]), ("a", [1]), ("a", [2]))
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in found] == [list, SearchUnavailable, SearchUnavailable]
    assert asked == [[0], [1, 2]]


async def test_a_long_text_spoilt_later_keeps_nobody_else_waiting() -> None:
    """A request of several batches that fails in its second one is not asked any more."""
    engine = Engine()
    engine.fails = lambda units: -1 in units
    together = BatchingQueue(engine.work)
    engine.go.set()
    with pytest.raises(ValueError, match="it failed"):
        await together.ask("a", [*range(TOGETHER), -1, *range(TOGETHER)])
    assert len(engine.asked) == 2
    assert await together.ask("a", [5]) == [10]


async def test_what_waits_is_counted_in_characters_too() -> None:
    engine = Engine()
    together = BatchingQueue(engine.work, most_characters=10, length=lambda unit: unit)
    tasks = await started(together, ("a", [50]))
    with pytest.raises(Full):
        await together.ask("a", [1])
    engine.go.set()
    assert await asyncio.gather(*tasks) == [[100]]
    engine.go.clear()
    tasks = await started(together, ("a", [4]), ("b", [6]))
    with pytest.raises(Full):
        await together.ask("c", [1])
    engine.go.set()
    assert await asyncio.gather(*tasks) == [[8], [12]]


async def test_how_many_go_at_once_is_up_to_the_key() -> None:
    engine = Engine()
    together = BatchingQueue(engine.work, at_once=lambda key: 8 if key == "slow" else 16)
    engine.go.set()
    await asyncio.gather(together.ask("slow", range(20)), together.ask("quick", range(20)))
    sizes = [(key, len(units)) for key, units in engine.asked]
    assert [size for key, size in sizes if key == "slow"] == [8, 8, 4]
    assert [size for key, size in sizes if key == "quick"] == [16, 4]
