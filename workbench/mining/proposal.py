"""A mining job's proposal on disk: read by page, ticked off one by one, made a version. Torch-free.

``proposal.parquet`` lies in the job's folder and never changes. What a person unticks is listed
beside it, so that a reload or another window shows the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from workbench.data.edit import Changes, keys_of
from workbench.data.reader import DatasetReader
from workbench.data.versions import new_version
from workbench.errors import BadInput, NotFound
from workbench.evaluation.own_document import query_itself
from workbench.recipes.mine import MINED, MineRecipe
from workbench.records import Job, JobStatus

if TYPE_CHECKING:
    from workbench.workspace import Workspace


FILE = "proposal.parquet"
UNTICKED = "unticked.json"
TASK = "mine"
#: What a row is: a judged document with the teacher's score, a proposed negative, or a candidate
#: that was there already and stays.
POSITIVE, NEGATIVE, EARLIER = "positive", "negative", "earlier"
SCHEMA = pa.schema(
    [
        ("query", pa.int64()),
        ("document", pa.int64()),
        ("part", pa.dictionary(pa.int8(), pa.string())),
        ("origin", pa.string()),
        ("rank", pa.int32()),
        ("score", pa.float32()),
        ("positive_score", pa.float32()),
    ]
)
Link = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Judged:
    """One document of a query, as a person looks at it."""

    document: int
    text: str
    score: float | None
    ticked: bool = True
    #: What the data set calls it.
    id: str = ""
    above: bool = False


@dataclass(frozen=True, slots=True)
class ProposedRow:
    """One query, by its row and its id, with its positives and what is proposed against it."""

    query: int
    text: str
    split: str
    id: str
    positives: list[Judged]
    negatives: list[Judged]


class Proposal:
    """What one job proposes. Cheap to make; reads its file on use."""

    def __init__(self, workspace: "Workspace", job: Job) -> None:
        self.workspace = workspace
        self.job = job
        self.result: dict[str, Any] = job.result or {}
        self._folder = workspace.jobs.folder(job.id)
        self._ids: tuple[dict[str, int], dict[str, int]] | None = None

    @cached_property
    def table(self) -> pa.Table:
        """All rows, sorted by query, then rank."""
        return pq.read_table(self._folder / FILE)

    @cached_property
    def reader(self) -> DatasetReader:
        return self.workspace.datasets.read(self.result["dataset"], self.result["version"])

    @property
    def there(self) -> bool:
        """Whether the job's folder still holds it, and the data set the version it is about."""
        known, name = self.workspace.datasets, self.result["dataset"]
        if not known.exists(name) or known.get(name).id != self.result["dataset_id"]:
            return False
        kept = {one.version for one in known.versions(name)}
        return self.result["version"] in kept and (self._folder / FILE).is_file()

    @property
    def outdated(self) -> bool:
        """Whether the data set has other queries or documents now: rows would mean others."""
        then = self.reader.manifest
        now = self.workspace.datasets.read(self.result["dataset"]).manifest
        return then.documents != now.documents or then.queries != now.queries

    # -- to look through -----------------------------------------------------------------------

    def queries(self, above: bool = False) -> NDArray[np.int64]:
        """Rows of the queries that are shown, ascending; ``above``: only those with a negative
        that scores higher than a positive."""
        table = self.table.filter(_above(self.table)) if above else self.table
        return np.unique(table["query"].to_numpy())

    def page(self, offset: int, limit: int, above: bool = False) -> list[ProposedRow]:
        """``limit`` queries from ``offset`` on."""
        rows = self.queries(above)[offset : offset + limit]
        shown = self.table.filter(pc.is_in(self.table["query"], pa.array(rows)))
        shown = shown.filter(pc.not_equal(shown["part"].cast(pa.string()), EARLIER))
        texts = self._texts(shown["document"].to_numpy())
        asked = self._queries(rows)
        gone = self.unticked
        found: dict[int, tuple[list[Judged], list[Judged]]] = {row: ([], []) for row in asked}
        marks = _above(shown).to_pylist()
        for one, above_positive in zip(shown.to_pylist(), marks, strict=True):
            link = (one["query"], one["document"])
            positive = one["part"] == POSITIVE
            (id, text), ticked = texts[one["document"]], link not in gone
            score, above = one["score"], bool(above_positive)
            entry = Judged(one["document"], text, score, ticked, above=above, id=id)
            found[one["query"]][0 if positive else 1].append(entry)
        return [ProposedRow(row, *asked[row], *found[row]) for row in asked]

    def _queries(self, rows: NDArray[np.int64]) -> dict[int, tuple[str, str, str]]:
        """Row -> text, split and id."""
        found = {}
        for split in self.reader.counts["splits"]:
            start = self.reader.manifest.start(split)
            stop = start + self.reader.counts["splits"][split]
            for row in rows[(rows >= start) & (rows < stop)].tolist():
                table = self.reader.queries_between(split, row - start, row - start + 1)
                found[row] = (table["text"][0].as_py(), split, table["id"][0].as_py())
        return found

    def _texts(self, documents: NDArray[np.int64]) -> dict[int, tuple[str, str]]:
        """Row -> id and text."""
        wanted = np.unique(documents).tolist()
        table = self.reader.documents_at(wanted, ["id", "title", "text", "picture"])
        return {
            row: (
                one["id"],
                "\n".join(part for part in (one["title"], one["text"]) if part)
                or str(one["picture"] or ""),
            )
            for row, one in zip(wanted, table.to_pylist(), strict=True)
        }

    # -- what is left out ----------------------------------------------------------------------

    @property
    def unticked(self) -> set[Link]:
        """(query, document) rows that will not be accepted."""
        path = self._folder / UNTICKED
        if not path.is_file():
            return set()
        return {(query, document) for query, document in orjson.loads(path.read_bytes())}

    def tick(self, query: int, document: int) -> None:
        """Leave a negative out, or take it back in. Raises :class:`BadInput` for one that was not
        proposed, and once the proposal was accepted."""
        self.refuse_accepted()
        mask = pc.and_(
            pc.equal(self.table["query"], query), pc.equal(self.table["document"], document)
        )
        if NEGATIVE not in self.table.filter(mask)["part"].to_pylist():
            raise BadInput("That document was not proposed.", "Open the proposal again.")
        self._write(self.unticked ^ {(query, document)})

    def leave_out_above(self, score: float | None = None) -> int:
        """Leave out every negative that scores above that, or (None) above its query's lowest
        positive; their number."""
        self.refuse_accepted()
        found = _links(self.table.filter(_above(self.table, score)))
        self._write(self.unticked | found)
        return len(found)

    def leave_out(self, links: set[Link], out: bool = True) -> int:
        """Leave these negatives out, or take them back in; how many that changed. Raises
        :class:`BadInput` for one that was not proposed."""
        self.refuse_accepted()
        negative = pc.equal(self.table["part"].cast(pa.string()), NEGATIVE)
        if not links <= _links(self.table.filter(negative)):
            raise BadInput("That document was not proposed.", "Open the proposal again.")
        before = self.unticked
        after = before | links if out else before - links
        self._write(after)
        return len(before ^ after)

    def rows_of(self, query: str, document: str) -> Link:
        """The rows of a query and a document by their ids; raises :class:`BadInput` for others
        than are proposed."""
        if self._ids is None:
            asked = np.unique(self.table["query"].to_numpy())
            held = np.unique(self.table["document"].to_numpy())
            names = [pc.cast(table["id"], pa.string()) for table in self.reader.iter_queries()]
            ids = pa.chunked_array(names, pa.string()).take(pa.array(asked)).to_pylist()
            shown = self.reader.documents_at(held.tolist(), ["id"])["id"].to_pylist()
            self._ids = (
                dict(zip(ids, asked.tolist(), strict=True)),
                dict(zip(shown, held.tolist(), strict=True)),
            )
        for what, id, known in zip(
            ("query", "document"), (query, document), self._ids, strict=True
        ):
            if id not in known:
                raise NotFound.among(what, id, list(known), "'mine show JOB --json' has the ids.")
        return self._ids[0][query], self._ids[1][document]

    def _write(self, links: set[Link]) -> None:
        path = self._folder / UNTICKED
        beside = path.with_suffix(".partial")
        beside.write_bytes(orjson.dumps(sorted(links)))
        beside.replace(path)

    # -- accepted ------------------------------------------------------------------------------

    @property
    def accepted(self) -> int | None:
        """The version that was made of it; the versions' own lineage knows."""
        from workbench.data.versions import versions

        for one in versions(self.workspace, self.result["dataset"]):
            if one.lineage and one.lineage[-1].get("job") == self.job.id:
                return one.version
        return None

    def refuse_accepted(self) -> None:
        version = self.accepted
        if version is not None:
            raise BadInput(
                f"This proposal was accepted already, as version {version}.",
                "Mine again to change what is in it.",
            )


