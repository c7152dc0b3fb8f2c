"""Computing in another number format than that of the weights. Imports torch: workers only."""

from typing import Any

import torch

from workbench.models.precision import Precision, dtype_of


def autocast(device: str, precision: Precision) -> Any:
    """A context in which matrix products are computed in ``precision``."""
    return torch.autocast(
        device.partition(":")[0],
        dtype=dtype_of(precision) if precision != "fp32" else None,
        enabled=precision != "fp32",
    )


def to_device(features: dict[str, Any], device: str) -> dict[str, Any]:
    """A batch with its tensors on the device."""
    return {
        name: value.to(device) if isinstance(value, torch.Tensor) else value
        for name, value in features.items()
    }
