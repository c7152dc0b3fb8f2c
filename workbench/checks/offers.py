"""Which objectives a data set's rows can be learned with. Torch-free."""

from workbench.data.reader import DatasetReader
from workbench.recipes.train import PAIR_OBJECTIVES, TAUGHT


def objectives(reader: DatasetReader, choices: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``choices`` that the data holds rows for; all of them where it holds none."""
    pairs = bool(reader.summary.get("pair_splits", {}).get("train"))
    queries = bool(reader.counts["splits"].get("train"))
    taught = queries and any(name in TAUGHT for name in choices) and has_scores(reader)

    def fits(name: str) -> bool:
        if name in PAIR_OBJECTIVES:
            return pairs
        return taught if name in TAUGHT else queries

    return tuple(name for name in choices if fits(name)) or choices


def has_scores(reader: DatasetReader) -> bool:
    """Whether some training query's documents bring a teacher's score."""
    scores = reader.candidates("train")["score"]
    return bool(len(scores) > scores.null_count)
