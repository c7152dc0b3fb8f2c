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
            "documents, or hold out some of these.",
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


def choosing_split(reader: DatasetReader, wanted: str, *, or_test: bool = False) -> str:
    """The split whose queries something is chosen by: for 'auto' dev, else train.

    Never test, for what was chosen by it cannot be judged by it any more; ``or_test`` takes it
    where nothing else is there. Raises :class:`BadInput` where the split has no queries.
    """
    splits = reader.counts["splits"]
    known = ("dev", "train", "test") if or_test else ("dev", "train")
    asked = known if wanted == "auto" else (wanted,)
    for name in asked:
        if splits.get(name):
            return name
    if wanted != "auto":
        raise no_queries(reader, wanted)
    raise BadInput(
        f"The data set '{reader.name}' has neither dev nor train queries to choose by.",
        "Choose another data set, or hold out some of its queries as dev.",
    )


def chosen_by(split: str, name: str) -> list[str]:
    """What has to be known of a choice that was not made by dev queries."""
    if split == "train":
        return [
            f"'{name}' was measured by training queries, which a model trained on them has seen: "
            "they favour it."
        ]
    if split == "test":
        return [
            f"'{name}' was measured on test queries: what is chosen on them can no longer be "
            "evaluated on them."
        ]
    return []