def proposal_of(workspace: "Workspace", job_id: str) -> Proposal:
    """A finished mining job's proposal; raises :class:`BadInput` for any other job, and where its
    file, its data set or that one's version is gone."""
    job = workspace.jobs.get(job_id)
    if job.task != TASK or job.status is not JobStatus.SUCCEEDED:
        what = f"is {job.status.value}" if job.task == TASK else "did not mine negatives"
        raise BadInput(f"Job {job.id} {what}, so it proposes nothing.", "Choose a finished one.")
    found = Proposal(workspace, job)
    if not found.there:
        raise BadInput(f"The proposal of job {job.id} no longer exists.", "Mine again.")
    return found


def proposals(workspace: "Workspace", dataset: str) -> Iterator[Proposal]:
    """Those of a data set that are still there, newest first."""
    for job in workspace.jobs.list(JobStatus.SUCCEEDED, TASK):
        found = Proposal(workspace, job)
        if found.result.get("dataset") == dataset and found.there:
            yield found


def write(folder: Path, table: pa.Table) -> None:
    """The proposal, whole or not at all."""
    beside = folder / f"{FILE}.partial"
    pq.write_table(table.cast(SCHEMA), beside)
    beside.replace(folder / FILE)


def _above(table: pa.Table, score: float | None = None) -> Any:
    """Which rows are negatives that score above that, or above their query's lowest positive."""
    negative = pc.equal(table["part"].cast(pa.string()), NEGATIVE)
    least = table["positive_score"] if score is None else score
    return pc.and_(negative, pc.fill_null(pc.greater(table["score"], least), False))


