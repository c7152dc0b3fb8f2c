"""Embeddings as small codes, searched with rescoring. Imports sentence-transformers: workers only.

The codes are those of sentence-transformers' ``quantize_embeddings``: 8 bits a dimension between
its least and greatest value among calibration documents, or one bit, its sign. Bytes are compared
with the query in full precision, as FAISS's SQ8 does it (codes with codes, each dimension on its
own scale, would not be an inner product of anything). Signs are compared with the query's signs,
and the best of that rescored: the query in full precision with the documents in 8 bits. With the
signs alone (Yamada et al. 2021) the packaged model lost .073 MAP@100 on the sample. So beside the
signs, held in memory, the bytes are kept on disk, where only what is rescored is read.
"""

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray
from sentence_transformers.util.quantization import quantize_embeddings

from workbench.evaluation.matryoshka import cut_to
from workbench.evaluation.retrieve import Order, Run, cut
from workbench.quantization.methods import VectorFormat

Vectors = NDArray[np.float32]
#: Documents whose values say where each dimension lies; more would not move the ends by much.
CALIBRATION = 10_000
#: Queries rescored at once.
_QUERIES = 64


@dataclass(frozen=True)
class Codes:
    """Documents (m) as codes of one format."""

    format: VectorFormat
    unit: bool
    #: (m, dimensions) of one byte each, or (m, dimensions / 8) of eight signs; float32 as it is.
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
        documents = _coded(shaped(vectors, format, unit), format, ranges)
        return cls(format, unit, documents, ranges, fine)

    @property
    def held(self) -> int:
        """Bytes in memory while searching."""
        return int(self.documents.nbytes)

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return self.held + (self.fine.bytes if self.fine else 0)

    def search(self, queries: Vectors, *, k: int, rescore: int, order: Order) -> Run:
        """The best k rows for each query vector (n, d); of ``rescore`` times as many by signs.

        Equal scores in ``order``, as everywhere.
        """
        asked = shaped(queries, self.format, self.unit)
        wide = k * max(1, rescore) if self.fine is not None else k
        wanted = min(len(self.documents), wide)
        rows, scores = self._first(asked, wanted)
        if rescore and self.fine is not None:
            scores = self._rescored(asked, rows)
        return cut(Run(rows, scores), k, order)

    def _first(self, asked: Vectors, k: int) -> tuple[NDArray[np.int64], Vectors]:
        """By what is held in memory: rows (n, k) and scores, higher is better."""
        if self.format.method.endswith("binary"):
            index = faiss.IndexBinaryFlat(asked.shape[1])
            index.add(_signs(self.documents))
            far, rows = index.search(_signs(_coded(asked, self.format, None)), k)
            return rows, -far.astype(np.float32)
        flat = faiss.IndexFlatIP(asked.shape[1])
        flat.add(self.documents.astype(np.float32))
        # What all documents of a query have in common does not change their order.
        scaled = asked if self.ranges is None else asked * self._steps
        scores, rows = flat.search(np.ascontiguousarray(scaled), k)
        return rows, scores

    @property
    def _steps(self) -> Vectors:
        assert self.ranges is not None
        steps: Vectors = (self.ranges[1] - self.ranges[0]) / 255
        return steps

    def _rescored(self, asked: Vectors, rows: NDArray[np.int64]) -> Vectors:
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
        least = self.ranges[0]
        shift = 128 if self.format.method == "int8" else 0
        # The middle of the step that was rounded down to.
        found: Vectors = (
            self.documents[rows].astype(np.float32) + shift + 0.5
        ) * self._steps + least
        return found


def shaped(vectors: Vectors, format: VectorFormat, unit: bool) -> Vectors:
    """Vectors cut to the format's dimensions."""
    return cut_to(vectors, format.dimensions, unit) if format.dimensions else vectors


def _coded(vectors: Vectors, format: VectorFormat, ranges: Vectors | None) -> NDArray[np.generic]:
    if ranges is not None:
        # Beyond the calibrated ends the library's bytes would wrap around to the other end.
        vectors = np.clip(vectors, ranges[0], ranges[1])
    found: NDArray[np.generic] = quantize_embeddings(
        vectors, precision=format.method, ranges=ranges
    )
    return found


def _signs(codes: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Eight signs a byte, as FAISS reads them; 'binary' keeps them shifted to int8."""
    if codes.dtype == np.int8:
        return np.ascontiguousarray((codes.astype(np.int16) + 128).astype(np.uint8))
    return np.ascontiguousarray(codes.astype(np.uint8))
