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
from workbench.errors import BadInput
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
    above: bool = False


@dataclass(frozen=True, slots=True)
class ProposedRow:
    """One query with its positives and what is proposed against it."""

    query: int
    text: str
    split: str
    positives: list[Judged]
    negatives: list[Judged]


class Proposal:
    """What one job proposes. Cheap to make; reads its file on use."""

    def __init__(self, workspace: "Workspace", job: Job) -> None:
        self.workspace = workspace
        self.job = job
        self.result: dict[str, Any] = job.result or {}
        self._folder = workspace.jobs.folder(job.id)

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
            text, ticked = texts[one["document"]], link not in gone
            entry = Judged(one["document"], text, one["score"], ticked, bool(above_positive))
            found[one["query"]][0 if positive else 1].append(entry)
        return [ProposedRow(row, *asked[row], *found[row]) for row in asked]

    def _queries(self, rows: NDArray[np.int64]) -> dict[int, tuple[str, str]]:
        """Row -> text and split."""
        found = {}
        for split in self.reader.counts["splits"]:
            start = self.reader.manifest.start(split)
            stop = start + self.reader.counts["splits"][split]
            for row in rows[(rows >= start) & (rows < stop)].tolist():
                table = self.reader.queries_between(split, row - start, row - start + 1)
                found[row] = (table["text"][0].as_py(), split)
        return found

    def _texts(self, documents: NDArray[np.int64]) -> dict[int, str]:
        wanted = np.unique(documents).tolist()
        table = self.reader.documents_at(wanted).select(["title", "text", "picture"])
        return {
            row: "\n".join(part for part in (one["title"], one["text"]) if part)
            or str(one["picture"] or "")
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

    def leave_out_above(self) -> int:
        """Leave out every negative that scores above its query's lowest positive; their number."""
        self.refuse_accepted()
        table = self.table.filter(_above(self.table))
        pairs = zip(table["query"].to_pylist(), table["document"].to_pylist(), strict=True)
        found = set(pairs)
        self._write(self.unticked | found)
        return len(found)

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


def _above(table: pa.Table) -> Any:
    """Which rows are negatives that score above their query's lowest positive."""
    negative = pc.equal(table["part"].cast(pa.string()), NEGATIVE)
    higher = pc.fill_null(pc.greater(table["score"], table["positive_score"]), False)
    return pc.and_(negative, higher)
