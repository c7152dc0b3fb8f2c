"""A batch's texts computed in chunks of about one length, each padded to its own longest text.

The vectors, or scores, come back in the batch's order and one loss is taken over all of them: the
maths of one forward over the whole batch, without most of its padding.

The scripts of takeaway/ hold this file as it stands: it uses nothing of the workbench.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import torch
from sentence_transformers.util import cat_padded_token_embeddings
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

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
    turns, words = _turns(model), _words(model)
    drop_fast(model)

    def forward(features: Features, **options: Any) -> dict[str, Any]:
        if not model.training or not _can_be_cut(features):
            return whole(features, **options)
        gpu = features["input_ids"].device.type == "cuda"
        given = budget or (ON_GPU if gpu else ON_CPU)
        return _forward(whole, features, given, options, turns=turns, words=words)

    # The instance's: the library's losses, accelerate and one process a device call it as such.
    # torch's DataParallel would copy it with the first device's weights: it must not be used.
    model.forward = forward


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
    words: torch.nn.Embedding | None,
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
    parts = [_rows(rows, read, *chunk, turns=turns) for chunk in chunks]
    found = []
    for part, vectors in zip(parts, _looked_up(words, parts), strict=True):
        with _given(words, part["input_ids"], vectors):
            found.append(whole(part, **options))
    return _joined(found, order.argsort())


def _words(model: Any) -> torch.nn.Embedding | None:
    """The table of a model's words, if it has one that is used as torch's own."""
    try:
        table = model[0].model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return table if isinstance(table, torch.nn.Embedding) else None


def _looked_up(
    words: torch.nn.Embedding | None, parts: Sequence[Features]
) -> Sequence[torch.Tensor | None]:
    """The vectors of all chunks' words, looked up at once: else each chunk makes a gradient as
    large as the table. None where the table gets no gradient."""
    if words is None or not words.weight.requires_grad or not torch.is_grad_enabled():
        return [None] * len(parts)
    ids = [part["input_ids"].flatten() for part in parts]
    # No views, as those of split() are: some models add to their words' vectors in place.
    sizes = [len(one) for one in ids]
    found: Sequence[torch.Tensor] = torch.unsafe_split_with_sizes(words(torch.cat(ids)), sizes)
    return found


@contextmanager
def _given(
    words: torch.nn.Embedding | None, ids: torch.Tensor, vectors: torch.Tensor | None
) -> Iterator[None]:
    """The table gives these vectors for these words."""
    if words is None or vectors is None:
        yield
        return

    def give(_: Any, given: tuple[Any, ...], found: torch.Tensor) -> torch.Tensor:
        same = len(given) == 1 and torch.equal(given[0], ids)
        return vectors.view_as(found) if same else found

    hook = words.register_forward_hook(give)
    try:
        yield
    finally:
        hook.remove()


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


# Dropout and attention on a CPU, written out from torch's own generator. torch's dropout draws each
# number from a distribution; its attention looks for rows that attend to nothing, and is not fused
# with dropout. Measured with MiniLM in bf16 (256 tokens, two cores): chunks alone take .53 of plain
# sentence-transformers' processor time a step, chunks with this .44.


def drop_fast(model: torch.nn.Module) -> None:
    """Let a model's dropout and attention be those below while it is trained on a CPU; changed in
    place."""
    for module in model.modules():
        if type(module) is torch.nn.Dropout:
            module.__class__ = Dropout
        _FAST.add(module)
    AttentionInterface.register("sdpa", attention)


#: Modules whose attention is written out; that of all others in this process stays as it is.
_FAST: WeakSet[torch.nn.Module] = WeakSet()


class Dropout(torch.nn.Dropout):
    """torch's, but for how its numbers are drawn."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        fast = self.training and 0 < self.p < 1 and input.is_cpu and input.is_floating_point()
        if not fast or input.element_size() not in _BITS:
            return super().forward(input)
        found: torch.Tensor = _Drop.apply(input, self.p)
        return found


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' own over torch's; written out for a model that is trained on a CPU, on texts
    of up to :data:`WRITTEN_OUT` tokens."""
    own = any(options.get(name) is not None for name in ("softcap", "position_bias", "cache"))
    # A bias that is learned is part of the mask.
    own = own or (attention_mask is not None and attention_mask.requires_grad)
    width, heads = key.shape[2], query.shape[1]
    fast = module in _FAST and module.training and query.is_cpu and width <= WRITTEN_OUT
    if own or not fast or dropout >= 1:
        return sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=scaling,
            is_causal=is_causal,
            **options,
        )
    key, value = (repeat_kv(one, heads // one.shape[1]) for one in (key, value))
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if causal and attention_mask is None and query.shape[2] > 1:
        attention_mask = torch.ones(query.shape[2], width, dtype=torch.bool).tril()
    if torch.is_autocast_enabled("cpu"):
        computed = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(computed), key.to(computed), value.to(computed)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    found: torch.Tensor = _Attend.apply(query, key, value, attention_mask, scale, dropout)
    return found.transpose(1, 2).contiguous(), None


#: Numbers of these sizes in bytes are dropped by their bits.
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def _kept(like: torch.Tensor, rate: float) -> torch.Tensor:
    """A number for each of a tensor's: all bits set where it is kept, none where it is dropped, by
    chance and to within 1/32768 of the rate."""
    count = like.numel()
    drawn = torch.empty(-(-count // 4), dtype=torch.int64).random_().view(torch.int16)[:count]
    drawn = drawn.bitwise_and_(0x7FFF).sub_(round((1 - rate) * 0x8000))
    # Below zero where it is kept, and the sign's bit is what all others become.
    return drawn.bitwise_right_shift_(15).view(like.shape)


def _only(kept: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """The numbers, and 0 for those that are dropped."""
    bits = _BITS[numbers.element_size()]
    return (numbers.view(bits) & kept.to(bits)).view(numbers.dtype)


class _Drop(torch.autograd.Function):
    """Numbers of which some are 0, and the others larger by as much as is lost so on average."""

    @staticmethod
    def forward(context: Any, numbers: torch.Tensor, rate: float) -> torch.Tensor:
        numbers = numbers.contiguous()
        kept, context.rate = _kept(numbers, rate), rate
        context.save_for_backward(kept)
        return _only(kept, numbers / (1 - rate))

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        [kept] = context.saved_tensors
        return _only(kept, gradient.contiguous() / (1 - context.rate)), None


class _Attend(torch.autograd.Function):
    """softmax(query key^T) value of (texts, heads, tokens, width) with dropout of the weights."""

    @staticmethod
    def forward(
        context: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        scale: float,
        rate: float,
    ) -> torch.Tensor:
        # Multiplied so much faster than as they come, which is one token after the other.
        query, key, value = query.contiguous() * scale, key.contiguous(), value.contiguous()
        with torch.autocast("cpu", enabled=False):
            scores = query @ key.transpose(2, 3)
            if mask is not None and mask.dtype == torch.bool:
                scores.masked_fill_(~mask, torch.finfo(scores.dtype).min)
            elif mask is not None:
                # Its least number would be infinite in half precision.
                scores += mask.clamp(min=torch.finfo(scores.dtype).min / 2)
            weights = torch.softmax(scores, dim=-1)
            kept = _kept(weights, rate) if rate > 0 else None
            # By this, not as attributes: else gradient checkpointing would keep them all.
            context.save_for_backward(query, key, value, weights, kept)
            context.rate, context.scale = rate, scale
            # The weights are many, so the values are divided by the share that is kept.
            return weights @ value if kept is None else _only(kept, weights) @ (value / (1 - rate))

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, weights, kept = context.saved_tensors
        with torch.autocast("cpu", enabled=False):
            gradient = gradient.contiguous() / (1 - context.rate)
            towards = gradient @ value.transpose(2, 3)
            used = weights
            if kept is not None:
                towards, used = _only(kept, towards), _only(kept, weights)
            by_value = used.transpose(2, 3) @ gradient
            scores = torch._softmax_backward_data(towards, weights, -1, weights.dtype)
            by_query = (scores @ key).mul_(context.scale)
            by_key = scores.transpose(2, 3) @ query
        return by_query, by_key, by_value, None, None, None
