"""How a job stands, in a few words each: what the badges beside the live chart say."""

import time
from collections.abc import Mapping
from typing import Any

from ui.words import amounts, sentences, t
from workbench.records import Job, JobStatus

TONES = {
    JobStatus.QUEUED: "",
    JobStatus.RUNNING: "busy",
    JobStatus.SUCCEEDED: "good",
    JobStatus.FAILED: "bad",
    JobStatus.CANCELLED: "warn",
    JobStatus.INTERRUPTED: "warn",
}


def badges(job: Job, system: Mapping[str, float]) -> dict[str, dict[str, str]]:
    """Badge name -> ``{"text", "tone"}``; ``system`` is the newest row of that kind, or empty.

    A badge that is missing is not known anew: the page keeps showing the one it has.
    """
    texts = {
        "state": _state(job),
        "step": _step(job.progress),
        "left": _time(job),
        "rate": _rate(system),
        "memory": _memory(system),
    }
    found = {name: {"text": text, "tone": ""} for name, text in texts.items() if text is not None}
    found["state"]["tone"] = TONES[job.status]
    return found


def _state(job: Job) -> str:
    if job.cancel_requested_at is not None and job.status is JobStatus.RUNNING:
        return t("live.cancelling")
    return t(f"live.{job.status.value}")


def _step(progress: Mapping[str, Any]) -> str | None:
    done, total, unit = (progress.get(key) for key in ("done", "total", "unit"))
    if done is None or not total:
        return None
    if not unit or str(unit).startswith("step"):
        return t("live.step", done=amounts.count(done), total=amounts.count(total))
    unit = sentences.said(str(unit))
    return t("live.done", done=amounts.count(done), total=amounts.count(total), unit=unit)


def _time(job: Job) -> str:
    """Time left while it runs, time taken once it ended; '' takes the badge away."""
    if job.status.finished:
        if job.started_at is None or job.finished_at is None:
            return ""
        return t("live.took", time=amounts.duration(job.finished_at - job.started_at))
    left = job.progress.get("seconds_left")
    if left is None or job.status is not JobStatus.RUNNING:
        return ""
    return t("live.left", time=amounts.duration(_since_heartbeat(job, float(left))))


def _since_heartbeat(job: Job, left: float) -> float:
    """Progress is written with the heartbeat; the time since then has passed already."""
    if job.heartbeat_at is None:
        return left
    return max(0.0, left - max(0.0, time.time() - job.heartbeat_at))


def _rate(system: Mapping[str, float]) -> str | None:
    rate = system.get("samples_per_second")
    if rate is None:
        return None
    return t("live.rate", rate=f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}")


def _memory(system: Mapping[str, float]) -> str | None:
    parts = [
        t(f"live.{key}", size=amounts.size(system[f"{key}_mb"] * 1e6))
        for key in ("memory", "gpu_memory")
        if system.get(f"{key}_mb")
    ]
    return ", ".join(parts) or None
