"""A reader that goes away, as ``head`` does: the command line ends without a word."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.cli.running import UNREAD, until_unread


@pytest.mark.parametrize(
    ("argv", "both"),
    [
        (["jobs", "list", "--json"], False),
        (["jobs", "list", "--json"], True),
        (["jobs", "--help"], False),
        (["models", "show", "none", "--json"], True),
    ],
)
def test_nobody_reads(home: Path, argv: list[str], both: bool) -> None:
    """What is written is little: it fails when the buffer is emptied, after the command itself."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "workbench", "--home", str(home), *argv],
            stdout=writing,
            stderr=writing if both else subprocess.PIPE,
            text=True,
            check=False,
            # Unbuffered, argparse would meet the failure, and says nothing of it.
            env={name: one for name, one in os.environ.items() if name != "PYTHONUNBUFFERED"},
        )
    finally:
        os.close(writing)
    assert done.returncode == UNREAD
    assert both or "BrokenPipe" not in done.stderr
    assert both or "Traceback" not in done.stderr


def test_more_than_a_buffer_is_cut_off_by_the_reader(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from workbench.cli.running import until_unread\n"
        "sys.exit(until_unread(lambda: print('x' * 10_000_000) or 0))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.read(10) == b"x" * 10
    process.stdout.close()
    assert process.wait(300) == UNREAD
    assert process.stderr.read() == b""
    process.stderr.close()


def test_another_pipe_that_breaks_is_an_error() -> None:
    def breaks() -> int:
        raise BrokenPipeError("the search process")

    with pytest.raises(BrokenPipeError, match="the search process"):
        until_unread(breaks)
