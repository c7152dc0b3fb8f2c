"""Query by query: where one row of an evaluation gained on another, and what both found there.

Reads what the evaluation left on disk; nothing is measured again. Torch-free.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from storage.records import Evaluation
from workbench.comparison.names import (
    AFTER,
    ALL,
    BEFORE,
    CHANGE,
    GAINED,
    HEADLINE,
    LENGTH,
    LOST,
    QUERY,
    UNCHANGED,
)
from workbench.comparison.table import ALL_CAPTIONS
from workbench.data.edit import Changes
from workbench.data.reader import DatasetReader
from workbench.data.versions import new_version
from workbench.errors import BadInput, NotFound
from workbench.evaluation.registry import QRELS_FILE, QUERIES_FILE, RUN_FILE

if TYPE_CHECKING:
    from workbench.workspace import Workspace


#: Documents of each ranking that are shown.
DEPTH = 10
#: Values closer than this are the same.
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two rows of one evaluation, over the queries both were asked."""

    before: Evaluation
    after: Evaluation
    metric: str
    #: Query rows (n,), and each one's value in both.
    queries: NDArray[np.int64]
    values: NDArray[np.float64]
    against: NDArray[np.float64]

    @property
    def deltas(self) -> NDArray[np.float64]:
        return self.values - self.against

    def sorted(self, losses: bool = False) -> NDArray[np.int64]:
        """Places of the queries that changed, the biggest gains (or losses) first."""
        signed = -self.deltas if losses else self.deltas
        changed = np.flatnonzero(signed > SAME)
        return np.asarray(changed[np.argsort(-signed[changed], kind="stable")])

    @property
    def counted(self) -> tuple[int, int, int]:
        """Gains, losses, and queries that stayed the same."""
        gains, losses = len(self.sorted()), len(self.sorted(losses=True))
        return gains, losses, len(self.queries) - gains - losses


@dataclass(frozen=True, slots=True)
class Change:
    """One query that gained or lost."""

    query: int
    id: str
    text: str
    before: float
    after: float

    @property
    def delta(self) -> float:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Hit:
    """A document in one of the two rankings."""

    rank: int
    document: int
    id: str
    title: str
    text: str
    score: float
    #: What was said of it when the evaluation was made, or since; None: it was never judged.
    grade: int | None
    #: Whether that was said after the evaluation, and has no part in its numbers.
    since: bool
    #: Its place in the other ranking, None where that did not find it as deep as it was kept.
    other_rank: int | None

    @property
    def relevant(self) -> bool:
        return self.grade is not None and self.grade >= 1


@dataclass(frozen=True, slots=True)
class Rankings:
    """Both rankings for one query."""

    change: Change
    before: tuple[Hit, ...]
    after: tuple[Hit, ...]
    #: Relevant documents, with those that were judged since.
    relevant: int


def row_name(one: Evaluation) -> str:
    """What the evaluation's table calls it."""
    return str(one.settings.get("row") or one.model)


def rows_of(workspace: "Workspace", id: str) -> list[Evaluation]:
    """The rankings of an evaluation, in the order of its table. ``id``: a job's, or that of any of
    its evaluations. Raises :class:`NotFound` and, where it kept no rankings, :class:`BadInput`."""
    found = workspace.evaluations.for_job(id)
    if found:
        ids = (workspace.jobs.get(id).result or {}).get("evaluations", [])
        first = next((one for one in found if one.id in ids[:1]), found[-1])
    else:
        first = workspace.evaluations.get(id)
        found = workspace.evaluations.for_job(first.job_id) if first.job_id else [first]
    same = (first.dataset_id, first.version, first.split)
    kept = [
        one
        for one in reversed(found)
        if (one.dataset_id, one.version, one.split) == same
        and one.queries
        and "cut_to" not in one.settings
        # There the rows of queries are pictures.
        and one.settings.get("searched") != ALL_CAPTIONS
        and (workspace.path(one.path) / RUN_FILE).is_file()
    ]
    if not kept:
        raise BadInput(
            "This evaluation saved no rankings.",
            "Only evaluations of queries have some; scored pairs are not ranked.",
        )
    return kept


def pairing(
    workspace: "Workspace", id: str, model: str, against: str, metric: str = HEADLINE
) -> Pairing:
    """``model`` after, ``against`` before: names of rows of the evaluation. Raises
    :class:`NotFound` with the names there are, and :class:`BadInput`."""
    rows = rows_of(workspace, id)
    after, before = (_named(rows, name) for name in (model, against))
    if after.id == before.id:
        raise BadInput("A row cannot be compared with itself.", "Choose two of the rows.")
    values, others = (_values(workspace, one, metric) for one in (after, before))
    queries, mine, theirs = np.intersect1d(
        values[0], others[0], assume_unique=True, return_indices=True
    )
    if not len(queries):
        raise BadInput("The two rows have no query in common.", "Choose another pair.")
    return Pairing(before, after, metric, queries, values[1][mine], others[1][theirs])


