"""The resident worker's life: it answers, ends with its parent, is killed when stuck, comes back.

Nothing here loads a model: the worker imports torch only for its first search.
"""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from workbench.errors import (
    BadInput,
    IndexNotFound,
    JobCancelled,
    SearchUnavailable,
    WorkbenchError,
)
from workbench.search import client as search_client
from workbench.search import process as resident_process
from workbench.search import resident
from workbench.search.client import SearchClient
from workbench.search.protocol import Embed, Score, Status, Warm, Write
from workbench.workspace import Workspace

# What is tested is the process itself.
pytestmark = pytest.mark.usefixtures("cold_processes")

_STATUS = Status()
_WRITE = Write("writer", "cpu", "prompt", 10, 0.0)


class Reranked(Status):
    """Is allowed the time of a second stage."""

    reranks = True


@pytest.fixture
def opened(home: Path) -> Iterator[Workspace]:
    workspace = Workspace.open(home)
    yield workspace
    workspace.close()


@pytest.fixture
def client(opened: Workspace) -> Iterator[SearchClient]:
    made = SearchClient(opened)
    yield made
    made.close()


def wait_until(true: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    if not psutil.pid_exists(pid):
        return True
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def stop(pid: int) -> None:
    """Let a process stand still; a moment passes until it does."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def nothing() -> None:
    """Nobody asks to stop."""


def test_it_answers_and_stays_the_same_process(client: SearchClient) -> None:
    assert client.status() == {"running": False, "pid": None, "memory_mb": 0.0}
    assert client._ask(_STATUS) == {"models": [], "indexes": []}
    first = client.status()
    client._ask(_STATUS)
    assert first["running"]
    assert first["memory_mb"] > 1
    assert client.status()["pid"] == first["pid"]
    client.close()
    assert gone(first["pid"])
    assert not client.status()["running"]
    with pytest.raises(SearchUnavailable, match="closed"):
        client._ask(_STATUS)


def test_its_key_is_nowhere_to_be_read_and_its_folder_is_private(client: SearchClient) -> None:
    client._ask(_STATUS)
    process = client._process
    assert process is not None
    about = psutil.Process(process.pid)
    said = " ".join([*about.cmdline(), *about.environ().values()])
    assert process._key not in said
    folder = Path(process.address).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    client.close()
    assert not folder.exists()


def test_a_stranger_without_the_key_is_refused(client: SearchClient) -> None:
    from multiprocessing import AuthenticationError
    from multiprocessing.connection import Client

    client._ask(_STATUS)
    assert client._process is not None
    with pytest.raises((AuthenticationError, EOFError, OSError)):
        Client(client._process.address, "AF_UNIX", authkey=b"guessed")
    assert client._ask(_STATUS) == {"models": [], "indexes": []}


def test_it_is_rebuilt_after_its_death(client: SearchClient) -> None:
    client._ask(_STATUS)
    before = client.status()["pid"]
    os.kill(before, signal.SIGKILL)
    assert client._ask(_STATUS) == {"models": [], "indexes": []}
    assert client.status()["pid"] != before


def test_it_is_killed_when_stuck(opened: Workspace) -> None:
    client = SearchClient(opened, request_seconds=6)
    try:
        client._ask(_STATUS)
        stuck = client.status()["pid"]
        stop(stuck)
        with pytest.raises(SearchUnavailable, match="did not answer within 6 seconds"):
            client._ask(_STATUS)
        assert gone(stuck)
        assert client._ask(_STATUS) == {"models": [], "indexes": []}
    finally:
        client.close()


def test_a_second_stage_may_take_longer(
    client: SearchClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def answers(_process: object, _request: object, seconds: float, _shares: bool) -> Any:
        given.append(seconds)
        return {"answer": None}

    monkeypatch.setattr(resident_process.ResidentProcess, "ask", answers)
    client._ask(_STATUS)
    client._ask(Warm([], "some-model"))
    assert given[1] > 5 * given[0]


def test_so_may_a_reranking_of_pairs(client: SearchClient, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def answers(_process: object, _request: object, seconds: float, _shares: bool) -> Any:
        given.append(seconds)
        return {"answer": None}

    monkeypatch.setattr(resident_process.ResidentProcess, "ask", answers)
    client._ask(Embed("one", ["text"], "document"))
    client._ask(Score("one", ["query"], ["document"], [(0, 0)]))
    assert given[1] > 5 * given[0]


def test_who_gives_up_waiting_leaves_the_others_request_alone(opened: Workspace) -> None:
    """A long request that is allowed its time, and a quick one behind it that is not."""
    client = SearchClient(opened, request_seconds=4)
    try:
        client._ask(_STATUS)
        pid = client.status()["pid"]
        stop(pid)
        with ThreadPoolExecutor(2) as pool:
            long = pool.submit(client._ask, Reranked())
            process = client._process
            assert process is not None
            wait_until(process._line.taken)
            with pytest.raises(SearchUnavailable, match="busy with other requests for 4 seconds"):
                client._ask(_STATUS)
            assert not gone(pid)
            os.kill(pid, signal.SIGCONT)
            assert long.result(300) == {"models": [], "indexes": []}
        assert client._ask(_STATUS) == {"models": [], "indexes": []}
        assert client.status()["pid"] == pid
    finally:
        client.close()


def test_waiting_for_others_takes_nothing_of_ones_own_time(opened: Workspace) -> None:
    """Each has the whole limit for itself once its turn has come."""
    client = SearchClient(opened, request_seconds=4)
    asked = []

    def slowly(_process: object, message: bytes, timeout: float) -> dict[str, object]:
        asked.append((message, timeout))
        time.sleep(0.2)
        return {"answer": None}

    try:
        client._ask(_STATUS)
        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(3) as pool:
            patch.setattr(resident_process.ResidentProcess, "_ask", slowly)
            list(pool.map(client._ask, [_STATUS] * 3))
        assert [timeout for _, timeout in asked] == [4, 4, 4]
    finally:
        client.close()


def test_the_line_keeps_its_order_and_lets_two_share() -> None:
    line = resident_process.Line()
    assert line.enter(0) and not line.enter(0) and not line.enter(0, shares=True)
    line.leave()
    assert line.enter(0, shares=True) and line.enter(0, shares=True)
    assert not line.enter(0, shares=True), "a third would only wait"
    line.leave(shares=True)
    alone = threading.Thread(target=line.enter, args=(300,))
    alone.start()
    wait_until(lambda: len(line._waiting) == 1)
    assert not line.enter(0, shares=True), "it came after one that waits"
    line.leave(shares=True)
    alone.join(300)
    assert line.taken() and not line.enter(0)
    line.leave()
    assert not line.taken()


def test_texts_to_encode_share_with_each_other_alone(
    client: SearchClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a long second stage they give up waiting, and it goes on."""
    client._ask(_STATUS)
    process = client._process
    assert process is not None
    done, both = threading.Event(), threading.Barrier(2)
    given: list[float] = []

    def works(_process: object, message: bytes, timeout: float) -> dict[str, Any]:
        given.append(timeout)
        assert both.wait(300) >= 0 if b"embed" in message else done.wait(300)
        return {"answer": None}

    monkeypatch.setattr(resident_process.ResidentProcess, "_ask", works)
    score = Score("one", ["query"], ["document"], [(0, 0)]).to_dict()
    embed = Embed("one", ["text"], "document").to_dict()
    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(process.ask, score, 300)
        wait_until(process._line.taken)
        with pytest.raises(resident_process.Busy):
            process.ask(embed, 0, shares=True)
        assert process.alive() and not long.done()
        done.set()
        assert long.result(300) == {"answer": None}
        # Each waits for the other one to be there too, and has the time that both need.
        list(pool.map(lambda _: process.ask(embed, 300, shares=True), range(2)))
    assert given == [300, 600, 600]


def test_who_gives_up_waiting_to_write_leaves_the_other_one_alone(client: SearchClient) -> None:
    client._ask(_STATUS)
    process = client._process
    assert process is not None
    stop(process.pid)

    def cancelled() -> None:
        raise JobCancelled("stopped")

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: list(process.converse(_STATUS.to_dict(), 60, nothing)))
        wait_until(process._writing.locked)
        with pytest.raises(resident_process.Busy):
            list(process.converse(_STATUS.to_dict(), 0.3, nothing))
        with pytest.raises(JobCancelled):
            list(process.converse(_STATUS.to_dict(), 60, cancelled))
        assert not gone(process.pid)
        os.kill(process.pid, signal.SIGCONT)
        assert first.result(300) == [{"answer": {"models": [], "indexes": []}}]
    # The clock of each is its own, and the line goes on.
    assert list(process.converse(_STATUS.to_dict(), 60, nothing)) == first.result()


