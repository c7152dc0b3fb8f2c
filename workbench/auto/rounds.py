"""Which queries train and which judge, in each of the trainings by which a run decides. Torch-free.

Test is never read. Dev that the import carved from train goes back to it; dev that the files
brought judges, and never trains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.auto import decisions
from workbench.auto.folds import Dealt, Ints, deal, hold_out, judged_queries
from workbench.data.clusters import relevant_clusters
from workbench.data.reader import DatasetReader

#: Of the documents that a round searches, those that may be relevant ones.
RELEVANT = 2 / 3
#: Documents that a round searches at least and at most, where there are as many.
FEWEST_DOCUMENTS, MOST_DOCUMENTS = 200, 1_000
#: Of each judging query, the hardest that are searched.
HARDEST = 10
#: Where so many of all documents are judged for train or dev, folds are dealt query by query.
KNOWN = 0.9
#: Measuring a round, in documents encoded, as a share of what its training encodes; a text that is
#: trained on costs so many times one that is encoded.
MEASURED, TRAINED = 0.5, 3


@dataclass(frozen=True, slots=True)
class Material:
    """The judged queries (n,) of train and dev, ascending."""

    reader: DatasetReader
    queries: Ints
    #: (n,) whether they may be trained on.
    trains: NDArray[np.bool_]
    #: (n,) queries that share a relevant document have one number.
    clusters: Ints
    #: (n,) queries that are dealt together have one number: those of a cluster, or each its own.
    together: Ints
    #: Query -> the documents judged for it, the relevant ones among them.
    judged: Mapping[int, Sequence[int]]
    #: Training queries that bring documents which do not answer them.
    with_negatives: int

    @property
    def training(self) -> int:
        """How many queries there are to train on."""
        return int(self.trains.sum())

    @classmethod
    def of(cls, reader: DatasetReader) -> "Material":
        train, dev = (judged_queries(reader, split) for split in ("train", "dev"))
        queries = np.concatenate([train, dev])
        carved = bool(reader.summary.get("carved", {}).get("dev"))
        grades: dict[int, dict[int, int]] = {int(query): {} for query in queries}
        for split in ("train", "dev"):
            table = reader.judgments(split)
            columns = (table[name].to_pylist() for name in ("query", "document", "grade"))
            for query, document, grade in zip(*columns, strict=True):
                if query in grades:
                    grades[query][document] = grade
        clusters = relevant_clusters(queries, grades)
        # Labels, say: later queries ask for documents that were trained on. Folds without them
        # would tell what is gained on new documents, and there are none.
        known = len(set().union(*grades.values())) >= KNOWN * int(reader.counts["documents"])
        given = np.intersect1d(reader.candidates("train")["query"].to_numpy(), train)
        return cls(
            reader,
            queries,
            np.repeat([True, carved], [len(train), len(dev)]),
            clusters,
            np.arange(len(queries)) if known else clusters,
            {query: list(found) for query, found in grades.items()},
            len(given),
        )

    def everything(self) -> Dealt:
        """What the model that is kept is trained on; nothing judges."""
        return Dealt(self.reader, self.queries[self.trains], self.queries[:0])


@dataclass(frozen=True, slots=True)
class Round:
    """One training by which the run decides: places of queries in the material."""

    train: Ints
    judge: Ints


def rounds(material: Material, folds: int, seed: int) -> list[Round]:
    """As many as ``folds``; with one, a split is held out. Empty where there are too few queries to
    judge by."""
    places, trains = np.arange(len(material.queries)), material.trains
    if not folds or len(places) < decisions.JUDGED:
        return []
    if folds > 1:
        fold = deal(material.together, folds, seed)
        return [Round(places[trains & (fold != one)], places[fold == one]) for one in range(folds)]
    brought = places[~trains]
    wanted = decisions.held_out(len(places))
    if len(brought) >= min(wanted, decisions.FEWEST_HELD):
        random = np.random.default_rng(seed)
        some = random.permutation(brought)[: decisions.MOST_HELD]
        return [Round(places[trains], np.sort(some))]
    judging = hold_out(material.together, min(wanted, len(places) // 3), seed)
    return [Round(places[trains & ~judging], places[judging])]


def groups_of(material: Material, found: Sequence[Ints], seed: int) -> Ints:
    """The group of each judging query, round by round, within which a choice is made by the other
    groups' alone: the rounds, or two parts of the only one. ``found``: each round's places."""
    if len(found) > 1:
        return np.repeat(np.arange(len(found)), [len(one) for one in found])
    return deal(material.together[found[0]], 2, seed)


def dealt(
    material: Material, one: Round, hard: Mapping[int, Ints | Sequence[int]], most: int, seed: int
) -> tuple[Dealt, int]:
    """The data set as a round sees it, and how many documents its judging queries search: what is
    judged, then what is hardest to tell from it. ``most``: of these.

    Where what is judged for all of them is more, fewer queries judge.
    """
    chosen, searched = list[int](), set[int]()
    for place in np.random.default_rng(seed).permutation(one.judge).tolist():
        more = searched.union(material.judged[int(material.queries[place])])
        if chosen and len(more) > RELEVANT * most:
            continue
        chosen.append(place)
        searched = more
    asked = np.sort(material.queries[chosen])
    found: dict[int, list[int]] = {query: [] for query in asked.tolist()}
    for rank in range(HARDEST):
        for query, mine in found.items():
            if rank < len(hard.get(query, ())) and len(searched) < most:
                mine.append(int(hard[query][rank]))
                searched.add(mine[-1])
    view = Dealt(material.reader, material.queries[one.train], asked, found)
    return view, len(searched)


def room(steps: int, batch: int, longer: float, measured: int) -> int:
    """How many documents a round may search. ``longer``: the serving length over the training
    length, as far as texts have it; ``measured``: how many models are measured on them."""
    encoded = steps * batch * TRAINED / max(longer, 1e-9)
    return int(np.clip(MEASURED * encoded / measured, FEWEST_DOCUMENTS, MOST_DOCUMENTS))
