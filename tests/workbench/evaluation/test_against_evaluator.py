"""The same numbers as sentence-transformers' evaluator, where the two mean the same."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from workbench.data.job import _library, pairs_in
from workbench.evaluation.exact_search import search
from workbench.evaluation.metrics import score_run
from workbench.models.registry import packaged_folder

# Importing torch and sentence-transformers takes 6 to 11 s.
pytestmark = pytest.mark.slow

SAME = {
    "map@100": "cosine_map@100",
    "mrr@10": "cosine_mrr@10",
    "ndcg@10": "cosine_ndcg@10",
    "recall@10": "cosine_recall@10",
    "recall@100": "cosine_recall@100",
    "hit_rate@5": "cosine_accuracy@5",
    "hit_rate@10": "cosine_accuracy@10",
}


Vectors = NDArray[np.float32]


def by_chance() -> tuple[Vectors, Vectors, list[set[int]]]:
    """60 queries (24 dimensions), 900 documents, and up to six relevant ones each."""
    random = np.random.default_rng(5)
    documents = random.standard_normal((900, 24)).astype(np.float32)
    queries = (documents[:60] + random.standard_normal((60, 24)) * 1.2).astype(np.float32)
    for vectors in (documents, queries):
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    drawn = [random.choice(900, random.integers(0, 6), replace=False) for _ in range(60)]
    return queries, documents, [{at, *one.tolist()} for at, one in enumerate(drawn)]


def of_the_sample() -> tuple[Vectors, Vectors, list[set[int]]]:
    """Functions of the standard library, found by what they say they do, as the packaged model
    encodes them; short, to save time."""
    from sentence_transformers import SentenceTransformer

    files = sorted(_library().glob("*.py"))
    found = (one for file in files for one in pairs_in(file, file.name))
    # Of those that begin alike, which cut would tie, one.
    pairs = list(
        {" ".join(one.code[:60].lower().split()): one for one in islice(found, 260)}.values()
    )
    model = SentenceTransformer(str(packaged_folder()), device="cpu")
    model.max_seq_length = 32
    options: dict[str, Any] = {"batch_size": 64, "normalize_embeddings": True}
    queries = model.encode([one.query for one in pairs[:100]], **options)
    documents = model.encode([one.code for one in pairs], **options)
    return queries, documents, [{at} for at in range(100)]


@pytest.mark.parametrize("source", [by_chance, of_the_sample])
def test_equal_to_a_millionth(
    source: Callable[[], tuple[Vectors, Vectors, list[set[int]]]],
) -> None:
    """No scores tie, judgments are binary, and no query has more relevant documents than the
    cutoff: there AP is divided by min(k, relevant), which trec_eval does not do."""
    import torch
    from sentence_transformers.sentence_transformer.evaluation import (
        InformationRetrievalEvaluator,
    )

    queries, documents, relevant = source()
    scores = queries @ documents.T
    # Of equal scores each takes the first by an order of its own.
    distinct = [len(np.unique(row)) == len(documents) for row in scores]
    queries = queries[distinct]
    relevant = [one for one, kept in zip(relevant, distinct, strict=True) if kept]
    assert len(queries) >= 50

    class Ready(InformationRetrievalEvaluator):
        def embed_inputs(self, model: object, sentences: list[str], **options: object) -> object:
            vectors = queries if sentences[0].startswith("q") else documents
            return torch.from_numpy(vectors[[int(text[1:]) for text in sentences]])

    evaluator = Ready(
        {str(at): f"q{at}" for at in range(len(queries))},
        {f"{at:04}": f"d{at}" for at in range(len(documents))},
        {str(at): {f"{one:04}" for one in found} for at, found in enumerate(relevant)},
        score_functions={"cosine": lambda one, other: one @ other.T},
        precision_recall_at_k=[10, 100],
        corpus_chunk_size=250,
    )
    theirs = evaluator.compute_all_metrics(None)["cosine"]
    blocks = [(np.arange(at, at + len(part)), part) for at, part in _cut(documents)]
    run = search(queries, blocks, k=100, order=lambda rows: rows)
    judgments = {query: dict.fromkeys(found, 1) for query, found in enumerate(relevant)}
    ours = score_run(np.arange(len(queries)), run.documents, judgments).means()
    for metric, name in SAME.items():
        kind, cutoff = name.removeprefix("cosine_").split("@")
        assert ours[metric] == pytest.approx(theirs[f"{kind}@k"][int(cutoff)], abs=1e-6), metric
    assert 0.1 < ours["map@100"] < 0.95


def _cut(documents: Vectors) -> Iterator[tuple[int, Vectors]]:
    for at in range(0, len(documents), 100):
        yield at, documents[at : at + 100]
