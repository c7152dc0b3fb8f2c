"""How a job ended, decided from what was left behind."""

import signal
from typing import Any

import pytest

from storage.records import JobStatus
from workbench.jobs.outcome import Remains, about_memory, decide

OK = {"code": 0, "signal": None, "stopped": False, "at": 1.0}
KILLED = {"code": None, "signal": int(signal.SIGKILL), "stopped": False, "at": 1.0}
ERROR = {"code": "training-diverged", "message": "NaN.", "hint": "", "bad_input": False}


@pytest.mark.parametrize("exit", [OK, KILLED, None])
@pytest.mark.parametrize("cancel", [False, True])
def test_a_result_always_counts(exit: dict[str, Any] | None, cancel: bool) -> None:
    outcome = decide(Remains(result={"a": 1}, exit=exit), cancel_requested=cancel)
    assert (outcome.status, outcome.result, outcome.error) == (
        JobStatus.SUCCEEDED,
        {"a": 1},
        None,
    )


@pytest.mark.parametrize("left", [Remains(), Remains(exit=KILLED), Remains(error=ERROR, exit=OK)])
def test_without_a_result_a_cancel_explains_everything(left: Remains) -> None:
    assert decide(left, cancel_requested=True).status is JobStatus.CANCELLED


def test_a_task_that_gave_up_by_itself_is_cancelled() -> None:
    left = Remains(error={**ERROR, "code": "cancelled"}, exit=OK)
    assert decide(left, cancel_requested=False).status is JobStatus.CANCELLED


def test_what_the_task_said_is_kept_with_the_end_of_the_log() -> None:
    outcome = decide(Remains(error=ERROR, exit=OK, log_tail="last\n"), cancel_requested=False)
    assert outcome.status is JobStatus.FAILED
    assert outcome.error == {**ERROR, "log_tail": "last\n"}


@pytest.mark.parametrize(
    ("number", "name", "advice"),
    [
        (signal.SIGKILL, "SIGKILL", "smaller batch size"),
        (signal.SIGSEGV, "SIGSEGV", "library"),
        (signal.SIGTERM, "SIGTERM", "from outside"),
        (63, "63", "from outside"),
    ],
)
def test_a_signal_is_named_and_explained(number: int, name: str, advice: str) -> None:
    exit = {"code": None, "signal": int(number), "stopped": False}
    outcome = decide(Remains(exit=exit), cancel_requested=False)
    assert outcome.status is JobStatus.FAILED
    assert outcome.error is not None
    assert name in outcome.error["message"]
    assert advice in outcome.error["hint"]


@pytest.mark.parametrize(
    ("kills", "memory", "words"),
    [
        (None, True, "probably the machine ran out of memory"),
        (1, True, "SIGKILL: the machine ran out of memory"),
        (0, False, "no out-of-memory kill"),
    ],
)
def test_the_kernel_tells_why_it_was_killed(kills: int | None, memory: bool, words: str) -> None:
    outcome = decide(Remains(exit={**KILLED, "oom_kills": kills}), cancel_requested=False)
    assert outcome.error is not None
    assert words in outcome.error["message"]
    assert about_memory(outcome.error) is memory
    assert outcome.error["code"] == "worker-crashed"


def test_one_of_several_processes_fell() -> None:
    ended = {"code": 1, "signal": None, "stopped": False, "oom_kills": 2}
    outcome = decide(Remains(exit=ended), cancel_requested=False)
    assert about_memory(outcome.error)


def test_an_exit_code_without_a_result_is_a_failure_even_if_it_is_0() -> None:
    outcome = decide(Remains(exit=OK), cancel_requested=False)
    assert outcome.status is JobStatus.FAILED
    assert outcome.error is not None
    assert "exit code 0 and no result" in outcome.error["message"]


@pytest.mark.parametrize("exit", [None, {**KILLED, "stopped": True}])
def test_nobodys_fault_is_interrupted(exit: dict[str, Any] | None) -> None:
    outcome = decide(Remains(exit=exit), cancel_requested=False)
    assert outcome.status is JobStatus.INTERRUPTED
    assert outcome.error is not None
    assert "Resume" in outcome.error["hint"]