def _links(table: pa.Table) -> set[Link]:
    return set(zip(table["query"].to_pylist(), table["document"].to_pylist(), strict=True))


# A proposal becomes the data set's next version.


def accept(workspace: "Workspace", job_id: str) -> int:
    """The number of the new version, which holds what is ticked.

    Raises :class:`BadInput` where it was accepted before, where nothing is ticked, and where the
    data set's queries or documents have changed since: row numbers would mean others.
    """
    proposal = proposal_of(workspace, job_id)
    proposal.refuse_accepted()
    recipe = MineRecipe.read(proposal.job.recipe)
    reader = workspace.datasets.read(recipe.dataset)
    _refuse_changed(proposal, reader)
    table = _without_itself(_kept(proposal), reader)
    negatives = int(pc.sum(_is(table, NEGATIVE)).as_py() or 0)
    if not negatives:
        raise BadInput(
            "No negative is left to accept.", "Take some back in, or mine with smaller margins."
        )
    dropped = _dropped(proposal, recipe, reader)
    added = _as_known(_candidates(table, recipe), reader, dropped)
    changes = Changes(candidates=added, drop_candidates=dropped)
    how = {
        "what": f"{negatives:,} negatives mined by {recipe.origin.removeprefix(MINED)}"
        + (f", scored by {recipe.reranker}" if recipe.reranker else ""),
        "by": recipe.task,
        "recipe": proposal.job.recipe,
        "job": proposal.job.id,
        "counts": {
            "negatives": negatives,
            "left_out": len(proposal.unticked),
            "earlier_removed": len(dropped),
        },
    }
    return new_version(workspace, recipe.dataset, changes, how, base_version=reader.version)


def _refuse_changed(proposal: Proposal, now: DatasetReader) -> None:
    if proposal.outdated:
        raise BadInput(
            f"'{now.name}' has other queries or documents since (version "
            f"{proposal.result['version']} then, {now.version} now).",
            "Mine again.",
        )


def _kept(proposal: Proposal) -> pa.Table:
    """The proposal's rows without what was unticked."""
    gone = np.array(sorted(proposal.unticked), np.int64).reshape(-1, 2)
    table = proposal.table
    keys = keys_of(table["query"].to_numpy(), table["document"].to_numpy())
    free = ~np.isin(keys, keys_of(gone[:, 0], gone[:, 1]))
    return table.filter(pa.array(free | ~_is(table, NEGATIVE).to_numpy()))


def _without_itself(table: pa.Table, reader: DatasetReader) -> pa.Table:
    """Without negatives that are their query itself, which earlier versions proposed."""
    links = [
        (query, document)
        for query, own in query_itself(reader, reader.queries()).items()
        for document in own
    ]
    own = np.array(links, np.int64).reshape(-1, 2)
    keys = keys_of(table["query"].to_numpy(), table["document"].to_numpy())
    same = np.isin(keys, keys_of(own[:, 0], own[:, 1]))
    return table.filter(pa.array(~same | ~_is(table, NEGATIVE).to_numpy()))


