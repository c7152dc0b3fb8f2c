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

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput, NotFound
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
        raise BadInput(f"What job {job.id} proposed is not there any more.", "Mine again.")
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
