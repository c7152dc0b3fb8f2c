"""What an index finds of what an exact search finds, and how quickly. Worker processes only.

The measure is recall@10: of the ten best documents by the model's full vectors, the share that the
index has among its first ten, averaged over a sample of the data set's own queries.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader
from workbench.evaluation.measure import Encoder
from workbench.search.searcher import Searcher
from workbench.search.vectors import Spool, Vectors

DEPTH = 10
#: Queries of the sample; enough to tell .95 from .98, few enough to take seconds.
QUERIES = 200
_SEED = 13
#: Scores this close are the same, as a part of both vectors' lengths: another order of adding up
#: changes the last digits.
_CLOSE = 1e-5


def sample_queries(
    reader: DatasetReader, encoder: Encoder, spool: Spool, stop: Callable[[], None]
) -> tuple[Vectors, str]:
    """Vectors (q, d) of up to ``QUERIES`` of the data set's queries, and where they come from:
    'test', 'dev' or 'train', or 'documents' where there are no queries."""
    for split in ("test", "dev", "train"):
        count = reader.counts["splits"].get(split, 0)
        if not count:
            continue
        texts = reader.queries(split)["text"]
        chosen = np.random.default_rng(_SEED).permutation(count)[:QUERIES]
        return encoder.encode(texts.take(np.sort(chosen)).to_pylist(), "query", stop=stop), split
    return spool.sample(QUERIES, _SEED), "documents"


def measure(searcher: Searcher, spool: Spool, queries: Vectors) -> dict[str, Any]:
    """recall@10 and milliseconds per query, asked one at a time, without encoding."""
    depth = min(DEPTH, spool.rows)
    last = exact_tenth(spool, queries, depth)
    took, right = [], 0
    for vector, least in zip(queries, last, strict=True):
        started = time.perf_counter()
        _, found = searcher.search(vector, depth)
        took.append((time.perf_counter() - started) * 1000)
        documents = spool.at(np.sort(found))
        close = _CLOSE * np.linalg.norm(vector) * np.linalg.norm(documents, axis=1)
        right += int((documents @ vector >= least - close).sum())
    return {
        "recall@10": right / (depth * len(queries)),
        "queries": len(queries),
        "ms_p50": float(np.percentile(took, 50)),
        "ms_p95": float(np.percentile(took, 95)),
    }


def exact_tenth(spool: Spool, queries: Vectors, depth: int) -> NDArray[np.float32]:
    """The score of each query's ``depth``-th best document by full vectors: (q,)."""
    best = np.full((len(queries), depth), -np.inf, np.float32)
    for block in spool.blocks():
        scores = np.concatenate([best, queries @ block.T], axis=1)
        best = -np.partition(-scores, depth - 1, axis=1)[:, :depth]
    return best.min(axis=1)
