"""``pytest -p tests.cpu_seconds``: the seconds of the processor by file, with those of processes.

Unlike ``--durations``, it says the same on a busy machine. Without ``-n``: the processes of tests
beside each other cannot be told apart.
"""

import resource
from collections import Counter
from typing import Any

import pytest

from tests import warm

_used: Counter[str] = Counter()
_before = 0.0


def _now() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ours = sum(one.ru_utime + one.ru_stime for one in map(resource.getrusage, who))
    return ours + warm.seconds()


def pytest_collection_finish() -> None:
    global _before
    _used["(starting, and finding the tests)"] = _before = _now()  # type: ignore[assignment]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    global _before
    done = yield
    now = _now()
    _used[item.nodeid.split("::")[0]] += now - _before  # type: ignore[assignment]
    _before = now
    return done


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.section(f"{_now():.0f} seconds of the processor")
    for name, seconds in _used.most_common(40):
        terminalreporter.line(f"{seconds:8.1f} {name}")
