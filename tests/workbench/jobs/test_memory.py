"""What was a lack of memory, and what the kernel's files say of it."""

import errno
from pathlib import Path

import pytest

from workbench.errors import ModelUnusable
from workbench.jobs.runner import left_in_group, oom_kills, out_of_memory


class OutOfMemoryError(RuntimeError):
    """Called as torch calls its own."""


GPU = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79 GiB"
CPU = (
    "[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 4096 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.mark.parametrize(
    ("error", "where", "tried"),
    [
        (OutOfMemoryError(GPU), "on the GPU", "2.50 GiB more"),
        (RuntimeError(CPU), "on this machine", "4096 bytes more"),
        (RuntimeError("std::bad_alloc"), "on this machine", ""),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "on the GPU", ""),
        (MemoryError(), "on this machine", ""),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "on this machine", ""),
    ],
)
def test_what_libraries_say(error: Exception, where: str, tried: str) -> None:
    found = out_of_memory(error)
    assert found is not None
    assert where in found.message
    assert tried in found.message
    assert found.details["cause"] == "out-of-memory"


def test_what_it_was_raised_from_counts_and_nothing_else() -> None:
    unusable = ModelUnusable("The model 'm' could not be loaded.")
    assert out_of_memory(unusable) is None
    unusable.__cause__ = MemoryError()
    assert out_of_memory(unusable) is not None
    assert out_of_memory(RuntimeError("shapes cannot be multiplied")) is None
    assert out_of_memory(OSError(errno.ENOSPC, "No space left on device")) is None


def group(tmp_path: Path, line: str, folder: str, files: dict[str, str]) -> tuple[Path, Path]:
    tmp_path.mkdir(exist_ok=True)
    own = tmp_path / "cgroup"
    own.write_text(f"5:cpu:/elsewhere\n{line}\n")
    place = tmp_path / "mounted" / folder
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text)
    return own, tmp_path / "mounted"


V2 = {
    "memory.events": "low 0\noom 2\noom_kill 3\n",
    "memory.max": "1000\n",
    "memory.current": "700\n",
    "memory.stat": "anon 500\ninactive_file 200\n",
}
V1 = {
    "memory.oom_control": "oom_kill_disable 0\noom_kill 4\n",
    "memory.limit_in_bytes": "1000\n",
    "memory.usage_in_bytes": "900\n",
    "memory.stat": "total_inactive_file 50\n",
}


def test_both_kinds_of_control_groups(tmp_path: Path) -> None:
    own, mounted = group(tmp_path / "v2", "0::/user/job", "user/job", V2)
    assert oom_kills(own, mounted) == 3
    assert left_in_group(own, mounted) == 500
    own, mounted = group(tmp_path / "v1", "4:memory:/job", "memory/job", V1)
    assert oom_kills(own, mounted) == 4
    assert left_in_group(own, mounted) == 150


def test_a_container_sees_its_group_as_the_root(tmp_path: Path) -> None:
    own, mounted = group(tmp_path, "0::/not/seen/from/here", ".", V2)
    assert oom_kills(own, mounted) == 3


def test_no_limit_and_no_files(tmp_path: Path) -> None:
    unlimited = {**V2, "memory.max": "max\n"}
    own, mounted = group(tmp_path, "0::/job", "job", unlimited)
    assert left_in_group(own, mounted) is None
    huge = {**V1, "memory.limit_in_bytes": "9223372036854771712\n"}
    own, mounted = group(tmp_path / "v1", "4:memory:/job", "memory/job", huge)
    assert left_in_group(own, mounted) is None
    assert oom_kills(tmp_path / "none", mounted) is None
