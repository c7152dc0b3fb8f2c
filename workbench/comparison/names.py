"""The metrics every table, chart and dev evaluation shows, and what they are called; and what the
explorer's list can be narrowed to and sorted by."""

from dataclasses import dataclass

from workbench.errors import BadInput
from workbench.extensions import Registry

#: Deeper than this no metric looks.
DEPTH = 100


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a ranking; it lies between 0 and 1, and higher is better.

    ``name`` is lower case with its cutoff: 'precision@5'. ``label`` is what a person writes before
    the cutoff: 'Precision'. ``measure`` is it in the notation of ``ir_measures``, without cutoff:
    'P(rel=1)'; grades from 1 on are relevant. ``decides``: a recipe may choose by it.

    Raises :class:`BadInput` for a name without a cutoff from 1 to ``DEPTH``.
    """

    name: str
    label: str
    measure: str
    decides: bool = False

    def __post_init__(self) -> None:
        cutoff = self.name.partition("@")[2]
        if not (cutoff.isdecimal() and 1 <= int(cutoff) <= DEPTH):
            raise BadInput(
                f"The metric '{self.name}' has no cutoff from 1 to {DEPTH}.",
                "Write it as 'precision@5'.",
            )

    @property
    def family(self) -> str:
        """The name without its cutoff."""
        return self.name.partition("@")[0]

    @property
    def cutoff(self) -> int:
        return int(self.name.partition("@")[2])


#: All metrics, in the order in which they are shown: recipes' choices, tables, charts and words
#: follow from it.
METRICS = Registry(
    "metric",
    [
        Metric("map@100", "MAP", "AP(rel=1)", decides=True),
        Metric("mrr@10", "MRR", "RR(rel=1)", decides=True),
        Metric("ndcg@10", "NDCG", "nDCG", decides=True),
        Metric("recall@10", "Recall", "R(rel=1)"),
        Metric("recall@100", "Recall", "R(rel=1)", decides=True),
        Metric("hit_rate@5", "Hit rate", "Success(rel=1)"),
        Metric("hit_rate@10", "Hit rate", "Success(rel=1)"),
    ],
)

#: What scored pairs are judged by, never by the above: nothing is ranked there.
CORRELATIONS: tuple[str, ...] = ("spearman", "pearson")

#: The one that decides, unless a recipe says otherwise.
HEADLINE = "map@100"

#: Fewer queries than this say too little to call one model better than another.
ENOUGH_QUERIES = 50


def deciding() -> tuple[str, ...]:
    """The metrics that a recipe may choose by."""
    return tuple(metric.name for metric in METRICS.all() if metric.decides)


def measure_of(family: str) -> str:
    """A metric without its cutoff ('map'), in the notation of ``ir_measures``: 'AP(rel=1)'."""
    return next(metric.measure for metric in METRICS.all() if metric.family == family)


def label(metric: str) -> str:
    """As a person writes it: 'map@100' -> 'MAP@100'."""
    family, at, cutoff = metric.partition("@")
    known = {name: name.capitalize() for name in CORRELATIONS}
    # The first of a family names it.
    known |= {one.family: one.label for one in reversed(METRICS.all())}
    return f"{known.get(family, family)}{at}{cutoff}"


# What the explorer's list can be narrowed to and sorted by. Imports nothing.

ALL, GAINED, LOST, UNCHANGED = "all", "gained", "lost", "unchanged"
#: Which queries are listed.
WHICH = (ALL, GAINED, LOST, UNCHANGED)
CHANGE, BEFORE, AFTER, LENGTH, QUERY = "change", "before", "after", "length", "query"
#: What they can be sorted by.
COLUMNS = (CHANGE, BEFORE, AFTER, LENGTH, QUERY)
#: Of each choice, how it is first shown: the column, and whether from the highest down.
FIRST = {
    ALL: (CHANGE, True),
    GAINED: (CHANGE, True),
    LOST: (CHANGE, False),
    # Those that still fail in both come first.
    UNCHANGED: (AFTER, False),
}


def first_order(which: str, by: str | None = None) -> tuple[str, bool]:
    """How a choice is first shown, by its own column or by the one named: values from the highest
    down, texts from A on."""
    if by is None or by == FIRST[which][0]:
        return FIRST[which]
    return by, by != QUERY