def changes(
    workspace: "Workspace", pair: Pairing, places: NDArray[np.int64] | list[int]
) -> list[Change]:
    """The queries at these places of the pairing."""
    reader = read_version(workspace, pair.after)
    texts = _queries(reader, pair.after.split)
    found = []
    for at in places:
        query = int(pair.queries[at])
        id, text = texts[query]
        found.append(Change(query, id, text, float(pair.against[at]), float(pair.values[at])))
    return found


def rankings(workspace: "Workspace", pair: Pairing, query: int, depth: int = DEPTH) -> Rankings:
    """Both rankings for the query row; raises :class:`NotFound` for one that was not asked."""
    place = np.flatnonzero(pair.queries == query)
    if not len(place):
        raise NotFound(f"Query {query} is not in both rows.")
    reader = read_version(workspace, pair.after)
    runs = [_run(workspace, one, query) for one in (pair.before, pair.after)]
    grades = _grades(workspace, pair.after, query)
    since = _since(workspace, pair.after, reader, query)
    since = {row: grade for row, grade in since.items() if grades.get(row) != grade}
    grades |= since
    relevant = sum(grade >= 1 for grade in grades.values())
    shown = sorted({row["document"] for run in runs for row in run[:depth]})
    table = reader.documents_at(shown).select(["id", "title", "text"]).to_pylist()
    documents = dict(zip(shown, table, strict=True))
    ranks = [{row["document"]: row["rank"] for row in run} for run in runs]
    hits = [
        tuple(
            Hit(
                rank=row["rank"],
                document=row["document"],
                score=row["score"],
                grade=grades.get(row["document"]),
                since=row["document"] in since,
                other_rank=other.get(row["document"]),
                **{key: value or "" for key, value in documents[row["document"]].items()},
            )
            for row in run[:depth]
        )
        for run, other in zip(runs, reversed(ranks), strict=True)
    ]
    (change,) = changes(workspace, pair, place.tolist())
    return Rankings(change, hits[0], hits[1], relevant)


def common(query: str, text: str) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether it is a word of the query (as BM25 counts words)."""
    # It brings along what measures, ir_measures too: not at the app's start.
    from workbench.evaluation.bm25 import tokenize

    words = sorted(set(tokenize(query)), key=len, reverse=True)
    if not words:
        return [(text, False)]
    # A word of letters stands alone; Chinese words stand anywhere.
    parts = (re.escape(one) if ord(one[0]) > 0x2E7F else rf"\b{re.escape(one)}\b" for one in words)
    pieces = re.split(f"({'|'.join(parts)})", text, flags=re.IGNORECASE)
    return [(piece, at % 2 == 1) for at, piece in enumerate(pieces) if piece]


def read_version(workspace: "Workspace", one: Evaluation) -> DatasetReader:
    """The data set version an evaluation was measured on; raises :class:`NotFound`."""
    return workspace.datasets.read(dataset_name(workspace, one), one.version)


def dataset_name(workspace: "Workspace", one: Evaluation) -> str:
    """Data sets are known by id here: they may have been renamed since."""
    for dataset in workspace.datasets.list():
        if dataset.id == one.dataset_id:
            return dataset.name
    raise NotFound("The data set of this evaluation no longer exists.")


def query_row(reader: DatasetReader, row: int, id: str) -> int | None:
    """Where a version has the query of this id; ``row`` is where another one had it."""
    table = reader.queries().select(["row", "id"])
    found = table.filter(pc.equal(table["id"], id))["row"].to_pylist()
    return row if row in found else next(iter(found), None)


def document_row(reader: DatasetReader, row: int, id: str) -> int | None:
    """Where a version has the document of this id; most versions have it where it was."""
    if row < reader.counts["documents"] and reader.documents_at([row])["id"][0].as_py() == id:
        return row
    start = 0
    for table in reader.iter_documents():
        at = pc.index(table["id"], id).as_py()
        if at >= 0:
            return start + int(at)
        start += table.num_rows
    return None


def _named(rows: list[Evaluation], name: str) -> Evaluation:
    named: Mapping[str, Evaluation] = {row_name(one): one for one in rows}
    if name not in named:
        raise NotFound.among("row", name, list(named))
    return named[name]


def _values(
    workspace: "Workspace", one: Evaluation, metric: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    path = workspace.path(one.path) / QUERIES_FILE
    if metric not in pq.read_schema(path).names:
        raise BadInput(f"'{metric}' was not measured there.", f"Choose '{HEADLINE}'.")
    table = pq.read_table(path, columns=["query", metric])
    return table["query"].to_numpy(), table[metric].to_numpy()


def _queries(reader: DatasetReader, split: str) -> dict[int, tuple[str, str]]:
    table = reader.queries(split)
    columns = (table[name].to_pylist() for name in ("row", "id", "text"))
    return {row: (id, text) for row, id, text in zip(*columns, strict=True)}


def _run(workspace: "Workspace", one: Evaluation, query: int) -> list[dict[str, Any]]:
    table = pq.read_table(
        workspace.path(one.path) / RUN_FILE,
        columns=["rank", "document", "score"],
        filters=[("query", "==", query)],
    )
    return list(table.sort_by("rank").to_pylist())


def _grades(workspace: "Workspace", one: Evaluation, query: int) -> dict[int, int]:
    path = workspace.path(one.path) / QRELS_FILE
    if path.is_file():
        table = pq.read_table(path, columns=["document", "grade"], filters=[("query", "==", query)])
    else:  # From before judgments were kept beside the run.
        table = read_version(workspace, one).judgments(one.split)
        table = table.filter(pc.equal(table["query"], query))
    return dict(zip(table["document"].to_pylist(), table["grade"].to_pylist(), strict=True))


def _since(
    workspace: "Workspace", one: Evaluation, before: DatasetReader, query: int
) -> dict[int, int]:
    """What the current version says of the query's documents, where rows are still the same."""
    now = workspace.datasets.read(dataset_name(workspace, one))
    if now.version == one.version:
        return {}
    split = one.split
    id = _queries(before, split)[query][0]
    row = query_row(now, query, id)
    if row is None:
        return {}
    table = now.edges("judgments", row, row + 1)
    rows = [at for at in table["document"].to_pylist() if at < before.counts["documents"]]
    if not rows:
        return {}
    then, since = (reader.documents_at(rows)["id"].to_pylist() for reader in (before, now))
    grades = dict(zip(table["document"].to_pylist(), table["grade"].to_pylist(), strict=True))
    return {at: grades[at] for at, old, new in zip(rows, then, since, strict=True) if old == new}


