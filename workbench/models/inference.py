"""How a model in memory computes, whatever its kind: batches, number format, vectors of texts.
Imports torch: workers only."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer

from workbench.models.architecture import position_limit
from workbench.models.contract import Contract
from workbench.models.precision import Precision, dtype_of

Vectors = NDArray[np.float32]
#: Gets how many are done, and how many there are.
Progress = Callable[[int, int], None]
#: Is called before each batch and may raise.
Stop = Callable[[], None]

Rows = NDArray[np.int64]
#: What a model reads of a batch.
Features = dict[str, Any]

#: Texts, pictures or pairs in a batch whose lengths in tokens are not known.
_BATCH = {"cpu": 32, "cuda": 128}
#: Tokens in a batch, padding among them. On a CPU, for each core, and at least: few enough that
#: what a layer computes stays near, many enough to share out. A GPU is kept busy.
_TOKENS_OF_CORE, _LEAST_TOKENS, _TOKENS_OF_GPU = 512, 1024, 65_536
#: Texts or pairs tokenized at a time, while those before them are computed.
_WINDOW = 1024
_TOKENIZING = threading.Lock()
#: Tokenizers look there at each use whether they may start threads.
_PARALLEL = "TOKENIZERS_PARALLELISM"


def batches(
    lengths: Sequence[int] | Rows,
    device: str,
    size: int | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
    tokens: int | None = None,
) -> Iterator[Rows]:
    """The rows (b,) of each batch. Rows of like length are together, which wastes less on padding,
    and long ones are first, so that the first batch shows at once whether memory suffices.

    ``size``: rows in each. ``tokens``: how many a batch may have at most, padding among them,
    where ``lengths`` are in tokens; a longer row has a batch of its own.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    start = 0
    while start < len(order):
        if stop:
            stop()
        if size is None and tokens is not None:
            step = max(1, tokens // max(1, int(lengths[order[start]])))
        else:
            step = size or _BATCH[_kind(device)]
        rows = order[start : start + step]
        yield rows
        start += len(rows)
        if progress:
            progress(start, len(order))


def tokenized(
    model: Any,
    items: Sequence[Any],
    characters: Sequence[int] | Rows,
    device: str,
    how: dict[str, Any],
    *,
    size: int | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Iterator[tuple[Rows, Features]]:
    """Batches of texts or pairs: their rows (b,), and what the model reads of them as ``how`` tells
    its ``preprocess``. Batches are as :func:`batches` makes them, by tokens where a tokenizer gives
    them unpadded; ``workers`` of them are computed at once.

    Texts are taken in windows of like length in ``characters``. A thread tokenizes the next window
    while this one is computed, which tokenizers in Rust do without Python's lock.
    """
    order = np.argsort(-np.asarray(characters, dtype=np.int64), kind="stable")
    windows = [order[start : start + _WINDOW] for start in range(0, len(order), _WINDOW)]
    done = 0

    def read(rows: Rows) -> "_Window | None":
        return _window(model, [items[row] for row in rows], how, device)

    plain = isinstance(model[0], Transformer) and "message" not in model[0].modality_config
    for window, found in _ahead(windows, read) if plain else ((one, None) for one in windows):
        lengths = found.lengths if found else np.asarray(characters)[window]
        most = _most_tokens(device, workers) if found else None
        for rows in batches(lengths, device, size, stop=stop, tokens=most):
            if found:
                yield window[rows], found.batch(rows)
            else:
                yield window[rows], model.preprocess([items[at] for at in window[rows]], **how)
            done += len(rows)
            if progress:
                progress(done, len(order))


def _most_tokens(device: str, workers: int) -> int:
    if _kind(device) == "cuda":
        return _TOKENS_OF_GPU
    return max(_LEAST_TOKENS, _TOKENS_OF_CORE * torch.get_num_threads() // workers)


def _ahead(
    windows: list[Rows], read: Callable[[Rows], "_Window | None"]
) -> Iterator[tuple[Rows, "_Window | None"]]:
    """Each window with what is read of it; the next one is read by a thread meanwhile."""
    if len(windows) < 2:
        yield from ((window, read(window)) for window in windows)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="tokens") as thread:
        coming = thread.submit(read, windows[0])
        for at, window in enumerate(windows):
            found = coming.result()
            if found is None:
                # Then others tokenize, batch by batch, and not two at a time.
                yield from ((one, None) for one in windows[at:])
                return
            if at + 1 < len(windows):
                coming = thread.submit(read, windows[at + 1])
            yield window, found


@dataclass(frozen=True, slots=True)
class _Window:
    """Tokenized texts, not yet padded. ``rows``: each text's numbers, by the input's name;
    ``fills``: what stands behind them, or before them where ``left``; ``shared``: what all batches
    have alike."""

    rows: dict[str, list[list[int]]]
    fills: dict[str, int]
    left: bool
    shared: Features

    @property
    def lengths(self) -> Rows:
        return np.array([len(one) for one in self.rows["input_ids"]], np.int64)

    def batch(self, rows: Rows) -> Features:
        """What the model reads of some of the texts, padded to the longest of them."""
        found = dict(self.shared)
        for name, all_rows in self.rows.items():
            numbers = [all_rows[row] for row in rows.tolist()]
            width = max(map(len, numbers))
            table = np.full((len(numbers), width), self.fills[name], np.int64)
            for line, one in zip(table, numbers, strict=True):
                line[width - len(one) if self.left else 0 :][: len(one)] = one
            found[name] = torch.from_numpy(table)
        return found


@contextmanager
def tokenizing(device: str = "cpu") -> Iterator[None]:
    """A tokenizer is set to a length before each use: two threads must not use one at once. Beside
    a GPU it has all cores, which compute nothing else: one alone reads half a million tokens a
    second, and a GPU more."""
    with _TOKENIZING:
        before = os.environ.get(_PARALLEL)
        if _kind(device) == "cuda":
            os.environ[_PARALLEL] = "true"
        try:
            yield
        finally:
            if before is None:
                os.environ.pop(_PARALLEL, None)
            else:
                os.environ[_PARALLEL] = before


def _window(
    model: Any, items: list[Any], how: dict[str, Any], device: str = "cpu"
) -> _Window | None:
    """The items tokenized; None where the model pads by rules of its own."""
    unpadded = {"text": {"padding": False}, "common": {"return_tensors": None}}
    if getattr(model[0], "query_expansion", None) is not None:
        return None
    with tokenizing(device):
        features = dict(model.preprocess(items, processing_kwargs=unpadded, **how))
    tokenizer = model.tokenizer
    fills = {
        "input_ids": tokenizer.pad_token_id or 0,
        "attention_mask": 0,
        "token_type_ids": getattr(tokenizer, "pad_token_type_id", 0),
    }
    rows = {name: value for name, value in features.items() if isinstance(value, list)}
    others = any(isinstance(value, torch.Tensor) for value in features.values())
    if others or "attention_mask" not in rows or not fills.keys() >= rows.keys():
        return None
    shared = {name: value for name, value in features.items() if name not in rows}
    return _Window(rows, fills, tokenizer.padding_side == "left", shared)


def _kind(device: str) -> str:
    return device.partition(":")[0]


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
        _kind(device),
        dtype=dtype_of(precision) if precision != "fp32" else None,
        enabled=precision != "fp32",
    )


def to_device(features: dict[str, Any], device: str) -> dict[str, Any]:
    """A batch with its tensors on the device."""
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
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


def vectors_of(model: SentenceTransformer, features: Features, contract: Contract) -> Vectors:
    """One vector for each text or picture of a batch on the model's device, as the contract says:
    (n, d)."""
    found: Vectors = embedded(model, features, contract).cpu().numpy()
    return found


def embedded(model: SentenceTransformer, features: Features, contract: Contract) -> torch.Tensor:
    """As :func:`vectors_of`, still on the model's device."""
    vectors = model(features)["sentence_embedding"].float()
    if model.truncate_dim:
        vectors = vectors[:, : model.truncate_dim]
    if contract.normalize:
        vectors = torch.nn.functional.normalize(vectors, dim=1)
    return vectors


def computed(
    fed: Iterator[tuple[Rows, Features]],
    compute: Callable[[Features], torch.Tensor],
    *,
    workers: int = 1,
    piece: int = 1,
) -> Iterator[tuple[Rows, Vectors]]:
    """Rows (b,) and vectors (b, d) in memory, as ``compute`` gives them of each batch of ``fed``.

    ``workers`` batches are computed at once, by threads; or, from a GPU, ``piece`` batches are
    copied together, while those after them are computed.
    """
    if workers > 1:
        yield from _by_threads(fed, compute, workers)
        return
    coming: deque[_Copy] = deque()
    held: list[tuple[Rows, torch.Tensor]] = []
    for rows, features in fed:
        held.append((rows, compute(features)))
        if len(held) == piece:
            coming.append(_Copy(held))
            held = []
        # On a CPU there is nothing to wait for.
        while coming and (piece == 1 or len(coming) > 1):
            yield coming.popleft().arrived()
    if held:
        coming.append(_Copy(held))
    yield from (one.arrived() for one in coming)


def _by_threads(
    fed: Iterator[tuple[Rows, Features]],
    compute: Callable[[Features], torch.Tensor],
    workers: int,
) -> Iterator[tuple[Rows, Vectors]]:
    coming: deque[tuple[Rows, Future[torch.Tensor]]] = deque()
    first = next(fed, None)
    second = next(fed, None) if first else None
    if first and second is None:
        # One batch needs no thread.
        yield first[0], compute(first[1]).numpy()
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="batches") as threads:
        for rows, features in chain(filter(None, (first, second)), fed):
            coming.append((rows, threads.submit(compute, features)))
            if len(coming) > workers:
                before, found = coming.popleft()
                yield before, found.result().numpy()
        for before, found in coming:
            yield before, found.result().numpy()


