"""Weights of several models of one shape on disk, and their average."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from workbench.training.averaging import Weights


def keep(path: Path, about: dict[str, Any], weights: Weights) -> None:
    """Weights, and what is to be known of them; never half of it under that name."""
    beside = path.with_name(f"new-{path.name}")
    torch.save({"about": about, "weights": weights}, beside)
    beside.replace(path)


def about(path: Path) -> dict[str, Any]:
    """What was kept beside the weights, which are not read."""
    found: dict[str, Any] = _read(path)["about"]
    return found


def weights(path: Path) -> Weights:
    """By name, mapped from the file."""
    found: Weights = _read(path)["weights"]
    return found


def mean(paths: Sequence[Path]) -> Weights:
    """The average, in fp32; one model's weights are read at a time."""
    total: Weights = {}
    for path in paths:
        for name, one in weights(path).items():
            share = one.float() / len(paths)
            total[name] = total[name] + share if name in total else share
    return total


def _read(path: Path) -> Any:
    # Written by this very job: arrays stand beside the tensors.
    return torch.load(path, mmap=True, weights_only=False)
