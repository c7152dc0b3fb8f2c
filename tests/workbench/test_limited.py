"""A process with limits: what exhausts it ends it alone, and the next request starts it anew."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from workbench.errors import PictureUnusable
from workbench.jobs.processes import process_ref
from workbench.limited import ROOT, Ended, LimitedProcess, NeededTooMuch, TookTooLong

WORK = f"{__name__}:answer"


def answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    if request["do"] == "refuse":
        raise PictureUnusable.of("picture-broken", "for once")
    if request["do"] == "hoard":
        return {"length": len(bytearray(1 << 31))}, b""
    if request["do"] == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if request["do"] == "hang":
        time.sleep(600)
    print("this is no answer")
    return {"pid": os.getpid(), "said": request.get("said")}, data[::-1]


@pytest.fixture
def process() -> Iterator[LimitedProcess]:
    made = LimitedProcess(WORK, memory=256 << 20, seconds=60)
    yield made
    made.close()


def test_it_answers_and_stays(process: LimitedProcess) -> None:
    assert process.pid is None
    first = process.ask({"do": "echo", "said": "\ud83c half a pair"}, b"abc" * 1_000_000)
    assert first == ({"pid": process.pid, "said": "\ud83c half a pair"}, b"cba" * 1_000_000)
    assert process.ask({"do": "echo"})[0]["pid"] == first[0]["pid"]


def test_what_it_raises_is_raised_here(process: LimitedProcess) -> None:
    with pytest.raises(PictureUnusable) as caught:
        process.ask({"do": "refuse"})
    assert (caught.value.problem, caught.value.detail) == ("picture-broken", "for once")
    assert process.ask({"do": "echo"})[0]["pid"] == process.pid


def test_memory_is_limited(process: LimitedProcess) -> None:
    with pytest.raises(NeededTooMuch):
        process.ask({"do": "hoard"})
    assert process.ask({"do": "echo"})[1] == b""


def test_after_a_crash_it_starts_anew(process: LimitedProcess) -> None:
    before = process.ask({"do": "echo"})[0]["pid"]
    with pytest.raises(Ended):
        process.ask({"do": "crash"})
    assert process.ask({"do": "echo"})[0]["pid"] != before


def test_a_hang_is_ended() -> None:
    process = LimitedProcess(WORK, memory=256 << 20, seconds=0.5)
    with pytest.raises(TookTooLong):
        process.ask({"do": "hang"})
    assert process.pid is None
    process.close()


def test_it_ends_with_the_one_that_started_it() -> None:
    code = (
        "import os, signal\n"
        "from workbench.limited import LimitedProcess\n"
        f"process = LimitedProcess({WORK!r}, memory=256 << 20, seconds=60)\n"
        "print(process.ask({'do': 'echo'})[0]['pid'], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    child = int(done.stdout)
    deadline = time.monotonic() + 60
    while process_ref(child) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
