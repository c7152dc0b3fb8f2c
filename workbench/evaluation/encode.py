"""An embedding model that encodes what it has not encoded before, and reads the rest from disk.

Whatever takes an encoder takes this one: evaluation, index building, candidates. It must not stand
around a model that is being trained, whose weights are no longer those of its folder.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from workbench.data.digests import of_strings
from workbench.errors import ModelUnusable
from workbench.evaluation.encoding_cache import EncodingCache, Shelf
from workbench.models.contract import CONTRACT_FILE, Contract
from workbench.models.files import model_files
from workbench.models.resolve import ResolvedModel, cached_snapshot

if TYPE_CHECKING:
    from workbench.evaluation.measure import Encoder, Stop
    from workbench.evaluation.pictures import OnPictures
    from workbench.models.load import LoadedEmbedding
    from workbench.workspace import Workspace

E = TypeVar("E", "LoadedEmbedding", "OnPictures")


#: Texts encoded, and kept, at a time: what a killed job loses at most. Fewer would waste more on
#: padding, since texts are sorted by length within a piece.
PIECE = 2048


#: Raised when what is kept, or how a text becomes a vector, changes its meaning.
FORMAT = 1


_BLOCK = 4 << 20


#: Of the contract: where the model comes from, which decides no vector.
_ORIGIN = {"base_model", "dataset", "dataset_version"}


_OTHERS = {
    "query": {"document_prompt", "passage_max_len"},
    "document": {"query_prompt", "query_max_len"},
    # Known by its path below the data set, which is its content's digest.
    "picture": {"query_prompt", "query_max_len", "document_prompt", "passage_max_len"},
    # A query and a document together: all of it counts.
    "pair": set(),
}


def with_cache(
    loaded: E,
    resolved: ResolvedModel,
    workspace: "Workspace",
    use: bool = True,
) -> "E | CachedEncoder":
    """The model with the workspace's kept encodings, or (``use`` false, limit 0) as it is."""
    cache = EncodingCache(workspace.home)
    if not use or not cache.limit:
        return loaded
    how = {
        "weights": weights_digest(resolved),
        "precision": loaded.precision,
        "device": loaded.device.partition(":")[0],
        "dimensions": loaded.dimensions,
    }
    return CachedEncoder(loaded, cache, resolved.name, how)


@dataclass(frozen=True)
class CachedEncoder:
    """An encoder with a memory. ``how``: what decides its vectors beside the contract."""

    encoder: "Encoder"
    cache: EncodingCache
    name: str
    how: dict[str, Any]
    _shelves: dict[str, Shelf] = field(default_factory=dict, init=False)

    @property
    def contract(self) -> Contract:
        return self.encoder.contract

    @property
    def dimensions(self) -> int:
        return int(self.how["dimensions"])

    def encode(
        self,
        texts: list[str],
        role: Any,
        *,
        progress: Callable[[int, int], None] | None = None,
        stop: "Stop | None" = None,
    ) -> NDArray[np.float32]:
        """As :meth:`Encoder.encode`; each piece is kept as soon as it is encoded."""
        if stop:
            stop()
        digests = of_strings(pa.array(texts, pa.string()))
        shelf = self._shelf(role)
        known, have = shelf.read(digests)
        found = known if known.shape[1] else np.zeros((len(texts), self.dimensions), np.float32)
        missing = np.flatnonzero(~have)
        before = len(texts) - len(missing)
        if progress and before:
            progress(before, len(texts))
        for start in range(0, len(missing), PIECE):
            piece = missing[start : start + PIECE]
            done = _after(progress, before + start, len(texts))
            wanted = [texts[at] for at in piece]
            found[piece] = self.encoder.encode(wanted, role, progress=done, stop=stop)
            # Numbers that are none are an error to be told, not to be kept.
            kept = piece[np.isfinite(found[piece]).all(axis=1)]
            if len(kept):
                shelf.write(digests[kept], found[kept])
        return found

    def _shelf(self, role: str) -> Shelf:
        if role not in self._shelves:
            key = contract_key(self.contract, role, self.how)
            about = {"model": self.name, "role": role, **self.how, **deciding(self.contract, role)}
            self._shelves[role] = self.cache.shelf(key, about)
        return self._shelves[role]


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


def _after(
    progress: Callable[[int, int], None] | None, before: int, total: int
) -> Callable[[int, int], None] | None:
    return (lambda done, _: progress(before + done, total)) if progress else None
