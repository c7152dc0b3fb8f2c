"""Average precision over whole lists of candidates, however long: what others call plain MAP."""

import numpy as np
from ir_measures import AP, iter_calc

from workbench.evaluation.metrics import BLOCK, DEPTH, Judgments
from workbench.evaluation.pool import Rows
from workbench.evaluation.retrieve import Run


def whole_lists(queries: Rows, run: Run, judgments: Judgments) -> dict[str, float]:
    """{"longest_list", "map"} of a run whose lists are whole, or {} where none is longer than the
    metrics look (then MAP@100 is that very number)."""
    longest = int((run.documents >= 0).sum(axis=1).max(initial=0))
    if longest <= DEPTH:
        return {}
    total, measure = 0.0, AP(rel=1)
    for start in range(0, len(queries), BLOCK):
        part = [int(query) for query in queries[start : start + BLOCK]]
        qrels = {
            str(query): {str(document): int(grade) for document, grade in judgments[query].items()}
            for query in part
        }
        # Scores in ranking order: see ``metrics``.
        ranked = {
            str(query): {
                str(document): float(longest - rank)
                for rank, document in enumerate(row[row >= 0].tolist())
            }
            for query, row in zip(part, run.documents[start : start + BLOCK], strict=True)
        }
        total += float(np.sum([one.value for one in iter_calc([measure], qrels, ranked)]))
    return {"longest_list": longest, "map": total / len(queries)}
