"""Scores of pairs kept on disk, so that a reranker is asked about a pair once per way of using it.

They lie in the store of the encodings (``encoding_cache.py``): a vector of one number, known by
the digest of both texts, under a key of everything that decides a score. Late interaction models
score candidates this way too; their token vectors are not kept (``docs/numbers.md`` says why).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.data.digests import of_bytes, of_strings
from workbench.evaluation.encode import contract_key, deciding, weights_digest
from workbench.evaluation.encoding_cache import Digests, EncodingCache, Shelf
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel
from workbench.models.scorer import Scorer

if TYPE_CHECKING:
    from workbench.workspace import Workspace

Pairs = NDArray[np.int64]
Scores = NDArray[np.float32]
Progress = Callable[[int, int], None]

#: The role under which pairs are known: both texts, both lengths and the whole template count.
PAIR = "pair"
#: Pairs scored, and kept, at a time: what a killed job loses at most.
PIECE = 4096


def with_kept_scores(
    model: Any, resolved: ResolvedModel, workspace: "Workspace", use: bool = True
) -> Any:
    """The model with the scores it gave before, or (another kind, ``use`` false, limit 0) as it is.

    It must not stand around a model that is being trained, whose weights are no longer those of
    its folder.
    """
    cache = EncodingCache(workspace.home)
    if not use or not cache.limit or not model.contract.model_kind.scores:
        return model
    how = {
        "weights": weights_digest(resolved),
        "precision": model.precision,
        "device": model.device.partition(":")[0],
    }
    return CachedScorer(model, cache, resolved.name, how)


@dataclass(frozen=True)
class CachedScorer:
    """A scorer with a memory. ``how``: what decides its scores beside the contract."""

    scorer: Scorer
    cache: EncodingCache
    name: str
    how: dict[str, Any]
    _shelves: dict[str, Shelf] = field(default_factory=dict, init=False)

    @property
    def contract(self) -> Contract:
        return self.scorer.contract

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: Pairs,
        *,
        progress: Progress | None = None,
        stop: Callable[[], None] | None = None,
    ) -> Scores:
        """As :meth:`Scorer.score`; each piece is kept as soon as it is scored. ``progress`` gets
        pairs done and in all."""
        if stop:
            stop()
        digests = _digests(queries, documents, pairs)
        known, have = self._shelf().read(digests)
        found = known[:, 0] if known.shape[1] else np.zeros(len(pairs), np.float32)
        missing = np.flatnonzero(~have)
        done = len(pairs) - len(missing)
        if progress and done:
            progress(done, len(pairs))
        for piece in self._pieces(missing, documents, pairs):
            says = counted(progress, done, len(piece), len(pairs))
            found[piece] = score_some(
                self.scorer, queries, documents, pairs[piece], progress=says, stop=stop
            )
            # Numbers that are none are an error to be told, not to be kept.
            if np.isfinite(found[piece]).all():
                self._shelf().write(digests[piece], found[piece][:, None])
            done += len(piece)
        return found

    def _pieces(self, missing: Pairs, documents: Sequence[str], pairs: Pairs) -> list[Pairs]:
        if not len(missing):
            return []
        if not self.contract.model_kind.reads_pairs:
            return [missing]  # In pieces, a document of two of them would be encoded twice.
        # Pairs of like length together waste less on padding; long ones first.
        lengths = np.array([len(text) for text in documents])[pairs[missing, 1]]
        ordered = missing[np.argsort(-lengths, kind="stable")]
        return [ordered[start : start + PIECE] for start in range(0, len(ordered), PIECE)]

    def _shelf(self) -> Shelf:
        if PAIR not in self._shelves:
            key = contract_key(self.contract, PAIR, self.how)
            about = {"model": self.name, "role": PAIR, **self.how, **deciding(self.contract, PAIR)}
            self._shelves[PAIR] = self.cache.shelf(key, about)
        return self._shelves[PAIR]


def score_some(
    scorer: Scorer,
    queries: Sequence[str],
    documents: Sequence[str],
    pairs: Pairs,
    *,
    progress: Progress | None = None,
    stop: Callable[[], None] | None = None,
) -> Scores:
    """Scores of pairs (m, 2) -> (m,), with the scorer shown the texts of these pairs only: it may
    prepare all texts that it is given."""
    asked, left = np.unique(pairs[:, 0], return_inverse=True)
    held, right = np.unique(pairs[:, 1], return_inverse=True)
    return scorer.score(
        [queries[at] for at in asked.tolist()],
        [documents[at] for at in held.tolist()],
        np.stack([left.reshape(-1), right.reshape(-1)], axis=1).astype(np.int64),
        progress=progress,
        stop=stop,
    )


def _digests(queries: Sequence[str], documents: Sequence[str], pairs: Pairs) -> Digests:
    """(m, 2): of the digests of a pair's two texts, side by side."""
    asked, held = (of_strings(pa.array(list(texts), pa.string())) for texts in (queries, documents))
    both = np.concatenate([asked[pairs[:, 0]], held[pairs[:, 1]]], axis=1).tobytes()
    width = 2 * held.itemsize * 2
    return of_bytes([both[start : start + width] for start in range(0, len(both), width)])


def counted(progress: Progress | None, before: int, count: int, total: int) -> Progress | None:
    """What a scorer says of ``count`` of the pairs, in pairs: it counts what it likes."""
    if progress is None:
        return None
    return lambda done, of: progress(before + count * done // max(1, of), total)
