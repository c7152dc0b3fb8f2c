"""What runs at the same time: one training per GPU, one heavy job on the CPU, one light job;
and the environment that a slot's processes are started with.

A job on several GPUs holds all of them: its slot is their names with commas between.
"""

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from itertools import combinations
from pathlib import Path

from storage.records import Job, SlotKind
from workbench.endpoints import KEYS_VARIABLE
from workbench.jobs import files
from workbench.jobs.launchers import Command
from workbench.recipes.base import how_many, named
from workbench.workspace import HOME_VARIABLE, TRUST_VARIABLE, URL_VARIABLE, Workspace

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


# The command and the environment with which a job's processes are started.

#: Where the packages lie, so that a worker finds them from any folder, installed or not.
ROOT = Path(__file__).resolve().parents[2]


def runner_command(workspace: Workspace, job: Job) -> Command:
    """What the job's launcher shall start; its folder is made."""
    folder = workspace.jobs.folder(job.id)
    folder.mkdir(parents=True, exist_ok=True)
    # -P: a file that a job left in its folder must not shadow a module.
    arguments = [sys.executable, "-P", "-m", "workbench.jobs.runner", job.id, str(job.attempt)]
    return Command(job.attempt, arguments, folder, environment(workspace, job))


def environment(workspace: Workspace, job: Job) -> dict[str, str]:
    """The worker's environment: ours (hub settings and tokens included) and what the job needs."""
    env = dict(os.environ)
    for name in (HOME_VARIABLE, URL_VARIABLE, TRUST_VARIABLE, KEYS_VARIABLE):
        env.pop(name, None)
    env[HOME_VARIABLE] = str(workspace.home)
    if workspace.url:
        env[URL_VARIABLE] = workspace.url
    if workspace.trust_remote_code:
        env[TRUST_VARIABLE] = "1"
    if workspace.endpoint_keys.pairs:
        env[KEYS_VARIABLE] = str(workspace.endpoint_keys)
    env |= workspace.jobs.own_environment(job.id)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
    env |= {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "PYTHONFAULTHANDLER": "1"}
    env["TOKENIZERS_PARALLELISM"] = "false"
    env |= patient(env)
    env |= devices(job.slot)
    together = processes(job)
    quota = cpu_quota()
    if quota is not None or together > 1:
        cores = quota or os.cpu_count() or 1
        # Processes that train together share the cores, instead of each starting a thread for all.
        env.setdefault("OMP_NUM_THREADS", str(max(1, cores // together)))
    env[files.PROCESSES_VARIABLE] = str(together)
    env[files.JOB_VARIABLE] = job.id
    return env


def patient(env: Mapping[str, str]) -> dict[str, str]:
    """Lets torch's threads sleep while they wait for each other, unless the person chose otherwise.

    By default they spin. As soon as another program wants a core, each of the thousands of waits in
    a training step then costs a time slice: measured, twenty times slower beside one busy program.
    """
    return {"OMP_WAIT_POLICY": env.get("OMP_WAIT_POLICY", "PASSIVE")}


def cpu_quota(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int | None:
    """Cores this container may use, where that is fewer than it sees; else None.

    Numeric libraries start one thread per core they see, and crawl when a quota allows a few.
    """
    try:
        limit, period = file.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    cores = max(1, math.ceil(int(limit) / int(period)))
    return cores if cores < (os.cpu_count() or 1) else None
