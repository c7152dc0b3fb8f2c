"""Which number format to compute in, where, and by which engine, as it was decided.

On a CPU 'auto' takes bf16 only when the processor multiplies bf16 itself; elsewhere bf16 is
emulated and slower than fp32. The weights stay fp32 and are cast as they are used (autocast), so
that the same model object can be trained; where much is encoded, :mod:`.engine_choice` finds
what is faster.
"""

import json
import logging
import math
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

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


@contextmanager
def tf32(*, wanted: bool) -> Iterator[None]:
    """Within, a GPU multiplies fp32 by TF32 if wanted: several times as fast, and nearer to fp32
    than bf16 is."""
    import torch

    before = torch.get_float32_matmul_precision()
    if wanted:
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


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


# What computes an embedding model's vectors, as it was measured and is kept in the home.

log = logging.getLogger(__name__)

ENGINE_VARIABLE = "WORKBENCH_ENGINE"
TORCH, BF16_WEIGHTS, OPENVINO = "torch", "torch-bf16", "openvino"
#: What can be wished for.
ENGINES = (TORCH, BF16_WEIGHTS, OPENVINO)
#: Where half precision itself is too far from fp32.
FP32 = "torch-fp32"
FILE = "cache/engines.json"
_MOST_KEPT = 200
#: What share of the machine others may take before processor time decides.
_BUSY = 0.1


class Decision(TypedDict, total=False):
    """What computes a model for one use of it on one machine, and what was measured for it
    (:mod:`workbench.models.engine_choice`)."""

    model: str
    #: 'texts' or 'questions'.
    use: str
    engine: str
    #: How often it was made, and when last.
    tries: int
    at: float
    #: Seconds that a text takes in fp32, where it was not measured any closer.
    each: float
    #: A text's seconds by the clock and of processor time, by engine.
    seconds: dict[str, float]
    cpu: dict[str, float]
    #: The share of the machine that other programs had meanwhile.
    others: float
    #: The least to fp32's vectors, by engine.
    cosine: dict[str, float]
    #: How far its MAP is from fp32's over so many documents, by engine.
    map: dict[str, float]
    ranked: int
    #: Why others were not taken, by engine.
    refused: dict[str, str]


def forced() -> str | None:
    """The engine of ``WORKBENCH_ENGINE``, None for 'auto'; raises :class:`BadInput`."""
    wanted = os.environ.get(ENGINE_VARIABLE, "").strip() or "auto"
    if wanted == "auto":
        return None
    if wanted not in ENGINES:
        raise BadInput(
            f"{ENGINE_VARIABLE} is '{wanted}', which is no engine.",
            f"Set it to auto, {', '.join(ENGINES[:-1])} or {ENGINES[-1]}.",
        )
    return wanted


def told(decision: Decision) -> str:
    """A decision in sentences."""
    engine = decision["engine"]
    what = "Single questions to" if decision.get("use") == "questions" else "Texts for"
    said = [f"{what} '{decision['model']}' are encoded by {engine} on this machine."]
    for name in dict.fromkeys((engine, TORCH)):
        if (took := decision["seconds"].get(name)) and (cpu := decision["cpu"].get(name)):
            said.append(
                f"{name} encoded {1 / took:.1f} texts per second, {1 / cpu:.1f} per second of "
                "processor time."
            )
    if engine in decision["cosine"]:
        said.append(f"Its least cosine to fp32 is {decision['cosine'][engine]:.5f}.")
    if engine in decision.get("map", {}):
        said.append(
            f"MAP over {decision['ranked']} documents differs from fp32's by "
            f"{decision['map'][engine]:.4f}."
        )
    said += [f"{name} was not taken: {why}." for name, why in decision["refused"].items()]
    return " ".join(said)


def busy(decision: Decision) -> bool:
    """Whether other programs ran beside it, so that the clock says when they let go."""
    return decision.get("others", 0.0) > _BUSY


def costs_of(decision: Decision, device: str = "cpu") -> dict[str, float]:
    """Seconds a text by which engines are compared. A GPU's work the clock says all the same."""
    by_cpu = device == "cpu" and busy(decision)
    return decision["cpu"] if by_cpu else decision["seconds"]


def seconds_of(decision: Decision) -> float:
    """What a text takes in fp32, or nearly that; endless where it is not known."""
    return decision.get("each") or decision["seconds"].get(TORCH) or math.inf


def kept(home: Path) -> dict[str, Decision]:
    """All decisions by their keys; none where the file is not there or not what was written."""
    with suppress(OSError, ValueError):
        found = json.loads((home / FILE).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return {
                key: cast(Decision, one)
                for key, one in found.items()
                if isinstance(one, dict) and one.get("engine") in (*ENGINES, FP32)
            }
    return {}


def decisions(home: Path, name: str, since: float) -> list[Decision]:
    """Those of the model of that name on this machine, made since then."""
    found = kept(home).values()
    return [one for one in found if one.get("model") == name and one.get("at", 0.0) >= since]


def keep(home: Path, key: str, decision: Decision) -> None:
    """Add one, the oldest going where there are many. Two processes at once may lose one, which is
    then measured again."""
    path = home / FILE
    all_kept = {**kept(home), key: decision}
    newest = dict(list(all_kept.items())[-_MOST_KEPT:])
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(newest, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        log.warning("Which engine is the fastest could not be kept: %s", error)
