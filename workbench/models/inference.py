"""How a model in memory computes, whatever its kind: batches, number format, vectors of texts.
Imports torch: workers only."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from workbench.models.architecture import position_limit
from workbench.models.contract import Contract
from workbench.models.precision import Precision, dtype_of

Vectors = NDArray[np.float32]
#: Gets how many are done, and how many there are.
Progress = Callable[[int, int], None]
#: Is called before each batch and may raise.
Stop = Callable[[], None]

#: Texts, pictures or pairs in a batch.
_BATCH = {"cpu": 32, "cuda": 128}


def batches(
    lengths: Sequence[int] | NDArray[np.int64],
    device: str,
    size: int | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Iterator[NDArray[np.int64]]:
    """The rows (b,) of each batch. Rows of like length are together, which wastes less on padding,
    and long ones are first, so that the first batch shows at once whether memory suffices."""
    step = size or _BATCH[device.partition(":")[0]]
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    for start in range(0, len(order), step):
        if stop:
            stop()
        rows = order[start : start + step]
        yield rows
        if progress:
            progress(start + len(rows), len(order))


@contextmanager
def inference(model: torch.nn.Module, device: str, precision: Precision) -> Iterator[None]:
    """While it lasts the model computes in ``precision`` and without dropout or gradients;
    afterwards its training mode is as it was."""
    training = model.training
    if training:
        model.eval()
    try:
        with torch.inference_mode(), autocast(device, precision):
            yield
    finally:
        if training:
            model.train()


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


def prompt_and_length(contract: Contract, role: str, config: Any) -> tuple[str, int]:
    """The prompt of a role ('query' or 'document') and its length in tokens, which is never more
    than the model can read; ``config`` is the transformer's, None where it has none."""
    limit = longest(config)
    if role == "query":
        return contract.query_prompt, min(contract.query_max_len, limit)
    return contract.document_prompt, min(contract.passage_max_len, limit)


def longest(config: Any) -> int:
    """The most tokens a model has positions for."""
    limit = position_limit(config.to_dict(), {}) if config is not None else None
    return limit or sys.maxsize


def vectors_of(model: SentenceTransformer, features: dict[str, Any], contract: Contract) -> Vectors:
    """One vector for each text or picture of a batch on the model's device, as the contract says:
    (n, d)."""
    vectors = model(features)["sentence_embedding"].float()
    if model.truncate_dim:
        vectors = vectors[:, : model.truncate_dim]
    if contract.normalize:
        vectors = torch.nn.functional.normalize(vectors, dim=1)
    found: Vectors = vectors.cpu().numpy()
    return found
