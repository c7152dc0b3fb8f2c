"""What a result's numbers are worth, in sentences that stand beside them: how many observations the
queries are, how intervals are corrected, how often the test split was looked at."""

from collections.abc import Mapping, Sequence
from typing import Any

#: In results: how many jobs measured the split's queries, this one included.
LOOKS = "looks"
#: Beyond so many, fresh test queries are offered.
MANY_LOOKS = 20


def looked(result: Mapping[str, Any]) -> list[str]:
    """How often models were measured on these test queries, and what to do about many looks.
    Nothing of the first look, and of splits that are there to choose by."""
    looks = int(result.get(LOOKS) or 0)
    if result.get("split") != "test" or looks < 2:
        return []
    said = [f"The test split had been looked at {looks:,} times, this one included."]
    if looks > MANY_LOOKS:
        said.append(
            "The best of so many looks is better by luck: hold out fresh test queries with "
            f"'data resplit {result['dataset']}' or, on the Data tab, by 'Split again' under "
            "'Change or export'; then train anew, for earlier models have seen them."
        )
    return said


def grouped(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """That queries share relevant documents, where some do."""
    row = next((row for row in rows if row.get("clusters")), None)
    if row is None or row["clusters"] >= row["queries"]:
        return []
    return [
        f"{row['queries']:,} queries are in {row['clusters']:,} groups that share relevant "
        "documents: p-values and intervals count groups."
    ]


def widened(confidences: Sequence[float]) -> list[str]:
    """That intervals of several comparisons are corrected, where they are."""
    if not any(one > 0.95 for one in confidences):
        return []
    return [
        f"With {len(confidences)} simultaneous comparisons, intervals are widened as Holm's "
        "correction of the p-values asks."
    ]
