"""A data set in the making: its builder, its problems and notes, and how it is completed."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workbench.data.builder import Builder
from workbench.data.finish import FILES, QUERY_FILES, Finished, finish
from workbench.data.manifest import Manifest
from workbench.data.pairs import FILE as PAIRS_FILE
from workbench.data.pairs import PairSpool
from workbench.data.problems import SHOWN, ProblemLog
from workbench.data.splits import ENOUGH, Shares, pair_remarks, remarks
from workbench.data.texts import Texts
from workbench.errors import NoGoodRows, StrictRefused
from workbench.jobs.context import JobContext
from workbench.jobs.files import folder_bytes

MANIFEST = "v1/manifest.json"
_PROBLEMS = "v1/problems.parquet"
NO_QUERIES = (
    "There are documents and no queries: they can be indexed and searched. To train or to "
    "evaluate, add queries with their relevant documents, or have them written from the documents."
)


class Assembly:
    """Fills a folder; :meth:`complete` makes a data set of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "v1").mkdir(parents=True)
        self.builder = Builder(folder)
        self.pairs = PairSpool(folder, self.builder.background)
        self.texts = Texts(self.builder)
        self.log = ProblemLog(folder / _PROBLEMS)
        self.notes: list[str] = []
        self.sources: list[dict[str, Any]] = []
        self.formats: Counter[str] = Counter()
        #: Columns that were kept with the queries, or the pairs, as they are.
        self.own: dict[str, None] = {}

    def complete(
        self, name: str, shares: Shares, context: JobContext, *, strict: bool = False
    ) -> dict[str, Any]:
        """Write all files, the manifest last; the result is ``data add``'s JSON and a summary.

        Raises :class:`NoGoodRows` and :class:`StrictRefused`.
        """
        self.builder.flush()
        self.pairs.flush()
        self.texts.flush()
        self.builder.tell_lacking()
        self._refuse(strict)
        context.note(f"{self.builder.rows:,} rows were read; now they are sorted by query.")
        pairs = self.pairs.finish(shares, context.check_cancelled)
        finished = finish(self.builder, shares, context.check_cancelled)
        # What contradicts itself is known only now.
        self._refuse_strictly(strict)
        self.log.close()
        finished.rows["pairs"] = sum(pairs.values())
        self.notes += self._remarks(finished, pairs)
        summary = {
            "format": self._format(),
            **finished.rows,
            "splits": finished.splits,
            **({"pair_splits": pairs} if pairs else {}),
            "problem_counts": dict(self.log.counts.most_common()),
            "problems_total": self.log.total,
            "set_aside": {
                "rows_refused": self.log.refused_rows,
                "files_without_rows": sum(not one["rows"] for one in self.sources),
                "own_columns": [shown_name(name) for name in self.own],
                "list_texts": self.builder.list_texts,
                # Those whose rows were refused are counted there.
                "queries_left_out": finished.unjudged - len(self.builder.told_lacking),
            },
            "notes": self.notes,
            "too_few": bool(finished.rows["queries"]) and finished.splits["test"] < ENOUGH,
        }
        self._manifest(finished, summary).write(self.folder / MANIFEST)
        problems = [problem.to_dict() for problem in self.log.first]
        return {"name": name, **summary, "bytes": folder_bytes(self.folder), "problems": problems}

    def close(self) -> None:
        """Stop the writing thread and let go of the files, however the work ended."""
        self.builder.close()
        self.log.abandon()

    def _format(self) -> str:
        return " + ".join(sorted(name for name in self.formats if name)) or "unknown"

    def _refuse_strictly(self, strict: bool) -> None:
        if strict and self.log.refusable:
            raise StrictRefused(
                f"'strict' refuses these files: {self.log.refusable:,} problems were found, "
                f"first {_first(self._found)}",
                "Mend the rows, or import without 'strict' to leave them out.",
                **self._about,
            )

    @property
    def _found(self) -> list[dict[str, Any]]:
        return [problem.to_dict() for problem in self.log.first]

    @property
    def _about(self) -> dict[str, Any]:
        return {"problems": self._found[:SHOWN], "problem_counts": dict(self.log.counts)}

    def _refuse(self, strict: bool) -> None:
        self._refuse_strictly(strict)
        problems = self._found
        if not (self.builder.has_positive or self.pairs.rows or self.texts.used):
            errors = [one for one in problems if one["severity"] == "error"]
            said = f" The first problem: {_first(errors or problems)}" if problems else ""
            raise NoGoodRows(
                f"No row of these files could be used.{said}",
                "Mend the files, or see in the documentation which rows are read.",
                **self._about,
            )

    def _remarks(self, finished: Finished, pairs: dict[str, int]) -> list[str]:
        said = self._own()
        for split, count in (self.builder.leaked + self.pairs.leaked).items():
            rows = "1 row was" if count == 1 else f"{count:,} rows were"
            said.append(
                f"{rows} left out of the other splits, for a query that stands in {split} too."
            )
        if count := finished.irrelevant:
            some = "1 query has" if count == 1 else f"{count:,} queries have"
            said.append(f"{some} no relevant document: kept, never trained or measured on.")
        if finished.unjudged:
            some = (
                "1 query was" if finished.unjudged == 1 else f"{finished.unjudged:,} queries were"
            )
            said.append(f"{some} left out, for want of a relevant document.")
        if pairs:
            said += pair_remarks(pairs, self.pairs.carved)
        if finished.rows["queries"]:
            return said + remarks(finished.splits, finished.carved)
        return said if pairs else [*said, NO_QUERIES]

    def _own(self) -> list[str]:
        """What became of columns beside the texts."""
        said = []
        if self.own:
            said.append(own_columns(self.own))
        queries, documents = (self.builder.said[kind].differing for kind in ("query", "document"))
        if count := queries["own"]:
            rows = "1 row says" if count == 1 else f"{count:,} rows say"
            said.append(
                f"{rows} something else in its own columns than its query's first row, which stays."
            )
        if count := documents["own"]:
            said.append(
                f"Documents that came again with other columns of their own: {count:,}. "
                "The first ones stay."
            )
        if count := queries["ids"] + documents["ids"]:
            said.append(f"Texts that came again under another id: {count:,}. The first ids stay.")
        return said

    def _manifest(self, finished: Finished, summary: dict[str, Any]) -> Manifest:
        return Manifest(
            version=1,
            format=summary["format"],
            queries=QUERY_FILES,
            documents=FILES["documents"],
            judgments=FILES["judgments"],
            candidates=FILES["candidates"],
            pairs=PAIRS_FILE if finished.rows["pairs"] else "",
            problems=_PROBLEMS,
            rows=finished.rows,
            splits=finished.splits,
            histograms={kind: one.to_dict() for kind, one in self.builder.lengths.items()},
            problem_counts=summary["problem_counts"],
            notes=self.notes,
            sources=self.sources,
        )


def own_columns(names: Iterable[str]) -> str:
    """The note on columns that are kept as they are."""
    listed = ", ".join(f"'{shown_name(name)}'" for name in list(names)[:20])
    return f"Own columns of the rows were kept: {listed}."


def shown_name(name: str) -> str:
    """A column's name; pandas writes its row numbers under none."""
    return name if name.strip() else "(no name)"


def _first(problems: list[dict[str, Any]]) -> str:
    if not problems:
        return ""
    first = problems[0]
    line = f", line {first['line']}" if first["line"] else ""
    return f"{first['file']}{line}: {first['message']}"
