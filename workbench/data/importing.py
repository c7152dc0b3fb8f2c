"""Reads all files of an import, in an order that keeps test untouched."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from workbench.data.assemble import Assembly
from workbench.data.collection import Collection
from workbench.data.formats import jsonblocks, jsonlines
from workbench.data.formats.jsonlines import Record
from workbench.data.intake import Input, inspect
from workbench.data.lines import Block
from workbench.data.parts import group_of
from workbench.data.problems import shorten
from workbench.data.report import Report
from workbench.data.shapes import beir, llamaindex
from workbench.data.shapes.recognise import Recogniser, recognise
from workbench.data.sources import find
from workbench.jobs.context import JobContext
from workbench.recipes.data import ImportRecipe

#: What can go wrong under a file that was fine when it was looked at, or in a broken zip.
_BROKEN = (OSError, BadZipFile, zlib.error, EOFError, NotImplementedError)
#: Test first, then dev: a query that turns up again is then known to belong to them.
_ORDER = {"test": 0, "dev": 1, "train": 2, None: 2}
_PARTS = ("corpus", "queries", "qrels")


class Import:
    """One run over the files of a recipe."""

    def __init__(self, recipe: ImportRecipe, context: JobContext, assembly: Assembly) -> None:
        self._recipe = recipe
        self._context = context
        self._assembly = assembly
        self._done = 0
        self._total = 0
        self._message = ""

    def run(self) -> None:
        """Add every good row to the assembly, and every problem to its log."""
        inputs = self._inputs()
        self._total = sum(one.source.size for one in inputs)
        for group in sorted({group_of(one.source.label) for one in inputs}):
            mine = [one for one in inputs if group_of(one.source.label) == group]
            if any(one.part == "qrels" for one in mine):
                self._judged(mine)
                inputs = [one for one in inputs if one not in mine or self._stays(one)]
        for one in sorted(inputs, key=lambda one: _ORDER[one.split]):
            self._file(one)

    def _stays(self, one: Input) -> bool:
        """Whether a file beside a corpus and its judgments holds rows of its own."""
        if one.part == "rows" and not recognise(one.sample).format:
            self._assembly.notes.append(
                f"{one.source.label}: not read, it is no part of the corpus beside it."
            )
            return False
        return one.part == "rows"

    def _inputs(self) -> list[Input]:
        log, notes = self._assembly.log, self._assembly.notes
        found = []
        for source in find([Path(path) for path in self._recipe.paths], log, notes):
            self._context.check_cancelled()
            try:
                found.append(inspect(source, self._recipe.encoding, log))
            except _BROKEN as error:
                log.add("unreadable", source.label, detail=_why(error))
        return found

    # -- plain rows --------------------------------------------------------------------------

    def _file(self, one: Input) -> None:
        with self._reading(one):
            if one.kind == "llamaindex":
                self._llamaindex(one)
            elif one.kind != "delimited" or self._is_table(one):
                self._rows(one)

    def _is_table(self, one: Input) -> bool:
        """Whether the header names columns that can be read; said once, not for every row."""
        plan = recognise(one.sample)
        if one.source.suffix == ".txt" and (plan.guessed or not one.sample):
            detail = "This is plain text, and not a table of queries and their texts."
            hint = "Name the columns 'query' and 'pos', or write the rows as JSON lines."
            one.report.add("unsupported-shape", 0, detail=detail, hint=hint)
        elif one.sample and not plan.format:
            one.report.line = 1
            plan.read(one.sample, one.report)
        return not one.report.spoken

    def _rows(self, one: Input) -> None:
        report, builder = one.report, self._assembly.builder
        recogniser = Recogniser(report)
        builder.begin(report, one.split)
        if one.kind == "jsonl":
            self._lines(one, recogniser)
        else:
            self._records(one.records(self._tick, self._scratch), report, recogniser)
        builder.flush()
        one.rows = sum(recogniser.formats.values())
        self._assembly.formats.update(recogniser.formats)
        if not one.rows and not report.spoken:
            report.add("no-rows", 0)

    def _records(
        self, records: Iterator[Record], report: Report, recogniser: Recogniser
    ) -> dict[str, Any] | None:
        """Add rows one by one; returns the last that could be read."""
        last, add = None, self._assembly.builder.add
        for line, record in records:
            report.line = line
            row = recogniser.read(record)
            if row is not None:
                last = record
                add(line, row)
        return last

    def _lines(self, one: Input, recogniser: Recogniser) -> None:
        """JSON lines: the first block row by row, to learn their shape, then in the fast lane."""
        blocks, builder, report = one.blocks(self._tick), self._assembly.builder, one.report
        lane, plan = None, None
        for block in islice(blocks, 1):
            last = self._records(jsonlines.read(iter([block]), report), report, recogniser)
            plan = recogniser.learnt(last) if last else None
            lane = jsonblocks.PlainRows.like(last, plan.read) if last and plan else None
        for part in jsonblocks.ahead(blocks, lane):
            if isinstance(part, Block):
                self._records(jsonlines.read(iter([part]), report), report, recogniser)
            elif plan is not None:
                builder.flush()
                builder.take(part)
                recogniser.formats[plan.format] += len(part)

    # -- corpus, queries, qrels --------------------------------------------------------------

    def _judged(self, group: list[Input]) -> None:
        """A BEIR set: all texts first, then the judgments, test before the others."""
        parts = {name: [one for one in group if one.part == name] for name in _PARTS}
        for needed in ("corpus", "queries"):
            if not parts[needed]:
                first = parts["qrels"][0].report
                first.add("missing-file", 0, detail=needed)
                return
        into = Collection(self._assembly.builder)
        for name, kind in (("corpus", "document"), ("queries", "query")):
            for one in parts[name]:
                with self._reading(one):
                    into.begin(one.report)
                    before = into.used[kind]
                    records = one.records(self._tick, self._scratch)
                    beir.read_texts(kind, records, into, one.report)
                    one.rows = into.used[kind] - before
        for one in sorted(parts["qrels"], key=lambda one: _ORDER[one.split]):
            with self._reading(one):
                self._qrels(one, into)

    def _qrels(self, one: Input, into: Collection) -> None:
        into.begin(one.report, one.split)
        before = into.used["judgment"]
        beir.read_qrels(one.records(self._tick, self._scratch), into, one.report)
        one.rows = into.used["judgment"] - before
        self._assembly.formats["beir"] += one.rows
        if not one.rows and not one.report.spoken:
            one.report.add("no-rows", 0)

    def _llamaindex(self, one: Input) -> None:
        into = Collection(self._assembly.builder, merge=True)
        into.begin(one.report, one.split)
        silent = Report(self._assembly.log, one.source.label, quiet=True)
        first, again = one.blocks(self._tick), one.blocks(self._look)
        llamaindex.read(first, again, into, one.report, silent)
        one.rows = into.used["judgment"]
        self._assembly.formats["llamaindex"] += one.rows

    # -- what every file needs ---------------------------------------------------------------

    @property
    def _scratch(self) -> Path:
        return self._assembly.folder / "spool"

    @contextmanager
    def _reading(self, one: Input) -> Iterator[None]:
        """Around the reading of one file: a file that breaks costs itself only."""
        self._message = f"reading {one.source.label}"
        try:
            yield
        except _BROKEN as error:
            self._assembly.builder.flush()
            one.report.add("unreadable", 0, detail=_why(error))
        self._about(one)

    def _about(self, one: Input) -> None:
        encoding = one.found.label if one.found else "UTF-8"
        if one.found and one.found.codec != "utf-8":
            how = "read" if self._recipe.encoding != "auto" else "detected"
            self._assembly.notes.append(f"{one.source.label}: {how} as {encoding}.")
        self._assembly.sources.append(
            {
                "file": one.source.label,
                "bytes": one.source.size,
                "kind": one.kind,
                "part": one.part,
                "split": one.split,
                "encoding": encoding,
                "rows": one.rows,
            }
        )

    def _tick(self, count: int) -> None:
        self._done += count
        self._context.progress(self._done, max(self._total, self._done), "bytes", self._message)
        self._context.check_cancelled()

    def _look(self, _count: int) -> None:
        self._context.check_cancelled()


def _why(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shorten(said[:1].lower() + said[1:], 200).rstrip(".")
