"""Any data set as scored pairs: its own, or its queries and documents with a grade or a teacher's
score."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from workbench.data.export_held import SAID
from workbench.data.export_rows import QueryRow
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.jobs.context import JobContext
from workbench.recipes.data_change import ExportDataRecipe

#: What a data set can give as scores, in the order in which 'auto' takes them.
OWN, TEACHER, GRADES = "own", "teacher", "grades"
Pair = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Whose scores are written, and what a grade is divided by: the highest one of the data set,
    so that all splits share one scale."""

    source: str
    highest: int = 1

    def says(self) -> str:
        """How the scores came about, for a person."""
        if self.source == OWN:
            return "The scores are the data set's own, as they are."
        if self.source == TEACHER:
            return "The scores are the teacher's own, as it gave them: they are on its scale."
        by = f", divided by {self.highest}, the highest" if self.highest > 1 else ""
        return (
            f"The scores are grades{by}: 1 is the best. Candidates that nobody judged are 0, "
            "which a person might see otherwise."
        )

    def pairs(self, row: QueryRow) -> Iterator[Pair]:
        """A query's pairs: query, document, score."""
        for one in [*row.positives, *row.others]:
            if self.source == GRADES:
                yield row.text, one.text, max(0, one.grade) / self.highest
            elif one.score is not None:
                yield row.text, one.text, one.score

    def lost(self, row: QueryRow) -> dict[str, int]:
        """What of a query has no place, or a place that is to be told of."""
        linked = [*row.positives, *row.others]
        if self.source == TEACHER:
            return {"unscored": sum(one.score is None for one in linked)}
        return {"unjudged": sum(not one.judged for one in linked)}

    @property
    def holds(self) -> frozenset[str]:
        """What of :data:`workbench.data.export_held.SAID` has a place in it."""
        if self.source == OWN:
            return frozenset(SAID.keys() - {"queries", "pair_fields"})
        if self.source == TEACHER:
            return frozenset(
                {"queries", "scores", "candidates", "zeros_offered", "irrelevant", "pairs"}
            )
        return frozenset(
            {"queries", "grades", "candidates", "zeros", "zeros_offered", "irrelevant", "pairs"}
        )


def scale_of(
    reader: DatasetReader, recipe: ExportDataRecipe, splits: list[str], context: JobContext
) -> Scale:
    """The scores that are asked for, or those there are; raises :class:`BadInput` without any."""
    there = {
        OWN: lambda: any(reader.pairs(split).num_rows for split in splits),
        TEACHER: lambda: any(_taught(reader, split, context) for split in splits),
        GRADES: lambda: any(reader.judgments(split).num_rows for split in splits),
    }
    asked = list(there) if recipe.scores_from == "auto" else [recipe.scores_from]
    found = next((name for name in asked if there[name]()), None)
    if found is None:
        where = "" if recipe.split == "all" else f" in {recipe.split}"
        lacking = _MISSING[recipe.scores_from]
        raise BadInput(
            f"'{reader.name}' has no {lacking}{where}: there is nothing to write.",
            "Choose another format or split, or other scores.",
        )
    return Scale(found, _highest(reader) if found == GRADES else 1)


_MISSING = {
    "auto": "scored pairs, and no judgments to make them of",
    OWN: "scored pairs",
    TEACHER: "teacher's scores",
    GRADES: "judgments",
}


def splits_with(reader: DatasetReader, scale: Scale, splits: list[str]) -> list[str]:
    """Those with something to write."""
    if scale.source == OWN:
        return [split for split in splits if reader.pairs(split).num_rows]
    return [split for split in splits if reader.manifest.splits[split]]


def _taught(reader: DatasetReader, split: str, context: JobContext) -> bool:
    context.check_cancelled()
    scores = reader.candidates(split)["score"]
    return bool(scores.null_count < len(scores))


def _highest(reader: DatasetReader) -> int:
    highest = 1
    for table in reader.iter_edges("judgments"):
        found: Any = pc.max(table["grade"]).as_py()
        highest = max(highest, found or 1)
    return highest
