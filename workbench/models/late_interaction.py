"""A late-interaction model in memory: a vector per token, compared by MaxSim (ColBERT, Khattab and
Zaharia 2020). Imports torch: workers only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import MultiVectorEncoder

from workbench.models.contract import Contract
from workbench.models.inference import (
    Features,
    Progress,
    Stop,
    Vectors,
    inference,
    prompt_and_length,
    to_device,
    tokenized,
)
from workbench.models.precision import Precision

#: Tokens of queries that meet a block of documents in one product, and scores of tokens in memory
#: at once, 16 MB (measured: a block of 1 or 16 million takes two to three times as long).
_ASKED = 1024
_TILE = 4_000_000
#: Documents whose token vectors are held while pairs are scored: of 220 tokens in 128 dimensions
#: they take 230 MB.
_HELD = 2048


@dataclass(frozen=True)
class LoadedLateInteraction:
    """A late-interaction model and the contract it is used by."""

    model: MultiVectorEncoder
    contract: Contract
    device: str
    precision: Precision

    def with_contract(self, contract: Contract) -> "LoadedLateInteraction":
        """The same model in memory, used otherwise."""
        return replace(self, contract=contract)

    def encode(
        self,
        texts: Sequence[str],
        role: Any,
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> list[Vectors]:
        """Each text as (tokens, d) float32 vectors of length 1; masked tokens are left out."""
        found: list[Vectors] = [np.empty((0, 0), np.float32)] * len(texts)
        prompt, length = prompt_and_length(self.contract, role, self.model.config)
        how = {"prompt": prompt or None, "task": role, "max_length": length}
        options: dict[str, Any] = {"size": batch_size, "progress": progress, "stop": stop}
        characters = [len(text) for text in texts]
        for rows, features in tokenized(self.model, texts, characters, self.device, how, **options):
            vectors = self._batch(features, role)
            for row, one in zip(rows, vectors, strict=True):
                found[row] = one
        return found

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Vectors:
        """MaxSim of pairs (m, 2) of rows of ``queries`` and ``documents``: (m,).

        Each text is encoded once, and the vectors of a block of documents are held at a time;
        ``progress`` gets texts done and in all.
        """
        total = len(queries) + len(documents)

        def after(before: int) -> Progress | None:
            return (lambda done, _: progress(before + done, total)) if progress else None

        asked = self.encode(queries, "query", progress=after(0), stop=stop)
        scores = np.zeros(len(pairs), dtype=np.float32)
        # Texts of like length together, long ones first: less is lost on padding.
        order = np.argsort([-len(text) for text in documents], kind="stable")
        place = np.argsort(order)[pairs[:, 1]]
        by_place = np.argsort(place, kind="stable")
        place = place[by_place]
        for start in range(0, len(order), _HELD):
            shown = [documents[at] for at in order[start : start + _HELD]]
            says = after(len(queries) + start)
            texts = self.encode(shown, "document", progress=says, stop=stop)
            first, last = np.searchsorted(place, [start, start + _HELD])
            mine = by_place[first:last]
            some = np.stack([pairs[mine, 0], place[first:last] - start], axis=1)
            scores[mine] = max_sim_of(asked, texts, some, self.device)
        return scores

    def max_sim(self, queries: Sequence[Vectors], documents: Sequence[Vectors]) -> Vectors:
        """Every query against every document: (queries, documents)."""
        return max_sim(queries, documents, self.device)

    def unprojected(self, texts: Sequence[str], role: Any) -> list[Vectors]:
        """Each text's token vectors (tokens, width) as the encoder makes them, before they are
        projected."""
        prompt, length = prompt_and_length(self.contract, role, self.model.config)
        how = {"prompt": prompt or None, "task": role, "max_length": length}
        characters = [len(text) for text in texts]
        found: list[Vectors] = [np.empty((0, 0), np.float32)] * len(texts)
        for rows, features in tokenized(self.model, texts, characters, self.device, how):
            with inference(self.model, self.device, self.precision):
                vectors = _of_tokens(self.model[0](to_device(features, self.device)))
            for row, one in zip(rows, vectors, strict=True):
                found[row] = one
        return found

    def _batch(self, features: Features, role: str) -> list[Vectors]:
        with inference(self.model, self.device, self.precision):
            output = self.model(to_device(features, self.device), task=role)
            vectors = torch.nn.functional.normalize(output["token_embeddings"].float(), dim=-1)
            return _of_tokens({**output, "token_embeddings": vectors})


def _of_tokens(output: Any) -> list[Vectors]:
    """The vectors of each text's tokens that a mask leaves in, of a batch."""
    vectors, masks = output["token_embeddings"].float(), output["attention_mask"].bool()
    return [one[mask].cpu().numpy() for one, mask in zip(vectors, masks, strict=True)]


# A projection for a base that brings none.


def gram(texts: Sequence[Vectors]) -> NDArray[np.float64]:
    """The inner products (width, width) of the dimensions of token vectors, summed text by text:
    all of them at once, in float64, would take gigabytes. ``texts``: (tokens, width) each."""
    width = max((one.shape[1] for one in texts), default=0)
    total = np.zeros((width, width))
    for one in texts:
        if len(one):
            wide = one.astype(np.float64)
            total += wide.T @ wide
    return total


