"""What a measured check found, as lines for people. The task itself is ``training/measure.py``."""

from collections.abc import Mapping
from typing import Any

from workbench.checks.report import gigabytes


def lines(measured: Mapping[str, Any]) -> str:
    """The result of a 'measure' job."""
    return "\n".join([_time(measured), _memory(measured), _whole(measured), *measured["notes"]])


def _time(found: Mapping[str, Any]) -> str:
    return (
        f"measured over {found['steps']} steps on {found['device']} in {found['precision']}: "
        f"{found['samples_per_second']:.1f} samples/s, {found['seconds_per_step']:.2f} s a step "
        f"(the first took {found['first_step_seconds']:.2f} s)"
    )


def _memory(found: Mapping[str, Any]) -> str:
    said = f"measured memory, the most: {gigabytes(found['peak_memory'])}"
    if found["device"] == "cpu":
        said += f", of which {gigabytes(found['memory_before'])} are Python and its libraries"
    elif found["reserved_memory"]:
        said += f" ({gigabytes(found['reserved_memory'])} held from the driver)"
    if found["estimated_memory"] is not None:
        said += f"; the estimate for the model and a batch: {gigabytes(found['estimated_memory'])}"
    return said


def _whole(found: Mapping[str, Any]) -> str:
    said = f"expected: {clock(found['expected_seconds'])} for {found['total_steps']:,} steps"
    if found["dev_evaluations"]:
        said += f", without its {found['dev_evaluations']} evaluations on dev"
    return said


def clock(seconds: float) -> str:
    """'1:02:03', or '2:03' below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
