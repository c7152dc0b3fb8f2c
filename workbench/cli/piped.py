"""When whoever reads the command line's output goes away, as ``| head`` does."""

import os
import select
import sys
from collections.abc import Callable
from typing import TextIO

#: As a shell counts it: 128 and the number of the signal that ends other programs then, SIGPIPE.
UNREAD = 141


def until_unread(run: Callable[[], int]) -> int:
    """What ``run`` returns, or quietly :data:`UNREAD` where nobody reads what it writes."""
    try:
        try:
            return run()
        finally:
            # Here, and not at Python's end, where a failure can no longer be caught.
            sys.stdout.flush()
    except BrokenPipeError:
        gone = [stream for stream in (sys.stdout, sys.stderr) if _unread(stream)]
        if not gone:
            # Another pipe, which is an error as any other.
            raise
        for stream in gone:
            _discard(stream)
        return UNREAD


def _unread(stream: TextIO) -> bool:
    looking = select.poll()
    looking.register(stream.fileno(), select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in looking.poll(0))


def _discard(stream: TextIO) -> None:
    """Python writes what is left in the buffer at its end: to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
