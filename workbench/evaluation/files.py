"""The files of an evaluation by name, and which evaluations of a job kept rankings.

Imports nothing, for the app's start and for who only reads them.
"""

from collections.abc import Mapping
from typing import Any

RUN_FILE = "run.parquet"
QUERIES_FILE = "queries.parquet"
QRELS_FILE = "qrels.parquet"
PAIRS_FILE = "pairs.parquet"


def ranked_ids(result: Mapping[str, Any]) -> list[str]:
    """Ids in the order of the job's tables; those on a second data set last."""
    second = result.get("second_dataset") or {}
    return [*(result.get("evaluations") or ()), *(second.get("evaluations") or ())]
