"""What this machine has, asked without torch."""

import subprocess

import psutil

from workbench.jobs.memory import left_in_group
from workbench.jobs.slots import gpus


def has_gpu(device: str) -> bool:
    """Whether a run with this recipe's ``device`` would use a GPU."""
    return device != "cpu" and bool(gpus())


def free_memory(gpu: bool) -> int | None:
    """Bytes free where the run would be: of the first GPU, or of the machine."""
    if not gpu:
        available = int(psutil.virtual_memory().available)
        # In a container, what the machine has free is not what we may take.
        left = left_in_group()
        return available if left is None else min(available, left)
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        # nvidia-smi's MiB.
        return int(answer.stdout.split()[0]) << 20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None  # A driver that does not say: the check goes without.
