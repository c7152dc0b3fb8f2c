"""Embeddings as small codes, searched with rescoring. Imports sentence-transformers: workers only.

The codes are those of sentence-transformers' ``quantize_embeddings``: 8 bits a dimension between
its least and greatest value among calibration documents, or one bit, its sign. Bytes are compared
with the query in full precision, as FAISS's SQ8 does it (codes with codes, each dimension on its
own scale, would not be an inner product of anything). Signs are compared with the query's signs,
and the best of that rescored: the query in full precision with the documents in 8 bits. With the
signs alone (Yamada et al. 2021) the packaged model lost .073 MAP@100 on the sample. So beside the
signs, held in memory, the bytes are kept on disk, where only what is rescored is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from sentence_transformers.util.quantization import quantize_embeddings

from workbench.evaluation.exact_search import Order, Run, cut
from workbench.evaluation.measure import cut_to
from workbench.recipes.quantize import VectorFormat

Vectors = NDArray[np.float32]
#: Documents whose values say where each dimension lies; more would not move the ends by much.
CALIBRATION = 10_000
#: Queries rescored at once.
_QUERIES = 64
#: Documents coded, or given to FAISS, at once.
_BLOCK = 65_536


@dataclass(frozen=True)
class Codes:
    """Documents (m) as codes of one format."""

    format: VectorFormat
    unit: bool
    #: (m, dimensions) of one byte each, or eight signs a byte (the last one padded); float32 as is.
    documents: NDArray[np.generic]
    #: (2, dimensions): least and greatest value; None for signs and float32.
    ranges: Vectors | None
    #: What signs are rescored with, if they are.
    fine: "Codes | None" = None

    @classmethod
    def of(
        cls,
        vectors: Vectors,
        format: VectorFormat,
        *,
        unit: bool,
        rescored: bool = True,
        calibration: Vectors | None = None,
    ) -> "Codes":
        """Codes of document vectors (m, d). ``unit``: vectors have length 1, cut ones too.

        ``rescored``: what is found will be put in order by the full query. ``calibration``: vectors
        of documents (n, d); the first :data:`CALIBRATION` of ``vectors`` where none are given.
        """
        some = vectors[:CALIBRATION] if calibration is None else calibration
        ranges, fine = None, None
        if format.method in ("int8", "uint8"):
            kept = shaped(some, format, unit)
            ranges = np.stack([kept.min(axis=0), kept.max(axis=0)])
            # A dimension that is the same everywhere still needs a width.
            ranges[1] = np.maximum(ranges[1], ranges[0] + 1e-6)
        elif rescored and format.method in ("binary", "ubinary"):
            bytes_ = VectorFormat("int8", format.dimensions)
            fine = cls.of(vectors, bytes_, unit=unit, calibration=calibration)
        return cls(format, unit, _all_coded(vectors, format, unit, ranges), ranges, fine)

    @property
    def held(self) -> int:
        """Bytes in memory while searching."""
        return int(self.documents.nbytes)

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return self.held + (self.fine.bytes if self.fine else 0)

    def search(self, queries: Vectors, *, k: int, rescore: int, order: Order) -> Run:
        """As :meth:`QuantizedIndex.search`, of codes that are searched once."""
        return QuantizedIndex(self).search(queries, k=k, rescore=rescore, order=order)

    def rescored(self, asked: Vectors, rows: NDArray[np.int64]) -> Vectors:
        """Scores (n, k) of rows by the full queries and the documents' bytes."""
        scores = np.empty(rows.shape, np.float32)
        for start in range(0, len(asked), _QUERIES):
            part = slice(start, start + _QUERIES)
            documents = self.decoded(rows[part])
            scores[part] = np.einsum("qd,qkd->qk", asked[part], documents)
        return scores

    def decoded(self, rows: NDArray[np.int64]) -> Vectors:
        """What the 8-bit codes of these rows stand for: rows' shape and (dimensions)."""
        if self.fine is not None:
            return self.fine.decoded(rows)
        assert self.ranges is not None
        least, most = self.ranges
        steps = (most - least) / 255
        shift = 128 if self.format.method == "int8" else 0
        # The middle of the step that was rounded down to.
        found: Vectors = (self.documents[rows].astype(np.float32) + shift + 0.5) * steps + least
        return found


