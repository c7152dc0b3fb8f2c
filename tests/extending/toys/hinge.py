"""A training objective: a document shall score higher than its negative by a margin."""

from typing import Any

from workbench.recipes.objectives import OBJECTIVES, Objective, of_vectors


def hinge(vectors: list[Any], _labels: Any) -> Any:
    queries, right, wrong = vectors[:3]
    scores = (queries * wrong).sum(dim=1) - (queries * right).sum(dim=1)
    return (scores + 0.5).clamp(min=0).mean()


OBJECTIVES.register(
    Objective(
        "hinge", "Hinge", "For triplets: only errors count.", {"embedding": of_vectors(hinge)}
    )
)