def test_who_could_not_write_in_time_is_told_so(
    client: SearchClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client._ask(_STATUS)
    process = client._process
    assert process is not None
    monkeypatch.setattr(search_client, "WRITE_SECONDS", 0.3)
    with process._writing, pytest.raises(SearchUnavailable, match="busy with other questions"):
        list(client.write(_WRITE, nothing))
    assert not gone(process.pid)


def test_a_failed_text_and_one_not_read_on_let_the_next_be_written(
    client: SearchClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, Any]] = [{"error": {"code": "bad-input", "message": "no"}}]
    monkeypatch.setattr(resident_process.ResidentProcess, "_converse", lambda *_: iter(said))
    with pytest.raises(WorkbenchError, match="no") as kept:
        list(client.write(_WRITE, nothing))
    said[:] = [{"text": "a"}, {"answer": {}}]
    unread = client.write(_WRITE, nothing)
    assert next(unread) == {"text": "a"}
    unread.close()
    assert list(client.write(_WRITE, nothing)) == said
    assert kept.value.message == "no"


def test_who_waited_while_the_process_ended_gets_another_one(
    client: SearchClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        resident_process.ResidentProcess, "_converse", lambda *_: iter([{"answer": {}}])
    )
    client._ask(_STATUS)
    process = client._process
    assert process is not None
    waits = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with process._writing:
            second = pool.submit(lambda: list(client.write(_WRITE, waits.set)))
            assert waits.wait(300)
            os.kill(process.pid, signal.SIGKILL)
            wait_until(lambda: not process.alive())
        assert second.result(300) == [{"answer": {}}]
    assert client.status()["pid"] not in (None, process.pid)


