"""Training and judging queries of one data set, dealt anew. Torch-free.

Cross-validation keeps queries that share a relevant document in one fold, as scikit-learn's
``GroupKFold`` does: a model that was trained on a document would else be judged by it.

Test is never read. Dev that the import carved from train goes back to it; dev that the files
brought judges, and never trains.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.auto import decisions
from workbench.data.clusters import relevant_clusters
from workbench.data.reader import DatasetReader
from workbench.data.splits import SPLITS
from workbench.recipes.mine import MINED

Ints = NDArray[np.int64]

#: The splits whose queries are dealt; test is never read.
DEALT = ("train", "dev")
#: What candidates that were found by the look are called: of queries that judge, and negatives of
#: those that train.
HARD, BY_LOOK = "hard", f"{MINED}look"
#: Clusters are kept whole where there are so many for each fold, and none has more than this share
#: of the queries: folds are about as large as each other then.
CLUSTERS_PER_FOLD, LARGEST_CLUSTER = 2, 0.5
#: No cluster with more than this share of the judges that are wanted is held out, where others do.
LARGEST_HELD = 0.1


class Dealt(DatasetReader):
    """The same version of a data set, with its train and dev queries dealt to these splits in
    another way; rows keep their numbers, and test has none.

    ``train`` and ``dev``: rows of queries; what is in neither is left out. ``hard``: more
    candidates of dev queries by their row, best first; ``mined``: negatives of train queries. What
    reads queries and edges by position (``edges``, ``page``, ``queries_between``) reads the whole
    data set as it is.
    """

    def __init__(
        self,
        source: DatasetReader,
        train: Ints,
        dev: Ints,
        hard: Mapping[int, Sequence[int]] | None = None,
        mined: Mapping[int, Ints | Sequence[int]] | None = None,
    ) -> None:
        self.name, self.summary = source.name, source.summary
        self.manifest, self._folder = source.manifest, source.folder
        self.source = source
        self.rows: dict[str, Ints] = {
            "train": np.sort(np.asarray(train, np.int64)),
            "dev": np.sort(np.asarray(dev, np.int64)),
            "test": np.zeros(0, np.int64),
        }
        self.hard = hard or {}
        self.mined: Mapping[int, Ints | Sequence[int]] = mined or {}

    @property
    def version(self) -> int:
        return self.source.version

    @property
    def counts(self) -> dict[str, Any]:
        splits = {name: len(rows) for name, rows in self.rows.items()}
        return {**self.source.counts, "queries": sum(splits.values()), "splits": splits}

    def documents(self, start: int = 0, stop: int | None = None) -> pa.Table:
        return self.source.documents(start, stop)

    def iter_documents(self, batch: int = 10_000) -> Any:
        return self.source.iter_documents(batch)

    def documents_at(self, rows: Sequence[int], columns: list[str] | None = None) -> pa.Table:
        return self.source.documents_at(rows, columns)

    def queries(self, split: str | None = None) -> pa.Table:
        parts = [self._queries_of(name) for name in self._chosen(split)]
        return pa.concat_tables(parts)

    def iter_queries(self, split: str | None = None) -> Any:
        for name in self._chosen(split):
            yield self._queries_of(name)

    def judgments(self, split: str | None = None) -> pa.Table:
        """Of dev queries the relevant documents alone: others that were judged need no room."""
        found = self._edges_of(self.source.judgments, split)
        judging = np.isin(found["query"].to_numpy(), self.rows["dev"])
        return found.filter(pa.array(~judging | (found["grade"].to_numpy() >= 1), pa.bool_()))

    def candidates(self, split: str | None = None) -> pa.Table:
        found, chosen = self._edges_of(self.source.candidates, split), self._chosen(split)
        more = list[pa.Table]()
        if "dev" in chosen and self.hard:
            # What was mined for them may be what the base ranks first.
            mined = pc.fill_null(pc.starts_with(found["origin"], MINED), False).to_numpy()
            judges = np.isin(found["query"].to_numpy(), self.rows["dev"])
            found = found.filter(pa.array(~(mined & judges), pa.bool_()))
            more.append(_ranked(self.hard, self.rows["dev"], HARD, found.schema))
        if "train" in chosen and self.mined:
            more.append(_ranked(self.mined, self.rows["train"], BY_LOOK, found.schema))
        return pa.concat_tables([found, *more]).sort_by("query") if more else found

    def _queries_of(self, split: str) -> pa.Table:
        tables = [self.source.queries(name) for name in DEALT]
        table = _at(pa.concat_tables(tables), "row", self.rows[split])
        at = table.column_names.index("split")
        return table.set_column(at, "split", pa.array([split] * table.num_rows, pa.string()))

    def _edges_of(self, read: Any, split: str | None) -> pa.Table:
        table = pa.concat_tables([read(name) for name in DEALT])
        rows = np.concatenate([self.rows[name] for name in self._chosen(split)])
        return _at(table, "query", rows)

    def _chosen(self, split: str | None) -> tuple[str, ...]:
        return SPLITS if split is None else super()._chosen(split)


def _at(table: pa.Table, column: str, rows: Ints) -> pa.Table:
    """The table's lines whose query is one of these rows."""
    return table.filter(pa.array(np.isin(table[column].to_numpy(), rows), pa.bool_()))


