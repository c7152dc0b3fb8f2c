"""Slices of an evaluation on record, from its saved per-query values and the data set's texts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.records import Evaluation
from workbench.comparison.names import HEADLINE
from workbench.comparison.slices import Slicing, slicings
from workbench.comparison.ways import ALL_CAPTIONS
from workbench.errors import NotFound

if TYPE_CHECKING:
    from workbench.workspace import Workspace

#: As ``workbench.evaluation.save`` names it, which is not imported here.
QUERIES_FILE = "queries.parquet"


def slices_of(
    workspace: "Workspace", result: Mapping[str, Any], metric: str = HEADLINE, seed: int = 7
) -> list[Slicing]:
    """The metric by kinds of queries, over the queries that every row of the table was asked.

    Empty where the data set, or what was measured per query, is not there any more.
    """
    try:
        kept = [workspace.evaluations.get(id) for id in result.get("evaluations") or ()]
        values = _values(workspace, kept, metric)
        if not values:
            return []
        # By id: another data set may have the name by now.
        reader = workspace.datasets.read(kept[0].dataset_id, kept[0].version)
    except NotFound:
        return []
    asked = np.array(sorted(set.intersection(*(set(one) for one in values.values()))), np.int64)
    if not len(asked):
        return []
    texts = _texts(reader, result["split"])
    judged = reader.judgments(result["split"])
    relevant = judged.filter(pc.greater_equal(judged["grade"], 1))["query"].to_numpy()
    answered, counts = np.unique(relevant, return_counts=True)
    answers = dict(zip(answered.tolist(), counts.tolist(), strict=True))
    queries = asked.tolist()
    return slicings(
        [texts[query] for query in queries],
        [answers.get(query, 0) for query in queries],
        {name: np.array([one[query] for query in queries]) for name, one in values.items()},
        metric=metric,
        seed=seed,
    )


def _values(
    workspace: "Workspace", rows: Sequence[Evaluation], metric: str
) -> dict[str, dict[int, float]]:
    """Row of the table -> query row -> value; nothing where one of them has none."""
    found: dict[str, dict[int, float]] = {}
    for one in rows:
        if one.settings.get("searched") == ALL_CAPTIONS:
            continue  # Its queries are pictures, which have neither length nor script.
        path = workspace.path(one.path) / QUERIES_FILE
        if not path.is_file() or metric not in pq.read_schema(path).names:
            return {}
        table = pq.read_table(path, columns=["query", metric])
        columns = (table[name].to_pylist() for name in ("query", metric))
        found[str(one.settings.get("row") or one.model)] = dict(zip(*columns, strict=True))
    return found


def _texts(reader: Any, split: str) -> dict[int, str]:
    table = reader.queries(split)
    return dict(zip(table["row"].to_pylist(), table["text"].to_pylist(), strict=True))