# 'This unjudged hit is right': a judgment that looking at results brought, as a new version.

JUDGED = "a result was judged right"


def judge(
    workspace: "Workspace", pair: Pairing, query: int, document: int, grade: int = 1
) -> tuple[str, int]:
    """The data set's name, and the number of its new version that has the judgment.

    ``query`` and ``document``: rows of the version that was measured. The judgment is added to the
    current version, which may be a later one, so that nothing corrected since is lost. What was
    measured stays as it is. Raises :class:`BadInput` where it is judged already, or gone.
    """
    then = read_version(workspace, pair.after)
    name = dataset_name(workspace, pair.after)
    now = workspace.datasets.read(name)
    table = then.queries(pair.after.split)
    ids = dict(zip(table["row"].to_pylist(), table["id"].to_pylist(), strict=True))
    if query not in ids or not 0 <= document < then.counts["documents"]:
        raise BadInput("There is no such query or document in what was measured.", "Choose again.")
    document_id = then.documents_at([document])["id"][0].as_py()
    asked = query_row(now, query, ids[query])
    found = document_row(now, document, document_id)
    if asked is None or found is None:
        missing = "query" if asked is None else "document"
        raise BadInput(
            f"The current version of '{name}' no longer has this {missing}.",
            "Make the version that was measured the current one first, on the Data tab.",
        )
    judged = now.edges("judgments", asked, asked + 1)
    known = dict(zip(judged["document"].to_pylist(), judged["grade"].to_pylist(), strict=True))
    if known.get(found, 0) >= 1:
        raise BadInput("It is judged relevant in the current version already.", "Compare again.")
    recipe = {
        "evaluations": [pair.before.id, pair.after.id],
        "rows": [row_name(pair.before), row_name(pair.after)],
        "query": ids[query],
        "document": document_id,
        "grade": grade,
    }
    how = {"what": JUDGED, "by": "a person", "recipe": recipe, "counts": {"judgments_added": 1}}
    # One that was judged not relevant makes room for the new judgment.
    drop = [(asked, found)] if found in known else []
    changes = Changes(add_judgments=[(asked, found, grade)], drop_judgments=drop)
    return name, new_version(workspace, name, changes, how, base_version=now.version)


# The queries of a pairing in the order a person asks for: by any column, all or some of them.

Places = NDArray[np.int64]


def ordered(
    pair: Pairing,
    every: Sequence[Change],
    which: str = ALL,
    by: str = CHANGE,
    down: bool = True,
) -> Places:
    """Places of the queries in the pairing. ``every``: all its queries as ``changes`` gives them.
    Equal ones stay in the data's order, whichever way."""
    keys: dict[str, Callable[[], Sequence[float]]] = {
        CHANGE: lambda: pair.deltas.round(9).tolist(),
        BEFORE: lambda: pair.against.tolist(),
        AFTER: lambda: pair.values.tolist(),
        LENGTH: lambda: [len(one.text) for one in every],
        QUERY: lambda: _ranks([one.text.casefold() for one in every]),
    }
    values = np.asarray(keys[by](), np.float64)
    places = np.flatnonzero(_chosen(pair, which))
    return np.asarray(
        places[np.argsort(-values[places] if down else values[places], kind="stable")]
    )


def _chosen(pair: Pairing, which: str) -> NDArray[np.bool_]:
    deltas = pair.deltas
    chosen = {
        ALL: np.ones(len(deltas), bool),
        GAINED: deltas > SAME,
        LOST: deltas < -SAME,
        UNCHANGED: np.abs(deltas) <= SAME,
    }
    return chosen[which]


def _ranks(texts: Sequence[str]) -> list[float]:
    """Each text's place among the different ones."""
    place = {text: float(at) for at, text in enumerate(sorted(set(texts)))}
    return [place[text] for text in texts]
