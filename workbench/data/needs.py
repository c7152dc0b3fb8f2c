"""What to say where a data set lacks the queries that something needs."""

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput


def no_pairs(reader: DatasetReader, split: str) -> BadInput:
    """A data set has no scored pairs in a split."""
    there = "" if not reader.counts["pairs"] else f" in {split}"
    return BadInput(
        f"The data set '{reader.name}' has no scored pairs{there}.",
        "Import rows of two texts and a score, or choose an objective that learns from queries "
        "and their documents.",
    )


def no_queries(reader: DatasetReader, split: str) -> BadInput:
    """A data set has no queries in a split: what it has instead, and what to do."""
    counts = reader.counts
    what = (
        f"The data set '{reader.name}' has no {'training' if split == 'train' else split} queries"
    )
    if counts["queries"]:
        have = ", ".join(name for name, count in counts["splits"].items() if count)
        return BadInput(
            f"{what}.",
            f"Splits with queries: {have}. Import data that has {split} queries with relevant "
            "documents, or have some of these set aside.",
        )
    if counts["pairs"]:
        return BadInput(
            f"{what}: it holds {counts['pairs']:,} scored pairs.",
            "Scored pairs have an objective and a measure of their own; for retrieval, import "
            "queries with their relevant documents.",
        )
    return BadInput(
        f"{what}: it holds documents only.",
        "It can be indexed and searched. To train or to evaluate, import queries with their "
        "relevant documents, or have queries written from the documents.",
    )
