"""The files a run leaves in its output folder, beside the checkpoints and TensorBoard's events."""

import json
from collections.abc import Iterable, Mapping
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

from workbench.recipes.base import Recipe

LOGS = "detailed_training_logs.json"
LOSSES = "training_losses.json"
SUMMARY = "training_summary_report.json"
CONFIG = "training_config.json"
FINAL = "final"
RUNS = "runs"


def write_json(path: Path, value: Any) -> None:
    """Written beside and renamed, so that a reader never sees half of it."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(path)


def write_config(output: Path, recipe: Recipe, resolved: Mapping[str, Any]) -> None:
    """The recipe, and what 'auto' and empty fields came to."""
    write_json(output / CONFIG, {**recipe.model_dump(mode="json"), "resolved": dict(resolved)})


def write_logs(output: Path, history: Iterable[Mapping[str, Any]]) -> None:
    """Every step's and every dev evaluation's numbers, and the mean loss of each epoch."""
    entries = [dict(entry) for entry in history]
    write_json(output / LOGS, entries)
    write_json(output / LOSSES, mean_losses(entries))


def mean_losses(entries: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """``[{"epoch": 1, "loss": ..., "steps": ...}, ...]``, epochs from 1 on."""
    by_epoch: dict[int, list[float]] = {}
    for entry in entries:
        if "loss" in entry and "epoch" in entry:
            # The end of the first epoch is 1.0; rounding must not move it into the second.
            epoch = max(1, ceil(entry["epoch"] - 1e-9))
            by_epoch.setdefault(epoch, []).append(float(entry["loss"]))
    return [
        {"epoch": epoch, "loss": fmean(losses), "steps": len(losses)}
        for epoch, losses in sorted(by_epoch.items())
    ]
