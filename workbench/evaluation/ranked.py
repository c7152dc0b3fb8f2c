"""Which of a job's evaluations kept rankings. Imports nothing, for the app's start."""

from collections.abc import Mapping
from typing import Any

from workbench.comparison.table import ALL_DOCUMENTS as ALL_DOCUMENTS


def ranked_ids(result: Mapping[str, Any]) -> list[str]:
    """Ids in the order of the job's tables; those on a second data set last."""
    second = result.get("second_dataset") or {}
    return [*(result.get("evaluations") or ()), *(second.get("evaluations") or ())]
