"""Which number format to compute in, and where.

On a CPU 'auto' takes bf16 only when the processor multiplies bf16 itself; elsewhere bf16 is
emulated and slower than fp32. The weights stay fp32 and are cast as they are used (autocast), so
that the same model object can be trained; where much is encoded, :mod:`.engines` finds what is
faster.
"""

import platform
from functools import cache
from pathlib import Path
from typing import Any, Literal

from workbench.errors import BadInput

Precision = Literal["fp32", "bf16", "fp16"]

#: As /proc/cpuinfo spells them: x86's AVX-512 and AMX instructions, and Arm's.
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def choose(precision: str, device: str) -> Precision:
    """The format to compute in: what was asked for, or for 'auto' the fastest sound one here."""
    if precision != "auto":
        return precision  # type: ignore[return-value]
    if device.startswith("cuda"):
        import torch

        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if device == "cpu" and cpu_multiplies_bf16() else "fp32"


def pick_device(device: str) -> str:
    """'cpu', 'cuda' or 'cuda:N' from 'auto' or a wish; raises when a GPU is asked for in vain."""
    if device == "cpu":
        return "cpu"
    import torch

    available = torch.cuda.is_available()
    if device.startswith("cuda") and not available:
        raise BadInput("There is no usable GPU on this machine.", "Set the device to auto or cpu.")
    if device == "auto":
        return "cuda" if available else "cpu"
    return device


def dtype_of(precision: Precision) -> Any:
    """The torch dtype of a precision."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


#: Instructions that add products of bytes in 32 bits: x86's VNNI and AMX, and Arm's.
_BYTE_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"}


@cache
def cpu_adds_bytes() -> bool:
    """True when this processor adds products of 8-bit numbers without overflow, as far as Linux
    tells."""
    return _has(_BYTE_FLAGS)


@cache
def cpu_multiplies_bytes() -> bool:
    """True when torch multiplies matrices of bytes here by the processor's own instructions;
    elsewhere it does so number by number."""
    return _has({"avx512_vnni", "amx_int8"})


@cache
def cpu_multiplies_bf16() -> bool:
    """True when this processor has bf16 multiplication in hardware, as far as Linux tells."""
    return _has(_BF16_FLAGS)


@cache
def processor() -> str:
    """What this machine's processor is called, as far as Linux tells."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return f"{platform.machine()} {platform.processor()}"
    about = info.read_text(encoding="utf-8", errors="replace")
    names = [line.partition(":")[2].strip() for line in about.splitlines() if "model name" in line]
    # A virtual machine may hide what its processor can do.
    can = "bf16" if cpu_multiplies_bf16() else ""
    return " ".join([platform.machine(), *names[:1], str(len(names)), can])


def _has(flags: set[str]) -> bool:
    info = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not info.is_file():
        return False
    return bool(flags & _cpu_flags(info.read_text(encoding="utf-8", errors="replace")))


def _cpu_flags(cpuinfo: str) -> set[str]:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()
