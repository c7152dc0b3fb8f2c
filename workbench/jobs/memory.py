"""Whether it was memory that a job's process died of, and how much there is.

Libraries say it in many ways, which are told apart by names and words: nothing here imports them.
What the kernel did, Linux says in the files of the process's control group; elsewhere nothing is
known of that.
"""

import errno
import re
from pathlib import Path

from workbench.errors import OutOfMemory

_MOUNTED = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
#: A limit beyond this (v1 writes a huge number for 'none') is no limit.
_NO_LIMIT = 1 << 60


#: What libraries say in a RuntimeError: torch's CPU allocator, CUDA's and its helpers', C++.
_SAID = re.compile(
    r"DefaultCPUAllocator: (can't allocate|not enough) memory|CUDA out of memory"
    r"|CUBLAS_STATUS_ALLOC_FAILED|std::bad_alloc|[Cc]annot allocate memory",
)
#: How much was asked for when it failed: '2.50 GiB', '4096 bytes'.
_WANTED = re.compile(r"[Tt]ried to allocate ([\d.,]+ ?(?:[KMGT]i?B|bytes))")
_HINT = "Try a smaller batch size or shorter maximum lengths, or close other programs."


def out_of_memory(error: BaseException) -> OutOfMemory | None:
    """The error in our words if it, or what it was raised from, is a lack of memory."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OutOfMemory):
            return found
        if _is_out_of_memory(found):
            return _told(found)
        found = found.__cause__
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and _SAID.search(str(error)) is not None


def _told(error: BaseException) -> OutOfMemory:
    text = str(error)
    on_gpu = type(error).__name__ == "OutOfMemoryError" or "CUDA" in text or "CUBLAS" in text
    wanted = _WANTED.search(text)
    tried = f" It failed when {wanted[1]} more were asked for." if wanted else ""
    where = "the GPU" if on_gpu else "this machine"
    return OutOfMemory(
        f"There was not enough memory on {where}.{tried}", _HINT, memory="gpu" if on_gpu else "ram"
    )


def oom_kills(own: Path = _OWN, mounted: Path = _MOUNTED) -> int | None:
    """How many processes of our control group the kernel has killed for want of memory so far."""
    for folder in _folders(own, mounted):
        for name in ("memory.events", "memory.oom_control"):
            found = _read(folder / name).get("oom_kill")
            if found is not None:
                return found
    return None


def left_in_group(own: Path = _OWN, mounted: Path = _MOUNTED) -> int | None:
    """Bytes that our control group may still take; None where it has no limit of its own."""
    names = (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    left = []
    for folder in _folders(own, mounted):
        for limit_name, used_name, cache_name in names:
            limit, used = _number(folder / limit_name), _number(folder / used_name)
            if limit is not None and used is not None and limit < _NO_LIMIT:
                # Files that were read and may be forgotten count as used, and are free.
                cached = _read(folder / "memory.stat").get(cache_name, 0)
                left.append(max(0, limit - used + cached))
    return min(left, default=None)


def _folders(own: Path, mounted: Path) -> list[Path]:
    """Our group's folders, the innermost first. A container often sees its own group as the root,
    whatever its path says."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = mounted / "memory" if controllers else mounted
        inner = root / path.lstrip("/")
        found += [one for one in (inner, *inner.parents) if one.is_relative_to(root)]
    return found


def _read(path: Path) -> dict[str, int]:
    """A file of 'name number' lines; {} where there is none."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _number(path: Path) -> int | None:
    """A file that holds one number; None for 'max', and where there is none."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() else None
