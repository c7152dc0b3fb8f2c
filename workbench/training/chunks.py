"""A batch's texts computed in chunks of about one length, each padded to its own longest text.

The vectors, or scores, come back in the batch's order and one loss is taken over all of them: the
maths of one forward over the whole batch, without most of its padding.

The scripts of takeaway/ hold this file as it stands: it uses nothing of the workbench.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers.util import cat_padded_token_embeddings

Features = Mapping[str, Any]
Forward = Callable[..., dict[str, Any]]

#: What a model is asked for; where it gives none of these, it gives a vector per token.
_RESULTS = ("sentence_embedding", "scores")


@dataclass(frozen=True, slots=True)
class Budget:
    """How a batch is cut. ``tokens``: the most of a chunk, padding included, if it holds more than
    one text. ``padding``: so many padded tokens cost about as much as one more chunk."""

    tokens: int
    padding: int


#: Small chunks stay in a processor's cache; a GPU wants large ones, for each has a price in
#: launched kernels that it hardly shows for tokens.
ON_CPU = Budget(tokens=1024, padding=128)
ON_GPU = Budget(tokens=65536, padding=8192)
#: Attention that is written out holds a number for each pair of a text's tokens.
WRITTEN_OUT = 512


def cut(lengths: Sequence[int], budget: Budget) -> list[tuple[int, int]]:
    """Chunks (begin, end) of texts with these token counts, the longest first."""
    found, begin, padded = [], 0, 0
    for at, length in enumerate(lengths):
        widest = lengths[begin]
        padded += widest - length
        full = at > begin and (at - begin + 1) * widest > budget.tokens
        if full or padded > budget.padding:
            found.append((begin, at))
            begin, padded = at, 0
    return [*found, (begin, len(lengths))]


def in_chunks(model: Any, budget: Budget | None = None) -> None:
    """Let a model compute its batches so while it is trained; changed in place."""
    whole = model.forward
    turns = _turns(model)

    def forward(features: Features, **options: Any) -> dict[str, Any]:
        if not model.training or not _can_be_cut(features):
            return whole(features, **options)
        gpu = features["input_ids"].device.type == "cuda"
        given = budget or (ON_GPU if gpu else ON_CPU)
        with _attention(model, features["input_ids"].shape[1], gpu=gpu):
            return _forward(whole, features, given, options, turns=turns)

    # The instance's: the library's losses, accelerate and one process a device call it as such.
    # torch's DataParallel would copy it with the first device's weights: it must not be used.
    model.forward = forward


@contextmanager
def _attention(model: Any, width: int, *, gpu: bool) -> Iterator[None]:
    """Attention written out on a CPU, for texts of up to :data:`WRITTEN_OUT` tokens: torch's own
    looks for rows that attend to nothing and, with dropout, is not fused. Measured in bf16 without
    dropout, a step takes .78 of the processor time with MiniLM, .88 with a decoder as wide."""
    config: Any = getattr(model[0], "config", None)
    plain = getattr(config, "_attn_implementation", "") == "sdpa"
    inner = getattr(model[0], "model", None)
    # Computed again, it must be computed in the same way.
    again = getattr(inner, "is_activation_checkpointing", False)
    if gpu or not plain or again or width > WRITTEN_OUT:
        yield
        return
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"


def _turns(model: Any) -> bool:
    """Whether positions are turned into the vectors (RoPE, Su et al. 2021): then only distances
    count, and padding before a text can be cut off like that behind it."""
    config = getattr(model[0], "config", None)
    text = getattr(config, "text_config", None) or config
    return any(getattr(text, name, None) for name in ("rope_parameters", "rope_theta"))


def _can_be_cut(features: Features) -> bool:
    """Whether they are texts, one a row, whose padding a mask tells from them."""
    mask = features.get("attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2 or "cu_seq_lens_q" in features:
        return False
    tokens = features.get("input_ids")
    if not isinstance(tokens, torch.Tensor) or tokens.shape != mask.shape:
        return False
    return all(
        value.ndim > 0 and len(value) == len(mask)
        for value in features.values()
        if isinstance(value, torch.Tensor)
    )


def _forward(
    whole: Forward,
    features: Features,
    budget: Budget,
    options: Mapping[str, Any],
    *,
    turns: bool,
) -> dict[str, Any]:
    read = features["attention_mask"].bool()
    expanded = features.get("query_expansion_positions")
    if isinstance(expanded, torch.Tensor):
        # ColBERT's further tokens of a query are scored, whether or not they are attended to.
        read = read | expanded.bool()
    lengths, order = read.sum(dim=1).sort(descending=True, stable=True)
    chunks = cut(lengths.tolist(), budget)
    if len(chunks) == 1:
        return whole(features, **options)
    # Here, so that no chunk waits for a GPU to say where its padding begins.
    read = read[order].cpu()
    rows = {
        name: value[order] if isinstance(value, torch.Tensor) else value
        for name, value in features.items()
    }
    found = [whole(_rows(rows, read, *chunk, turns=turns), **options) for chunk in chunks]
    return _joined(found, order.argsort())


def _rows(
    features: Features, read: torch.Tensor, begin: int, end: int, *, turns: bool
) -> dict[str, Any]:
    """These rows of the features, without the columns that are padding in all of them."""
    columns = read[begin:end].any(dim=0).nonzero()
    if not len(columns):
        columns = torch.arange(read.shape[1])[:, None]
    first, last = (int(columns[0]) if turns else 0), int(columns[-1]) + 1
    found: dict[str, Any] = {}
    for name, value in features.items():
        if not isinstance(value, torch.Tensor):
            found[name] = value
        elif value.shape[:2] == read.shape:
            found[name] = value[begin:end, first:last]
        else:
            found[name] = value[begin:end]
    return found


def _joined(found: list[dict[str, Any]], places: torch.Tensor) -> dict[str, Any]:
    """The results of all chunks, each row back in its place."""
    results = {
        name: torch.cat([one[name] for one in found])[places]
        for name in _RESULTS
        if name in found[0]
    }
    if results:
        return results
    vectors, mask = cat_padded_token_embeddings(
        [one["token_embeddings"] for one in found], [one["attention_mask"] for one in found]
    )
    return {"token_embeddings": vectors[places], "attention_mask": mask[places]}
