"""Processes beyond doubt."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.workbench.jobs.conftest import wait_until
from workbench.jobs.processes import alive, process_ref, signal_group, this_process


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], process_group=0
    )
    yield process
    process.kill()
    process.wait()


def reused(ref: str) -> str:
    """A process of the same id that has started a second before."""
    pid, _, started = ref.partition("@")
    return f"{pid}@{float(started) - 1}"


def test_a_process_is_known_by_pid_and_start(sleeper: "subprocess.Popen[bytes]") -> None:
    ref = process_ref(sleeper.pid)
    assert ref is not None
    assert alive(ref)
    time.sleep(0.05)
    assert process_ref(sleeper.pid) == ref
    assert not alive(reused(ref))
    assert not alive(None)
    assert ref != this_process()
    assert alive(this_process())


def test_a_zombie_is_dead(sleeper: "subprocess.Popen[bytes]") -> None:
    ref = process_ref(sleeper.pid)
    sleeper.kill()
    wait_until(lambda: not alive(ref), "the killed process counts as dead before it is collected")
    assert sleeper.returncode is None
    assert process_ref(sleeper.pid) is None


def test_signals_go_only_to_the_very_process(sleeper: "subprocess.Popen[bytes]") -> None:
    ref = process_ref(sleeper.pid)
    assert ref is not None
    assert not signal_group(reused(ref), signal.SIGKILL)
    assert not signal_group(None, signal.SIGKILL)
    assert alive(ref)
    assert signal_group(ref, signal.SIGKILL)
    assert sleeper.wait() == -signal.SIGKILL
    assert not signal_group(ref, signal.SIGKILL)
