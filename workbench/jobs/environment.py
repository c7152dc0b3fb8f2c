"""The command and the environment with which a job's processes are started."""

import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from storage.records import Job
from workbench.endpoint_keys import KEYS_VARIABLE
from workbench.jobs import files, slots
from workbench.jobs.launchers import Command
from workbench.workspace import HOME_VARIABLE, TRUST_VARIABLE, URL_VARIABLE, Workspace

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
    env |= slots.devices(job.slot)
    together = slots.processes(job)
    quota = cpu_quota()
    if quota is not None or together > 1:
        cores = quota or os.cpu_count() or 1
        # Processes that train together share the cores, instead of each starting a thread for all.
        env.setdefault("OMP_NUM_THREADS", str(max(1, cores // together)))
    env[files.PROCESSES_VARIABLE] = str(together)
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