def _ranked(
    found: Mapping[int, Ints | Sequence[int]], queries: Ints, origin: str, schema: pa.Schema
) -> pa.Table:
    """The candidates found for these queries, ranked from 1 on."""
    lines = [
        {"query": query, "document": int(one), "origin": origin, "rank": at}
        for query in queries.tolist()
        for at, one in enumerate(found.get(query, ()), start=1)
    ]
    return pa.Table.from_pylist(lines, schema=schema)


def judged_queries(reader: DatasetReader, split: str) -> Ints:
    """The rows of a split's queries that have a relevant document, ascending."""
    judged = reader.judgments(split)
    relevant = judged.filter(pc.greater_equal(judged["grade"], 1))
    return np.unique(relevant["query"].to_numpy()).astype(np.int64)


def deal(clusters: Ints, folds: int, seed: int) -> Ints:
    """The fold (from 0 on) of each query (n,): all of a cluster in one, and folds about as large
    as each other. By query where clusters are too few, or one of them holds most."""
    names, place, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    random = np.random.default_rng(seed)
    if len(names) < CLUSTERS_PER_FOLD * folds or sizes.max() > LARGEST_CLUSTER * len(clusters):
        found: Ints = random.permutation(np.arange(len(clusters), dtype=np.int64) % folds)
        return found
    # The largest first, each to the fold that has least so far: what comes last evens out.
    order = random.permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    held, fold = np.zeros(folds, np.int64), np.zeros(len(names), np.int64)
    for cluster in order.tolist():
        fold[cluster] = least = int(np.argmin(held))
        held[least] += sizes[cluster]
    chosen: Ints = fold[place]
    return chosen