def _candidates(table: pa.Table, recipe: MineRecipe) -> pa.Table:
    """As the data set keeps them: scores only where a teacher gave them to positives as well, and
    positives only where they have one."""
    if not recipe.teacher:
        table = table.filter(_is(table, NEGATIVE))
        return table.select(["query", "document", "origin", "rank"])
    unscored = pc.and_(_is(table, POSITIVE), pc.is_null(table["score"]))
    table = table.filter(pc.invert(unscored))
    return table.select(["query", "document", "origin", "rank", "score"])


def _as_known(table: pa.Table, reader: DatasetReader, dropped: Any) -> pa.Table:
    """With the old origin where a document is its query's candidate already and stays: what the
    data brought must not go with the next mining."""
    old = reader.candidates()
    keys = keys_of(old["query"].to_numpy(), old["document"].to_numpy())
    stays = np.flatnonzero(~np.isin(keys, keys_of(dropped[:, 0], dropped[:, 1])))
    stays = stays[np.argsort(keys[stays], kind="stable")]
    mine = keys_of(table["query"].to_numpy(), table["document"].to_numpy())
    if not len(stays):
        return table
    place = np.minimum(np.searchsorted(keys[stays], mine), len(stays) - 1)
    known = keys[stays][place] == mine
    origins = old["origin"].take(pa.array(stays[place])).cast(pa.string())
    at = table.schema.get_field_index("origin")
    merged = pc.if_else(pa.array(known), origins, table["origin"])
    return table.set_column(at, "origin", merged)


def _dropped(proposal: Proposal, recipe: MineRecipe, reader: DatasetReader) -> Any:
    """(query, document) of the earlier candidates that make room, of the queries that were asked
    only."""
    if recipe.earlier == "keep":
        return np.zeros((0, 2), np.int64)
    table = reader.candidates()
    goes = np.isin(table["query"].to_numpy(), proposal.queries())
    if recipe.earlier == "replace":
        goes &= pc.fill_null(pc.starts_with(table["origin"], MINED), False).to_numpy()
    table = table.filter(pa.array(goes))
    return np.stack([table["query"].to_numpy(), table["document"].to_numpy()], axis=1)


def _is(table: pa.Table, part: str) -> Any:
    return pc.equal(table["part"].cast(pa.string()), part)


# What a proposal is like, in numbers: for the page, the command line and the job's record.

BINS = 24


def summary(table: pa.Table, left_out: dict[str, int]) -> dict[str, Any]:
    """``table`` as in the proposal; ``left_out``: documents by the rule that they failed."""
    parts = table["part"].cast(pa.string())
    each = {name: table.filter(pc.equal(parts, name)) for name in (POSITIVE, NEGATIVE, EARLIER)}
    negatives = each[NEGATIVE]
    queries = pc.count_distinct(table["query"]).as_py()
    higher = pc.greater(negatives["score"], negatives["positive_score"])
    scores = {name: _numbers(each[name]) for name in (POSITIVE, NEGATIVE)}
    return {
        "queries": queries,
        "negatives": negatives.num_rows,
        "earlier": each[EARLIER].num_rows,
        "queries_by_negatives": _per_query(negatives, queries),
        "left_out": left_out,
        "above_positive": int(pc.sum(pc.fill_null(higher, False)).as_py() or 0),
        "scores": {name: _spread(values) for name, values in scores.items()},
        "histogram": _histogram(scores),
    }


def _per_query(negatives: pa.Table, queries: int) -> dict[str, int]:
    """How many queries have how many negatives; keys are text, as JSON has them."""
    _, counts = np.unique(negatives["query"].to_numpy(), return_counts=True)
    sizes, times = np.unique(counts, return_counts=True)
    found = {str(size): int(n) for size, n in zip(sizes.tolist(), times.tolist(), strict=True)}
    none = queries - len(counts)
    return ({"0": none} if none else {}) | found


def _numbers(table: pa.Table) -> Any:
    return table["score"].drop_null().to_numpy().astype(np.float64)


def _spread(values: Any) -> dict[str, float] | None:
    if not len(values):
        return None
    names = ("min", "p25", "median", "p75", "max")
    cuts = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return {"mean": float(values.mean()), **dict(zip(names, cuts, strict=True))}


def _histogram(scores: dict[str, Any]) -> dict[str, Any] | None:
    """Both on one scale."""
    every = np.concatenate(list(scores.values()))
    if not len(every) or every.min() == every.max():
        return None
    edges = np.linspace(every.min(), every.max(), BINS + 1)
    counted = {name: np.histogram(one, edges)[0].tolist() for name, one in scores.items()}
    return {"edges": edges.tolist(), **counted}
