"""What runs at the same time: one training per GPU, one heavy job on the CPU, one light job.

A job on several GPUs holds all of them: its slot is their names with commas between.
"""

import os
import subprocess
from functools import cache
from itertools import combinations

from storage.records import Job, SlotKind
from workbench.recipes.base import how_many, named

HEAVY = "heavy"
LIGHT = "light"
_GPU = "gpu:"
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@cache
def gpus() -> tuple[str, ...]:
    """The GPUs this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; asked once.

    Without torch: the variable if it is set, else ``nvidia-smi``.
    """
    listed = os.environ.get(_VISIBLE)
    if listed is not None:
        return _parse_visible(listed)
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()  # no driver, or one that does not answer: torch would find no GPU either
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip().isdigit())


def slots_for(job: Job) -> tuple[str, ...]:
    """The slots this job may take, best first."""
    if job.slot_kind is SlotKind.LIGHT:
        return (LIGHT,)
    if on_cpu(job):
        return (HEAVY,)
    wanted = str(job.recipe.get("devices", "1"))
    if by_name := named(wanted):
        return (_together(by_name),)
    return tuple(_together(some) for some in combinations(gpus(), how_many(wanted, gpus())))


def on_cpu(job: Job) -> bool:
    return not gpus() or job.recipe.get("device") == "cpu"


def processes(job: Job) -> int:
    """How many workers train together in this job."""
    return how_many(str(job.recipe.get("devices", "1")), () if on_cpu(job) else gpus())


def _together(names: tuple[str, ...]) -> str:
    return ",".join(_GPU + name for name in names)


def devices(slot: str | None) -> dict[str, str]:
    """Environment variables that show a worker the devices of its slot, and no others."""
    if slot and slot.startswith(_GPU):
        # nvidia-smi counts in bus order, CUDA by default in order of speed.
        order = {} if _VISIBLE in os.environ else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        return {_VISIBLE: slot.replace(_GPU, ""), **order}
    # A job kept on the CPU must not touch the GPU that another one trains on.
    return {_VISIBLE: ""} if slot == HEAVY and gpus() else {}


def _parse_visible(listed: str) -> tuple[str, ...]:
    names = []
    for name in (part.strip() for part in listed.split(",")):
        if name in ("", "-1", "NoDevFiles"):
            break  # CUDA reads the list up to the first name that is none
        names.append(name)
    return tuple(names)