def hold_out(clusters: Ints, wanted: int, seed: int) -> NDArray[np.bool_]:
    """Which of the queries (n,) judge where there is one split: whole clusters by chance, until
    there are ``wanted`` queries or hardly more.

    A cluster of more than a tenth of these trains: it would be much of the judges, and is one
    observation. Where the others are fewer than half of what is wanted, the judges are the part of
    :func:`deal` with the most clusters.
    """
    _, place, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    small = np.flatnonzero(sizes <= LARGEST_HELD * wanted)
    judging: NDArray[np.bool_]
    if sizes[small].sum() < wanted / 2:
        fold = deal(clusters, max(2, len(clusters) // max(1, wanted)), seed)
        parts = [fold == one for one in range(int(fold.max()) + 1)]
        enough = [one for one in parts if one.sum() >= wanted / 2]
        judging = max(enough, key=lambda one: len(np.unique(place[one])))
        return judging
    order = np.random.default_rng(seed).permutation(small)
    before = np.cumsum(sizes[order]) - sizes[order]
    judging = np.isin(place, order[before < wanted])
    return judging


# Which queries train and which judge, in each of the trainings by which a run decides.
#
# Test is never read. Dev that the import carved from train goes back to it; dev that the files
# brought judges, and never trains.

#: Of the documents that a round searches, those that may be relevant ones.
RELEVANT = 2 / 3
#: Documents that a round searches at least and at most, where there are as many.
FEWEST_DOCUMENTS, MOST_DOCUMENTS = 200, 1_000
#: Where queries have many relevant documents a round searches more, so that it has so many judges,
#: or as many as so many documents have room for.
FEWEST_JUDGES, ROOM = 20, 5_000
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
    #: Query -> the documents that are relevant to it.
    relevant: Mapping[int, Sequence[int]]
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
            {
                query: [one for one, grade in found.items() if grade >= 1]
                for query, found in grades.items()
            },
            len(given),
        )

    def lacks_negatives(self, recipe: Any) -> bool:
        """Whether an embedding model's recipe asks for negatives where the data brings none."""
        if recipe.kind != "embedding" or recipe.chosen_objective.rows == "teacher":
            return False  # No look mines for other kinds; a teacher has scored what is given.
        return recipe.negatives > 0 and not self.with_negatives

    def everything(self, mined: Mapping[int, Ints | Sequence[int]] | None = None) -> Dealt:
        """What the model that is kept is trained on; nothing judges. ``mined``: negatives."""
        return Dealt(self.reader, self.queries[self.trains], self.queries[:0], mined=mined)


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


def choosing(material: Material, one: Round, wanted: int, seed: int) -> Round:
    """Of the round's training queries so many (or hardly more) by which settings are chosen, and
    the others, which train meanwhile. None that is dealt together with queries by which the round
    judges: what was luck there would be luck here. Nobody chooses where there are too few."""
    together = material.together[one.train]
    apart = np.flatnonzero(~np.isin(together, material.together[one.judge]))
    chooses = np.zeros(len(together), bool)
    if len(apart) >= wanted:
        chooses[apart[hold_out(together[apart], wanted, seed)]] = True
    # Nor does one train that is dealt together with what chooses.
    trains = ~np.isin(together, together[chooses])
    return Round(one.train[trains], one.train[chooses])


def groups_of(material: Material, found: Sequence[Ints], seed: int) -> Ints:
    """The group of each judging query, round by round, within which a choice is made by the other
    groups' alone: the rounds, or two parts of the only one. ``found``: each round's places."""
    if len(found) > 1:
        return np.repeat(np.arange(len(found)), [len(one) for one in found])
    return deal(material.together[found[0]], 2, seed)


def judges(material: Material, one: Round, most: int, seed: int) -> Ints:
    """The places of the round's queries that judge, ascending: those whose relevant documents have
    room among ``most``; where that would leave hardly any, a few more, in more room."""
    chosen, relevant = list[int](), set[int]()
    for place in np.random.default_rng(seed).permutation(one.judge).tolist():
        more = relevant.union(material.relevant[int(material.queries[place])])
        space = most if len(chosen) >= FEWEST_JUDGES else max(most, ROOM)
        if len(more) <= RELEVANT * space:
            chosen.append(place)
            relevant = more
    return np.sort(np.array(chosen, np.int64))


def dealt(
    material: Material,
    one: Round,
    hard: Mapping[int, Ints | Sequence[int]],
    most: int,
    seed: int,
    mined: Mapping[int, Ints | Sequence[int]] | None = None,
) -> tuple[Dealt, int]:
    """The data set as a round sees it, and how many documents its judging queries search: the
    relevant ones, then what is hardest to tell from it, then others by chance. ``most``: of these.
    ``hard``: query -> documents, by a ranking that is neither the base's nor a trained model's. The
    base's first documents are those that it puts too high; a model that is no better, only
    different, ranks them lower by chance, and its own first documents are not there. ``mined``:
    negatives of queries, of which those that train get theirs.
    """
    asked = material.queries[judges(material, one, most, seed)]
    searched = {document for query in asked.tolist() for document in material.relevant[query]}
    most = max(most, math.ceil(len(searched) / RELEVANT))
    found: dict[int, list[int]] = {query: [] for query in asked.tolist()}
    for rank in range(max((len(one) for one in hard.values()), default=0)):
        for query, mine in found.items():
            if rank < len(hard.get(query, ())) and len(searched) < most:
                mine.append(int(hard[query][rank]))
                searched.add(mine[-1])
    view = Dealt(material.reader, material.queries[one.train], asked, found, mined)
    return view, max(len(searched), min(most, int(material.reader.counts["documents"])))


def room(steps: int, batch: int, longer: float, measured: int) -> int:
    """How many documents a round may search. ``longer``: the serving length over the training
    length, as far as texts have it; ``measured``: how many models are measured on them."""
    encoded = steps * batch * TRAINED / max(longer, 1e-9)
    return int(np.clip(MEASURED * encoded / measured, FEWEST_DOCUMENTS, MOST_DOCUMENTS))