def test_one_that_dies_each_time_is_a_sentence(
    client: SearchClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(process: resident_process.ResidentProcess, *_: object) -> None:
        process._process.kill()
        raise EOFError

    monkeypatch.setattr(resident_process.ResidentProcess, "ask", dies)
    with pytest.raises(SearchUnavailable, match="ended twice"):
        client._ask(_STATUS)


def test_one_that_cannot_start_is_a_sentence(
    client: SearchClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SearchUnavailable, match="could not be started"):
        client._ask(_STATUS)


def test_it_ends_when_idle_and_comes_back_when_needed(opened: Workspace) -> None:
    client = SearchClient(opened, idle_seconds=3)
    try:
        client._ask(_STATUS)
        first = client.status()["pid"]
        wait_until(lambda: not client.status()["running"])
        assert gone(first)
        assert client._ask(_STATUS) == {"models": [], "indexes": []}
        assert client.status()["pid"] != first
    finally:
        client.close()


_PARENT = """
import sys, time
from workbench.search.client import SearchClient
from workbench.search.protocol import Status
from workbench.workspace import Workspace
client = SearchClient(Workspace.open(sys.argv[1]))
client._ask(Status())
print(client.status()["pid"], client._process.address, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_parent(home: Path, how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    try:
        assert parent.stdout is not None
        pid, address = parent.stdout.readline().split()
        assert not gone(int(pid))
        parent.send_signal(how)
        parent.wait(300)
        wait_until(lambda: gone(int(pid)))
        wait_until(lambda: not Path(address).parent.exists())
    finally:
        parent.kill()
        parent.wait()


def test_who_looks_for_the_parent_does_not_wait_for_a_measurement(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = resident.Resident(resident.Settings("", "", str(home), None, False, idle_seconds=0))
    measuring, ended = threading.Event(), threading.Event()
    looked: list[str] = []

    class Engine:
        def decide(self) -> None:
            measuring.set()
            assert ended.wait(300)
            raise SystemExit

    def parent() -> int:
        looked.append("a measurement is no idleness")
        return -1

    def end() -> None:
        ended.set()
        raise SystemExit

    def run(watch: Callable[[], None]) -> None:
        with suppress(SystemExit):
            watch()

    monkeypatch.setattr(resident, "_LOOK_EVERY", 0.001)
    monkeypatch.setattr(resident, "_QUIET_SECONDS", -1)
    monkeypatch.setattr(os, "getppid", parent)
    monkeypatch.setattr(worker, "_end", end)
    worker._engine = cast(Any, Engine())
    with ThreadPoolExecutor(2) as pool:
        pool.submit(run, worker._measure)
        assert measuring.wait(300)
        pool.submit(run, worker._watch).result(300)
    assert ended.is_set() and len(looked) == 1


def test_many_threads_share_one_process(client: SearchClient) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client._ask(_STATUS), range(60)))
    assert answers == [{"models": [], "indexes": []}] * 60
    children = psutil.Process().children()
    assert len([child for child in children if "resident" in " ".join(child.cmdline())]) == 1


@pytest.mark.parametrize(
    ("query", "top_k", "sentence"),
    [("  ", 10, "nothing to search"), ("x" * 100_001, 10, "longer than"), ("x", 0, "top_k")],
)
def test_a_question_is_checked_before_anything_starts(
    client: SearchClient, query: str, top_k: int, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        client.search("any", query, top_k)
    with pytest.raises(IndexNotFound):
        client.search("any", "a question")
    assert not client.status()["running"]