def principal(products: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The weights (size, width) of a projection that keeps what it can of token vectors: their
    inner products with each other, and on average their lengths. ``products`` is their
    :func:`gram` matrix.

    The first principal components, of vectors that are not centred: a projection without a bias
    cannot take a mean away. Where there is room for all (``size`` above ``width``), the rest of the
    rows is 0 turned by a fixed rotation, so that each row has its share.
    """
    width = len(products)
    _, axes = np.linalg.eigh(products)
    # The largest last. An axis has no direction of its own: its largest entry is made positive.
    axes = axes[:, ::-1].T[:size]
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1))
    if size > width:
        turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((size, width)))
        axes = turned @ axes
    before, after = np.trace(products), np.trace(axes @ products @ axes.T)
    scaled: NDArray[np.float64] = axes * np.sqrt(before / after if after > 0 else 1.0)
    return scaled


# MaxSim: the sum over a query's tokens of their best cosine with a token of the document; 0 where
# either has no tokens. Sums are made in fp32, whatever the model computes in.


def max_sim(
    queries: Sequence[Vectors], documents: Sequence[Vectors], device: str = "cpu"
) -> Vectors:
    """Every query with every document: (queries, documents) float32.

    Both are arrays of token vectors (tokens, d). ``device`` multiplies; documents are held there
    whole, queries and scores a tile at a time.
    """
    scores = np.zeros((len(queries), len(documents)), np.float32)
    asked, held = _longest_first(queries), _longest_first(documents)
    if not len(asked) or not len(held):
        return scores
    blocks = list(_blocks(documents, held, max(_ASKED, len(queries[asked[0]])), device))
    start = 0
    while start < len(asked):
        # As many as fit of the length that comes now: one long query leaves the others together.
        rows = asked[start : start + max(1, _ASKED // len(queries[asked[start]]))]
        start += len(rows)
        tokens = _padded([queries[at] for at in rows], device, zeros=True)
        across = tokens.flatten(0, 1).T
        for columns, block in blocks:
            # Rows of the product are a document's tokens, so that the best of them is found row by
            # row: three times as fast as within rows.
            cosines = (block.flatten(0, 1) @ across).unflatten(0, block.shape[:2])
            found = cosines.amax(dim=1).unflatten(1, tokens.shape[:2]).sum(dim=2)
            scores[np.ix_(rows, columns)] = found.T.cpu().numpy()
    return scores


def max_sim_of(
    queries: Sequence[Vectors],
    documents: Sequence[Vectors],
    pairs: NDArray[np.int64],
    device: str = "cpu",
) -> Vectors:
    """MaxSim of pairs (m, 2) of rows of both: (m,). Pairs of documents that are about as long
    should stand together."""
    scores = np.zeros(len(pairs), np.float32)
    size = [np.array([len(one) for one in texts], np.int64) for texts in (queries, documents)]
    lengths = np.stack([size[0][pairs[:, 0]], size[1][pairs[:, 1]]], axis=1)
    filled = np.flatnonzero(lengths.all(axis=1))
    while len(filled):
        # Token vectors are laid side by side anew for each pair: they count like scores.
        width = documents[pairs[filled[0], 1]].shape[1]
        asked, held = lengths[filled[0]]
        # More of them than of the first one's size do not fit, and are not looked at.
        near = filled[: max(1, _TILE // (held * max(asked, width)))]
        some = near[: _fitting(lengths[near], width)]
        filled = filled[len(some) :]
        left = _padded([queries[at] for at in pairs[some, 0]], device, zeros=True)
        right = _padded([documents[at] for at in pairs[some, 1]], device)
        scores[some] = (right @ left.mT).amax(dim=1).sum(dim=1).cpu().numpy()
    return scores


def _fitting(lengths: NDArray[np.int64], width: int) -> int:
    """How many pairs, in their order, make one tile: at least one. ``lengths`` (m, 2) are those of
    their queries and documents."""
    asked, held = np.maximum.accumulate(lengths, axis=0).T
    tiles = held * np.maximum(asked, width) * np.arange(1, len(lengths) + 1)
    return max(1, int(np.searchsorted(tiles, _TILE, side="right")))


def _longest_first(texts: Sequence[Vectors]) -> NDArray[np.int64]:
    """The places of those that have tokens."""
    lengths = np.array([len(one) for one in texts], np.int64)
    order = np.argsort(-lengths, kind="stable")
    return order[: np.count_nonzero(lengths)]


def _blocks(
    documents: Sequence[Vectors], order: NDArray[np.int64], asked: int, device: str
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
    """Places and padded tokens (n, longest, d) of so many documents as make one tile with so many
    tokens of queries."""
    start = 0
    while start < len(order):
        some = order[start : start + max(1, _TILE // (asked * len(documents[order[start]])))]
        yield some, _padded([documents[at] for at in some], device)
        start += len(some)


def _padded(texts: Sequence[Vectors], device: str, *, zeros: bool = False) -> torch.Tensor:
    """(n, longest, d): a document's last token is repeated, which changes no best; a query's are
    followed by ``zeros``, which add nothing."""
    lengths = torch.tensor([len(one) for one in texts])
    starts = torch.cumsum(lengths, dim=0) - lengths
    place = torch.arange(int(lengths.max()))
    tokens = torch.from_numpy(np.concatenate(texts))
    found = tokens[starts[:, None] + torch.minimum(place, lengths[:, None] - 1)]
    if zeros:
        found[place >= lengths[:, None]] = 0.0
    return found.to(device)
