"""Models that compute what they have not computed before, and read the rest from disk.

An encoder keeps the vectors of texts and pictures; whatever takes an encoder takes this one, too:
evaluation, index building, candidates. A scorer keeps the score of each pair, as a vector of one
number that is known by both texts' digest. Late-interaction models score candidates that way; their
token vectors are not kept (``docs/numbers.md`` says why).

A model that remembers must not stand around one that is being trained, whose weights are no longer
those of its folder.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from workbench.data.digests import of_bytes, of_strings
from workbench.errors import ModelUnusable
from workbench.evaluation.encoding_cache import Digests, EncodingCache, Shelf
from workbench.models.contract import CONTRACT_FILE, Contract, Scorer
from workbench.models.files import model_files
from workbench.models.resolve import ResolvedModel, cached_snapshot

if TYPE_CHECKING:
    from workbench.workspace import Workspace

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]
Stop = Callable[[], None]
Progress = Callable[[int, int], None]
#: MAP of a model over judged queries and a number of documents (:func:`.measure.ranking`).
Rank = Callable[[Any, int, Stop], tuple[float, int] | None]

#: Texts encoded, and kept, at a time: what a killed job loses at most. Fewer would waste more on
#: padding, since texts are sorted by length within a piece; and a GPU waits at the end of each.
PIECE, PIECE_OF_GPU = 2048, 16_384
#: The same for scored pairs.
PAIRS = 4096
#: Raised when what is kept, or how a text becomes a vector, changes its meaning.
FORMAT = 1
#: The role under which pairs are known: both texts, both lengths and the whole template count.
PAIR = "pair"
_BLOCK = 4 << 20
#: Of the contract: where the model comes from, which decides no vector.
_ORIGIN = {"base_model", "dataset", "dataset_version"}
_OTHERS = {
    "query": {"document_prompt", "passage_max_len"},
    "document": {"query_prompt", "query_max_len"},
    # Known by its path below the data set, which is its content's digest.
    "picture": {"query_prompt", "query_max_len", "document_prompt", "passage_max_len"},
    PAIR: set(),
}


@runtime_checkable
class Quickened(Protocol):
    """A model that several engines can compute: an embedding model of texts."""

    def with_engines(
        self,
        home: Path,
        digest: str,
        name: str,
        *,
        tell: Callable[[str], None] | None,
        rank: Rank | None,
    ) -> Any: ...

    def computed(self, texts: Sequence[str], role: Any, stop: Stop | None = None) -> Any: ...


def with_cache(
    loaded: Any,
    resolved: ResolvedModel,
    workspace: "Workspace",
    use: bool = True,
    *,
    tell: Callable[[str], None] | None = None,
    rank: Rank | None = None,
) -> Any:
    """The model with what it gave before, or (``use`` false, limit 0) as it is. An embedding model
    is computed by the fastest engine that is near enough to fp32 to share what is kept: ``tell``
    gets which one, in sentences, and ``rank`` says what it does to rankings."""
    cache, weights = EncodingCache(workspace.home), weights_digest(resolved)
    if isinstance(loaded, Quickened):
        about = (workspace.home, weights, resolved.name)
        loaded = loaded.with_engines(*about, tell=tell, rank=rank)
    if not use or not cache.limit:
        return loaded
    how = {
        "weights": weights,
        "precision": loaded.precision,
        "device": loaded.device.partition(":")[0],
    }
    if loaded.contract.model_kind.encodes:
        how["dimensions"] = loaded.dimensions
        return CachedEncoder(loaded, cache, resolved.name, how)
    return CachedScorer(loaded, cache, resolved.name, how)


@dataclass(frozen=True)
class _Cached:
    """A model with a memory. ``how``: what decides its numbers beside the contract."""

    model: Any
    cache: EncodingCache
    name: str
    how: dict[str, Any]
    _shelves: dict[str, Shelf] = field(default_factory=dict, init=False)

    @property
    def contract(self) -> Contract:
        contract: Contract = self.model.contract
        return contract

    @property
    def device(self) -> str:
        return str(self.model.device)

    def _completed(
        self,
        role: str,
        digests: Digests,
        width: int,
        pieces: Callable[[Rows], list[Rows]],
        compute: Callable[[Rows, Progress | None], Vectors],
        progress: Progress | None,
    ) -> Vectors:
        """(n, width) for n digests: what is kept, and the rest computed, a piece at a time, and
        kept as soon as it is there."""
        shelf, total = self._shelf(role), len(digests)
        known, have = shelf.read(digests)
        found = known if known.shape[1] else np.zeros((total, width), np.float32)
        missing = np.flatnonzero(~have)
        done = total - len(missing)
        if progress and done:
            progress(done, total)
        for piece in pieces(missing):
            found[piece] = compute(piece, counted(progress, done, len(piece), total))
            # Numbers that are none are an error to be told, not to be kept.
            kept = piece[np.isfinite(found[piece]).all(axis=1)]
            if len(kept):
                shelf.write(digests[kept], found[kept])
            done += len(piece)
        return found

    def _shelf(self, role: str) -> Shelf:
        if role not in self._shelves:
            key = contract_key(self.contract, role, self.how)
            about = {"model": self.name, "role": role, **self.how, **deciding(self.contract, role)}
            self._shelves[role] = self.cache.shelf(key, about)
        return self._shelves[role]


class CachedEncoder(_Cached):
    """An encoder with a memory."""

    @property
    def dimensions(self) -> int:
        return int(self.how["dimensions"])

    def with_contract(self, contract: Contract) -> "CachedEncoder":
        """The same model used otherwise, with what it gave when it was used so before."""
        return CachedEncoder(self.model.with_contract(contract), self.cache, self.name, self.how)

    def encode(
        self,
        texts: list[str],
        role: Any,
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Vectors:
        """As :meth:`workbench.evaluation.measure.Encoder.encode`."""
        if stop:
            stop()

        def compute(piece: Rows, says: Progress | None) -> Vectors:
            wanted = [texts[at] for at in piece]
            found: Vectors = self.model.encode(wanted, role, progress=says, stop=stop)
            return found

        digests = of_strings(pa.array(texts, pa.string()))
        return self._completed(role, digests, self.dimensions, self._in_turn, compute, progress)

    def _in_turn(self, missing: Rows) -> list[Rows]:
        size = PIECE_OF_GPU if self.how.get("device") == "cuda" else PIECE
        return [missing[start : start + size] for start in range(0, len(missing), size)]


class CachedScorer(_Cached):
    """A scorer with a memory."""

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: Rows,
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Vectors:
        """As :meth:`Scorer.score`. ``progress`` gets pairs done and in all."""
        if stop:
            stop()

        def pieces(missing: Rows) -> list[Rows]:
            if not self.contract.model_kind.reads_pairs:
                # In pieces, a document of two of them would be encoded twice.
                return [missing] if len(missing) else []
            # Pairs of like length together waste less on padding; long ones first.
            lengths = np.array([len(text) for text in documents])[pairs[missing, 1]]
            ordered = missing[np.argsort(-lengths, kind="stable")]
            return [ordered[start : start + PAIRS] for start in range(0, len(ordered), PAIRS)]

        def compute(piece: Rows, says: Progress | None) -> Vectors:
            some = pairs[piece]
            found = score_some(self.model, queries, documents, some, progress=says, stop=stop)
            return found[:, None]

        digests = _digests(queries, documents, pairs)
        return self._completed(PAIR, digests, 1, pieces, compute, progress)[:, 0]


def score_some(
    scorer: Scorer,
    queries: Sequence[str],
    documents: Sequence[str],
    pairs: Rows,
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Vectors:
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


def _digests(queries: Sequence[str], documents: Sequence[str], pairs: Rows) -> Digests:
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


def contract_key(contract: Contract, role: str, how: dict[str, Any]) -> str:
    """A digest of everything that decides what a text of that role becomes.

    All of the contract counts but its origin and the other role's prompt and length: a field that
    is added to contracts one day then never finds encodings that were made without it.
    """
    libraries = {name: version(name) for name in ("sentence-transformers", "transformers")}
    about = {
        "format": FORMAT,
        "role": role,
        "contract": deciding(contract, role),
        "how": how,
        "libraries": libraries,
    }
    text = json.dumps(about, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def weights_digest(resolved: ResolvedModel) -> str:
    """A digest of a model's files, and of its base's for an adapter. The files are read (a GB takes
    about half a second): names and dates would not tell that a folder was filled anew."""
    folder = Path(resolved.source) if resolved.local else cached_snapshot(resolved.source)
    if folder is None:
        raise ModelUnusable(f"The model '{resolved.name}' is no longer on this machine.")
    digest = xxhash.xxh3_128()
    for path in model_files(folder):
        # The contract is in the key by itself; a card in Markdown decides nothing.
        if path.name == CONTRACT_FILE or path.suffix == ".md":
            continue
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    if resolved.base is not None:
        digest.update(weights_digest(resolved.base).encode())
    return digest.hexdigest()


def deciding(contract: Contract, role: str) -> dict[str, Any]:
    return contract.model_dump(mode="json", exclude=_ORIGIN | _OTHERS[role])
