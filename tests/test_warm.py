"""A forked process is one like any other: its words, its status, its surroundings, its end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm

pytestmark = [
    pytest.mark.slow,  # Starts the server, which imports torch.
    pytest.mark.skipif(sys.platform != "linux", reason="processes start as ever there"),
]
PYTHON = [sys.executable, "-c"]


def test_words_status_and_surroundings(tmp_path: Path) -> None:
    code = (
        "import os, sys, torch\n"
        "print(sys.stdin.read(), os.getcwd(), os.environ['ASKED'], sys.argv[1:], os.getpid())\n"
        "print('not well', file=sys.stderr)\n"
        "sys.exit(7)\n"
    )
    environment = {**os.environ, "ASKED": "yes"}
    done = warm.run([*PYTHON, code, "a", "b"], input="hello", cwd=tmp_path, env=environment)
    said = done.stdout.split()
    assert said[:-1] == ["hello", str(tmp_path), "yes", "['a',", "'b']"]
    assert int(said[-1]) != os.getpid()
    assert (done.returncode, done.stderr) == (7, "not well\n")


def test_an_exception_is_a_traceback_and_status_one() -> None:
    done = warm.run([*PYTHON, "raise ValueError('no')"])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ValueError: no"
    assert warm.run([*PYTHON, "import sys; sys.exit('a sentence')"]).stderr == "a sentence\n"


def test_it_can_be_killed_and_says_by_what() -> None:
    pipe = subprocess.PIPE
    code = "import time; print('ready', flush=True); time.sleep(600)"
    process = warm.popen([*PYTHON, code], stdout=pipe, start_new_session=True)
    assert process.stdout.readline() == b"ready\n"
    assert process.poll() is None and os.getsid(process.pid) == process.pid
    process.kill()
    assert process.wait() == process.poll() == -signal.SIGKILL
    process.stdout.close()


def test_what_is_to_start_cold_does(cold_processes: None) -> None:
    done = warm.popen([*PYTHON, "import sys; sys.exit('torch' in sys.modules)"])
    assert isinstance(done, subprocess.Popen) and done.wait() == 0