class _Copy:
    """Vectors of some batches on their way into memory."""

    def __init__(self, batches: list[tuple[Rows, torch.Tensor]]) -> None:
        self._rows = np.concatenate([rows for rows, _ in batches])
        self._there = torch.cat([vectors for _, vectors in batches])
        self._done: Any = None
        if self._there.is_cuda:
            here = torch.empty(self._there.shape, dtype=self._there.dtype, pin_memory=True)
            here.copy_(self._there, non_blocking=True)
            self._done = torch.cuda.Event()
            self._done.record()
            self._there = here

    def arrived(self) -> tuple[Rows, Vectors]:
        if self._done is not None:
            self._done.synchronize()
        return self._rows, self._there.numpy()


def least_cosine(ours: Vectors, theirs: Vectors) -> float:
    """Of rows (n, d) to rows; 0 where one is not finite."""
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines = np.einsum("nd,nd->n", ours, theirs) / np.maximum(lengths, 1e-12)
    return float(cosines.min()) if np.isfinite(cosines).all() else 0.0


def spread(texts: Sequence[str], count: int) -> list[str]:
    """So many of the texts, from the shortest to the longest."""
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    places = np.linspace(0, len(order) - 1, min(count, len(order))).astype(int)
    return [texts[order[at]] for at in np.unique(places).tolist()]