class QuantizedIndex:
    """Codes where FAISS searches them. It reads them as they are: nothing is held in float32 but
    what was float32 before. Made once, so that making it is no query's time."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self._index = _index(codes)

    def search(self, queries: Vectors, *, k: int, rescore: int, order: Order) -> Run:
        """The best k rows for each query vector (n, d); of ``rescore`` times as many by signs.

        Equal scores in ``order``, as everywhere.
        """
        codes = self._codes
        asked = shaped(queries, codes.format, codes.unit)
        wide = k * max(1, rescore) if codes.fine is not None else k
        rows, scores = self._first(asked, min(len(codes.documents), wide))
        if rescore and codes.fine is not None:
            scores = codes.rescored(asked, rows)
        return cut(Run(rows, scores), k, order)

    def _first(self, asked: Vectors, k: int) -> tuple[NDArray[np.int64], Vectors]:
        """By what is held in memory: rows (n, k) and scores, higher is better."""
        codes = self._codes
        if self._index is None:
            scores, rows = faiss.knn(
                np.ascontiguousarray(asked), codes.documents, k, metric=faiss.METRIC_INNER_PRODUCT
            )
            return rows, scores
        if codes.ranges is None:
            far, rows = self._index.search(_unsigned(_coded(asked, codes.format, None)), k)
            return rows, -far.astype(np.float32)
        scores, rows = self._index.search(np.ascontiguousarray(asked), k)
        return rows, scores


def _index(codes: Codes) -> Any:
    """FAISS's index of the codes; None for float32, which it searches where it lies."""
    if codes.format.method == "float32":
        return None
    if codes.ranges is None:
        signs = faiss.IndexBinaryFlat(8 * codes.documents.shape[1])
        signs.add(_unsigned(codes.documents))
        return signs
    eight = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexScalarQuantizer(codes.documents.shape[1], eight, faiss.METRIC_INNER_PRODUCT)
    # What its training would find: where each dimension begins, and how wide it is.
    widths = np.stack([codes.ranges[0], codes.ranges[1] - codes.ranges[0]])
    faiss.copy_array_to_vector(widths.astype(np.float32).reshape(-1), index.sq.trained)
    index.is_trained = True
    index.add_sa_codes(_unsigned(codes.documents))
    return index


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, count, _BLOCK))


def shaped(vectors: Vectors, format: VectorFormat, unit: bool) -> Vectors:
    """Vectors cut to the format's dimensions."""
    return cut_to(vectors, format.dimensions, unit) if format.dimensions else vectors


def _all_coded(
    vectors: Vectors, format: VectorFormat, unit: bool, ranges: Vectors | None
) -> NDArray[np.generic]:
    """In blocks: on the way to a byte the library makes several copies in float32."""
    if format == VectorFormat("float32"):
        return np.ascontiguousarray(vectors, dtype=np.float32)
    parts = [
        _coded(shaped(vectors[block], format, unit), format, ranges)
        for block in _blocks(max(1, len(vectors)))
    ]
    return np.concatenate(parts)


def _coded(vectors: Vectors, format: VectorFormat, ranges: Vectors | None) -> NDArray[np.generic]:
    if ranges is not None:
        # Beyond the calibrated ends the library's bytes would wrap around to the other end.
        vectors = np.clip(vectors, ranges[0], ranges[1])
    found: NDArray[np.generic] = quantize_embeddings(
        vectors, precision=format.method, ranges=ranges
    )
    return found


def _unsigned(codes: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Bytes as FAISS reads them; 'binary' and 'int8' keep them shifted to int8."""
    if codes.dtype == np.int8:
        # 128 more is the first bit turned around.
        return np.ascontiguousarray(codes).view(np.uint8) ^ np.uint8(128)
    return np.ascontiguousarray(codes.astype(np.uint8))
