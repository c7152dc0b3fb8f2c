"""Blind tests: what people preferred with the sides hidden, counted; and picks made judgments.

A side is named by its index, and by its second stage where it has one. Torch-free.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from storage.records import Index, Pick
from workbench.comparison.explore import document_row
from workbench.data.edit import Changes
from workbench.data.reader import DatasetReader
from workbench.data.versions import new_version
from workbench.errors import BadInput, NotFound
from workbench.search.protocol import SearchResult

if TYPE_CHECKING:
    from workbench.workspace import Workspace

Winner = Literal["left", "right", "tie"]
WHAT = "a blind test's pick was judged right"
#: Below this p-value one side is said to be preferred.
SURE = 0.05


@dataclass(frozen=True, slots=True)
class Tally:
    """Of two sides, how often each was picked. ``earlier``: an index has been built anew or brought
    up to date since, so that these answers are about what it was. ``share``: the first side's part
    of the answers that were no tie, with its exact (Clopper-Pearson) 95 % interval; None where all
    were ties. ``p_value``: of the exact two-sided binomial test against an even chance."""

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    share: float | None
    low: float | None
    high: float | None
    p_value: float | None
    earlier: bool = False

    @property
    def preferred(self) -> str:
        """The side that is preferred beyond luck, or ''."""
        if self.p_value is None or self.p_value >= SURE:
            return ""
        return self.first if self.wins > self.losses else self.second

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ci95": [self.low, self.high], "preferred": self.preferred}


def side_name(result: SearchResult) -> str:
    """What a side is called where answers are kept and counted."""
    return f"{result.index} + {result.reranker}" if result.reranker else result.index


def keep(
    workspace: "Workspace",
    index: Index,
    left: SearchResult,
    right: SearchResult,
    winner: Winner,
) -> Pick:
    """Put an answer on record, its sides in the order of their names however they were shown."""
    names = {"left": side_name(left), "right": side_name(right)}
    results = {names["left"]: left, names["right"]: right}
    if len(results) < 2:
        raise BadInput("Both sides are the same.", "Choose another index or second stage.")
    first, second = sorted(results)
    won = "tie" if winner == "tie" else "first" if names[winner] == first else "second"
    shown = {
        "left": names["left"],
        "first": [hit.id for hit in results[first].hits],
        "second": [hit.id for hit in results[second].hits],
        "builds": [results[first].build, results[second].build],
    }
    pick = Pick(
        id=uuid.uuid4().hex[:8],
        dataset_id=index.dataset_id,
        version=index.version,
        query=left.query.strip(),
        first=first,
        second=second,
        winner=won,
        detail=shown,
        created_at=time.time(),
    )
    return workspace.store.picks.insert(pick)


def tallies(workspace: "Workspace") -> list[Tally]:
    """One tally per pair of sides and builds of their indexes: those of today first, then the most
    answered.

    Answers from before builds were kept stand by themselves, as earlier ones.
    """
    now = {index.path for index in workspace.indexes.list()}
    pairs: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for pick in workspace.store.picks.list():
        builds = tuple(pick.detail.get("builds", ()))
        pairs.setdefault((pick.first, pick.second, builds), []).append(pick.winner)
    found = [
        replace(tally(first, second, winners), earlier=not (builds and now.issuperset(builds)))
        for (first, second, builds), winners in pairs.items()
    ]
    return sorted(found, key=lambda one: (one.earlier, -(one.wins + one.losses + one.ties)))


def tally(first: str, second: str, winners: Sequence[str]) -> Tally:
    """Count one pair's answers: 'first', 'second' or 'tie' each."""
    # Imported on use: scipy takes a second, and most who list or search never count.
    from scipy.stats import binomtest

    wins, losses = winners.count("first"), winners.count("second")
    ties = len(winners) - wins - losses
    if not wins + losses:
        return Tally(first, second, 0, 0, ties, None, None, None, None)
    test = binomtest(wins, wins + losses, 0.5)
    interval = test.proportion_ci(0.95, method="exact")
    return Tally(
        first,
        second,
        wins,
        losses,
        ties,
        float(test.statistic),
        float(interval.low),
        float(interval.high),
        float(test.pvalue),
    )


def get_pick(workspace: "Workspace", id: str) -> Pick:
    found = workspace.store.picks.get(id)
    if found is None:
        raise NotFound(
            f"There is no answer of a blind test with the id '{id}'.", "List them first."
        )
    return found


def winner_top(pick: Pick) -> str:
    """The id of the winning side's first document; '' for a tie, or where it found nothing."""
    found: list[str] = [] if pick.winner == "tie" else pick.detail.get(pick.winner, [])
    return found[0] if found else ""


def judge_pick(workspace: "Workspace", id: str, document: str = "") -> tuple[str, int]:
    """Make a pick a judgment: the document (the winner's first, unless said) is relevant to the
    question. The data set's name, and the number of its new version.

    A question that is not in the data set becomes one of its test queries. Raises
    :class:`BadInput` where there is nothing to judge, or it is judged already.
    """
    pick = get_pick(workspace, id)
    wanted = document or winner_top(pick)
    if not wanted:
        raise BadInput("No side was picked, so no document is right.", "Name the document.")
    dataset = workspace.datasets.get(pick.dataset_id)
    reader = workspace.datasets.read(dataset.id)
    row = document_row(reader, 0, wanted)
    if row is None:
        raise BadInput(
            f"The current version of '{dataset.name}' does not have the document '{wanted}'.",
            "It may have been removed since.",
        )
    recipe = {"pick": pick.id, "query": pick.query, "document": wanted, "grade": 1}
    how = {"what": WHAT, "by": "a person", "recipe": recipe, "counts": {"judgments_added": 1}}
    changes = _changes(reader, pick.query, row, wanted)
    version = new_version(workspace, dataset.name, changes, how, base_version=reader.version)
    return dataset.name, version


def _changes(reader: DatasetReader, query: str, document: int, name: str) -> Changes:
    table = reader.queries()
    same = pc.equal(pc.utf8_trim_whitespace(table["text"]), query)
    rows = table.filter(same)["row"].to_pylist()
    if not rows:
        fresh = pa.table({"text": [query], "split": ["test"]})
        number = reader.counts["queries"]
        return Changes(new_queries=fresh, add_judgments=[(number, document, 1)])
    add, drop = [], []
    for row in rows:
        judged = reader.edges("judgments", row, row + 1)
        grades = dict(zip(judged["document"].to_pylist(), judged["grade"].to_pylist(), strict=True))
        if grades.get(document, 0) >= 1:
            continue
        add.append((row, document, 1))
        drop += [(row, document)] if document in grades else []
    if not add:
        raise BadInput(f"'{name}' is judged relevant to this question already.")
    return Changes(add_judgments=add, drop_judgments=drop)
