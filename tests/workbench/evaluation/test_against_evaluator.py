"""The same numbers as sentence-transformers' evaluator, where the two mean the same."""

import numpy as np
import pytest

from workbench.evaluation.metrics import score_run
from workbench.evaluation.retrieve import search

# Importing torch and sentence-transformers takes 6 to 11 s.
pytestmark = pytest.mark.slow

SAME = {
    "map@100": "cosine_map@100",
    "mrr@10": "cosine_mrr@10",
    "ndcg@10": "cosine_ndcg@10",
    "recall@10": "cosine_recall@10",
    "hit_rate@5": "cosine_accuracy@5",
    "hit_rate@10": "cosine_accuracy@10",
}


def test_equal_to_a_millionth() -> None:
    """No scores tie, judgments are binary, and no query has more relevant documents than the
    cutoff: there AP is divided by min(k, relevant), which trec_eval does not do."""
    import torch
    from sentence_transformers.sentence_transformer.evaluation import (
        InformationRetrievalEvaluator,
    )

    random = np.random.default_rng(5)
    documents = random.standard_normal((900, 24)).astype(np.float32)
    queries = (documents[:60] + random.standard_normal((60, 24)) * 1.2).astype(np.float32)
    for vectors in (documents, queries):
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    relevant = {
        query: {query, *random.choice(900, random.integers(0, 6), replace=False).tolist()}
        for query in range(60)
    }
    scores = queries @ documents.T
    assert all(len(np.unique(row)) == 900 for row in scores)

    class Ready(InformationRetrievalEvaluator):
        def embed_inputs(self, model: object, sentences: list[str], **options: object) -> object:
            source = queries if sentences[0].startswith("q") else documents
            return torch.from_numpy(source[[int(text[1:]) for text in sentences]])

    evaluator = Ready(
        {str(at): f"q{at}" for at in range(60)},
        {f"{at:04}": f"d{at}" for at in range(900)},
        {str(at): {f"{one:04}" for one in found} for at, found in relevant.items()},
        score_functions={"cosine": lambda one, other: one @ other.T},
        corpus_chunk_size=250,
    )
    theirs = evaluator.compute_all_metrics(None)["cosine"]
    blocks = [(np.arange(at, at + 300), documents[at : at + 300]) for at in (0, 300, 600)]
    run = search(queries, blocks, k=100, order=lambda rows: rows)
    judgments = {query: dict.fromkeys(found, 1) for query, found in relevant.items()}
    ours = score_run(np.arange(60), run.documents, judgments).means()
    for metric, name in SAME.items():
        kind, cutoff = name.removeprefix("cosine_").split("@")
        assert ours[metric] == pytest.approx(theirs[f"{kind}@k"][int(cutoff)], abs=1e-6), metric
    assert 0.1 < ours["map@100"] < 0.9
