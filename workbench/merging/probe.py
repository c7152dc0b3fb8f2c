"""The texts that two versions of a model are compared on, and how far apart they are.

Imports torch (by the models): worker processes only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader
from workbench.data.sample import collect
from workbench.evaluation.texts import join_documents
from workbench.models.contract import Contract
from workbench.pictures.drawing import draw, scenes

#: Half of them queries, half documents; a reranker reads as many pairs of them.
TEXTS = 64
_HALF = TEXTS // 2
#: Drawn ones, beside the texts, for models that see.
_PICTURES = 16

Numbers = list[NDArray[np.float32]]
Stop = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Probe:
    """Real texts: :data:`TEXTS` in all. ``origin`` says where they are from."""

    queries: list[str]
    documents: list[str]
    origin: str


def probe_from(reader: DatasetReader | None, contract: Contract, stop: Stop) -> Probe:
    """Texts of the data set the model was trained on; what is missing, the standard library's.

    The library's texts are those of the packaged sample: docstrings, and the code they describe.
    """
    queries, documents = _of_dataset(reader, contract) if reader else ([], [])
    origin = reader.name if reader and queries else ""
    if len(queries) < _HALF or len(documents) < _HALF:
        pairs = list(islice(collect(lambda *_: None, stop), _HALF))
        queries += [pair.query for pair in pairs][: _HALF - len(queries)]
        documents += [pair.code for pair in pairs][: _HALF - len(documents)]
        origin = f"{origin} and the standard library" if origin else "the standard library"
    return Probe(queries, documents, origin)


def _of_dataset(reader: DatasetReader, contract: Contract) -> tuple[list[str], list[str]]:
    splits = reader.counts["splits"]
    # The smallest that suffices: a training split may hold millions.
    ample = sorted((count, split) for split, count in splits.items() if count >= _HALF)
    split = ample[0][1] if ample else max(splits, key=lambda one: splits[one])
    asked: list[str] = reader.queries(split)["text"].to_pylist()
    queries = [asked[row] for row in _spread(len(asked))]
    table = reader.documents_at(_spread(int(reader.counts["documents"])))
    return queries, join_documents(table, contract).to_pylist()


def _spread(count: int) -> list[int]:
    """Rows evenly from the first to the last, each once."""
    if count == 0:
        return []
    return sorted(set(np.linspace(0, count - 1, _HALF).round().astype(int).tolist()))


def numbers(loaded: Any, probe: Probe, stop: Stop) -> Numbers:
    """What a loaded model makes of the texts: embeddings, token vectors, or scores of pairs."""
    if loaded.contract.kind == "reranker":
        count = len(probe.documents)
        pairs = [(row, (row + by) % count) for by in (0, 1) for row in range(len(probe.queries))]
        return [loaded.score(probe.queries, probe.documents, np.array(pairs), stop=stop)]
    # A model of pictures has a second tower, which no text goes through.
    seen = _pictures() if loaded.contract.kind == "image-text" else []
    return [
        *loaded.encode(probe.queries, "query", stop=stop),
        *loaded.encode(probe.documents, "document", stop=stop),
        *(loaded.encode_pictures(seen, stop=stop) if seen else []),
    ]


def _pictures() -> list[Any]:
    return [draw(scene, 64, at) for at, scene in enumerate(scenes(_PICTURES, 1))]


def apart(first: Numbers, second: Numbers) -> tuple[float, float]:
    """The largest and the mean absolute difference; infinite where shapes or numbers are wrong."""
    if [one.shape for one in first] != [one.shape for one in second]:
        return float("inf"), float("inf")
    gaps = np.concatenate(
        [np.abs(a.astype(np.float64) - b).ravel() for a, b in zip(first, second, strict=True)]
    )
    if not np.isfinite(gaps).all():
        return float("inf"), float("inf")
    return float(gaps.max()), float(gaps.mean())
