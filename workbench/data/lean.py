"""Keeps a process that imports data small: what the libraries would hold on to is given back."""

import ctypes
import sys
import types
import warnings

import pyarrow as pa

_M_ARENA_MAX = -8  # From glibc's malloc.h.


def be_lean() -> None:
    """Set this process up for reading much and keeping little. Call it before any work is done.

    pyarrow's own allocator keeps what it once had, and glibc gives every thread a heap of its own:
    together some 40 MB here. Elsewhere than on glibc nothing is set.
    """
    without_pandas()
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux":
        limit = getattr(ctypes.CDLL(None), "mallopt", None)
        if limit is not None:
            limit(_M_ARENA_MAX, 1)


def without_pandas() -> None:
    """Let pyarrow do without pandas, in a process that only imports data.

    ``pa.array`` loads pandas before it converts anything: 36 MB and half a second. It does without
    one that is too old, and looks once, so for that one look it is shown an empty module of version
    0. ``to_pandas`` still works afterwards: it looks again.
    """
    if "pandas" in sys.modules:
        return
    old = types.ModuleType("pandas")
    old.__dict__["__version__"] = "0"
    sys.modules["pandas"] = old
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pa.array([0])
    finally:
        del sys.modules["pandas"]
