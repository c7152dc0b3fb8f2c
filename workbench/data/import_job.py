"""Reads all files of an import, in an order that keeps test untouched."""

import ctypes
import gc
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from workbench.data.batch import TextBatch
from workbench.data.collection import Collection
from workbench.data.formats.jsonrows import Record
from workbench.data.hub import PREFIX, is_hub, local_paths, repo_of
from workbench.data.intake import Input, finder, groups, inspect, name_corpus, none_mapped
from workbench.data.lines import named
from workbench.data.mapping import read_map
from workbench.data.pieces import Cutter, cutter_for
from workbench.data.problems import Report, shorten
from workbench.data.shapes import beir, llamaindex
from workbench.data.shapes.blocks import RowBlock, undoubted
from workbench.data.shapes.recognise import Recogniser, recognise
from workbench.data.shapes.row import Document, Item, Pair, Plan, Row
from workbench.data.shapes.shape import Shape, judged_shape
from workbench.data.sources import BROKEN, Source, find
from workbench.data.splits import READ_FIRST
from workbench.data.write_dataset import Assembly
from workbench.errors import BadInput
from workbench.jobs.reporting import JobContext
from workbench.pictures.importing import PictureImport
from workbench.pictures.in_rows import RowPictures
from workbench.pictures.opening import is_picture
from workbench.plurals import counted
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

#: Files that a folder of data has about itself.
_ABOUT = {"readme", "license", "licence", "notice", "changelog", "citation", "requirements"}
_PARTS = ("corpus", "queries", "qrels")


class Import:
    """One run over the files of a recipe."""

    def __init__(self, recipe: ImportRecipe, context: JobContext, assembly: Assembly) -> None:
        self._recipe = recipe
        self._context = context
        self._assembly = assembly
        self._map = read_map(recipe.mapping)
        self._done = 0
        self._total = 0
        self._message = ""
        self._pictures: list[Source] = []

    def run(self) -> None:
        """Add every good row to the assembly, and every problem to its log."""
        inputs = self._without_readmes(self._inputs())
        name_corpus(inputs)
        self._total = sum(one.source.size for one in inputs)
        inputs = self._with_pictures(inputs)
        for group in groups(inputs):
            self._judged(group)
            inputs = [one for one in inputs if one not in group or self._stays(one)]
        # Documents before rows: what a row calls relevant is then found among them.
        for one in sorted(inputs, key=lambda one: (not self._is_texts(one), READ_FIRST[one.split])):
            self._file(one)

    def _without_readmes(self, inputs: list[Input]) -> list[Input]:
        """A README beside tables or pictures is about the data; alone, it may be the data."""
        if not self._pictures and all(one.part == "texts" for one in inputs):
            return inputs
        about = [one for one in inputs if one.part == "texts" and _is_about(one.source.label)]
        for one in about:
            self._assembly.notes.append(f"{one.source.label}: not read, it is about the data.")
        return [one for one in inputs if one not in about]

    def _is_texts(self, one: Input) -> bool:
        rows = one.part == "rows" and self._plan(one.sample).family == "documents"
        return rows or one.part == "texts"

    def _plan(self, sample: dict[str, Any]) -> Plan:
        return recognise(sample, self._recipe.scores)

    def _stays(self, one: Input) -> bool:
        """Whether a file beside a corpus and its judgments holds rows of its own."""
        plan = self._plan(one.sample)
        no_rows = not plan.format or plan.family == "documents"
        if one.part == "texts" or (one.part == "rows" and no_rows):
            self._assembly.notes.append(
                f"{one.source.label}: not read, it is no part of the corpus beside it."
            )
            return False
        return one.part == "rows"

    def _inputs(self) -> list[Input]:
        log, notes = self._assembly.log, self._assembly.notes
        found = []
        for source in find(list(self._paths()), log, notes):
            self._context.check_cancelled()
            if is_picture(source.label):
                self._pictures.append(source)
                continue
            try:
                encoding, header = self._recipe.encoding, self._recipe.header
                if one := inspect(source, encoding, log, self._map, header):
                    found.append(one)
            except BROKEN as error:
                log.add("unreadable", source.label, detail=_why(error))
        if self._map and not any(one.mapped for one in found):
            raise none_mapped(self._map, found)
        return found

    def _paths(self) -> Iterator[Path]:
        recipe = self._recipe
        folder = self._scratch / "hub"
        return local_paths(recipe.paths, recipe.hub_subset, recipe.hub_split, folder, self._say)

    def _say(self, message: str) -> None:
        self._context.check_cancelled()
        self._context.progress(0, None, "bytes", message)

    def _with_pictures(self, inputs: list[Input]) -> list[Input]:
        """Read the pictures and what is said of them; the rest of the files is returned."""
        captions = PictureImport(self._assembly, self._tick)
        rows = RowPictures(captions, self._pictures, self._tick)
        rest = rows.run(inputs, self._scratch)
        if pictures := [one for one in self._pictures if one.label not in rows.named]:
            self._total += sum(one.size for one in pictures)
            self._message = f"reading {counted(len(pictures), 'picture')}"
            rest = captions.run(pictures, rest)
        for one in inputs:
            if one not in rest:
                self._about(one)
        return rest

    # -- plain rows --------------------------------------------------------------------------

    def _file(self, one: Input) -> None:
        with self._reading(one):
            if one.part == "llamaindex":
                self._llamaindex(one)
            elif one.part == "queries":
                one.report.add("queries-alone", 0)
            elif one.part == "texts":
                self._pieces(one)
            elif not one.format.headed or self._is_table(one):
                self._rows(one)

    def _is_table(self, one: Input) -> bool:
        """Whether the header names columns that can be read; said once, not for every row."""
        plan = self._plan(one.sample)
        if one.sample and not plan.format:
            one.report.line = 1
            plan.read(one.sample, one.report)
        return not one.report.spoken

    def _rows(self, one: Input) -> None:
        report, builder = one.report, self._assembly.builder
        scores, log = self._recipe.scores, self._assembly.log
        find, grades = finder(one, scores, log, self._look, self._scratch)
        recogniser = Recogniser(report, find)
        self._assembly.pairs.begin(report, one.split)
        self._assembly.texts.begin(report)
        builder.begin(report, one.split)
        builder.gathers = grades
        for part in one.parts(self._tick, self._scratch):
            self._context.check_cancelled()
            if part.rows is None or not self._together(part.rows, recogniser):
                self._records(part.records(), report, recogniser)
        builder.flush()
        self._assembly.pairs.flush()
        self._assembly.texts.flush()
        one.rows = sum(recogniser.formats.values())
        self._assembly.formats.update(recogniser.formats)
        self._assembly.own |= recogniser.own
        if not one.rows and not report.spoken:
            report.add("no-rows", 0)

    def _pieces(self, one: Input) -> None:
        texts = self._assembly.texts
        texts.begin(one.report)
        before = texts.used
        for piece in one.pieces(self._tick, self._scratch, self._cutter):
            self._context.check_cancelled()
            texts.add(piece.place, piece.document)
        texts.flush()
        one.rows = texts.used - before
        self._assembly.formats[one.kind] += one.rows
        if not one.rows and not one.report.spoken:
            one.report.add("no-rows", 0)

    @cached_property
    def _cutter(self) -> Cutter:
        recipe = self._recipe
        size = 0 if recipe.pieces == "none" else recipe.piece_size
        workspace = self._context.workspace
        return cutter_for(workspace, size, recipe.piece_overlap, recipe.piece_model)

    def _records(self, records: Iterator[Record], report: Report, recogniser: Recogniser) -> None:
        """Add rows one by one."""
        add = self._assembly.builder.add
        for line, record in records:
            # A flag that a thread raises: to look at it costs nothing, and a row may be large.
            self._context.check_cancelled()
            report.line = line
            row = recogniser.read(record)
            if type(row) is Row:
                add(line, row)
            elif row is not None:
                self._other(line, row)

    def _other(self, line: int, item: Item) -> None:
        if isinstance(item, Pair):
            self._assembly.pairs.add(line, item)
        elif isinstance(item, Document):
            cut = self._recipe.pieces == "all"
            for one in self._cutter.document(item) if cut else (item,):
                self._assembly.texts.add(line, one)

    def _together(self, rows: RowBlock, recogniser: Recogniser) -> bool:
        """Add the rows, unless they have to be read one by one."""
        cut = self._recipe.pieces == "all"
        found = recogniser.together(rows, texts=not cut)
        if isinstance(found, TextBatch):
            self._assembly.texts.take(found)
        elif found is not None:
            self._assembly.builder.take(found)
        return found is not None

    # -- corpus, queries, qrels --------------------------------------------------------------

    def _judged(self, group: list[Input]) -> None:
        """A BEIR set: all texts first, then the judgments, test before the others."""
        parts = {name: [one for one in group if one.part == name] for name in _PARTS}
        # TREC's own judgments have no header to tell them by.
        kinds = {one.source.label: judged_shape(one.sample) or beir.BEIR for one in parts["qrels"]}
        brought = all(kind.judging and kind.judging.with_queries for kind in kinds.values())
        for needed in ("corpus", "queries"):
            if not parts[needed] and not (needed == "queries" and brought):
                first = parts["qrels"][0].report
                first.add("missing-file", 0, detail=needed)
                return
        into = Collection(self._assembly.builder)
        for name, kind in (("corpus", "document"), ("queries", "query")):
            for one in parts[name]:
                with self._reading(one):
                    into.begin(one.report)
                    before = into.used[kind]
                    for part in one.parts(self._tick, self._scratch):
                        texts = undoubted(beir.texts_of, part.rows, kind)
                        if texts is not None:
                            into.take(kind, texts)
                        else:
                            beir.read_texts(kind, part.records(), into, one.report)
                    one.rows = into.used[kind] - before
        for one in sorted(parts["qrels"], key=lambda one: READ_FIRST[one.split]):
            with self._reading(one):
                self._qrels(one, into, kinds[one.source.label])
        alone = {kind.judging.alone for kind in kinds.values() if kind.judging}
        if "" not in alone:
            parts["qrels"][0].report.add(alone.pop(), 0)

    def _qrels(self, one: Input, into: Collection, shape: Shape) -> None:
        into.begin(one.report, one.split)
        before = into.used["judgment"]
        if (judging := shape.judging) is not None:
            for part in one.parts(self._tick, self._scratch):
                together = judging.together
                found = undoubted(together, part.rows) if together is not None else None
                if found is not None:
                    into.judge_all(found)
                else:
                    judging.read(part.records(), into, one.report)
        one.rows = into.used["judgment"] - before
        self._assembly.formats[shape.name] += one.rows
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
        spoken = one.report.spoken
        one.tell()
        one.report.spoken = spoken
        try:
            yield
        except BROKEN as error:
            self._assembly.builder.flush()
            one.report.add("unreadable", 0, detail=_why(error))
        self._about(one)

    def _about(self, one: Input) -> None:
        encoding = one.found.label if one.found else "UTF-8"
        if one.found and one.found.codec != "utf-8":
            label, asked = one.source.label, self._recipe.encoding != "auto"
            self._assembly.notes.append(
                f"{label}: read as {encoding}." if asked else f"{label}: detected as {encoding}."
            )
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


def _is_about(label: str) -> bool:
    return "/" in label and PurePosixPath(label).stem.lower() in _ABOUT


def _why(error: BaseException) -> str:
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shorten(said[:1].lower() + said[1:], 200).rstrip(".")


# Keeps a process that imports data small: what the libraries would hold on to is given back.

#: Objects made since the last look for those that refer to themselves.
_COLLECTED_AFTER = 50_000
_M_ARENA_MAX = -8  # From glibc's malloc.h.


def be_lean() -> None:
    """Set this process up for reading much and keeping little. Call it before any work is done.

    pyarrow's own allocator keeps what it once had, and glibc gives every thread a heap of its own:
    together some 40 MB here. Elsewhere than on glibc nothing is set.
    """
    without_pandas()
    # Rows come and go by the thousand, and none of them refers to itself.
    gc.set_threshold(_COLLECTED_AFTER, 20, 20)
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux":
        limit = getattr(ctypes.CDLL(None), "mallopt", None)
        if limit is not None:
            limit(_M_ARENA_MAX, 1)


def without_pandas() -> None:
    """Let pyarrow do without pandas, in a process that only imports data.

    ``pa.array`` loads pandas before it converts anything: 36 MB and half a second. It does without
    one that is too old, and looks once, so for that one look it is shown an empty module of version
    0. ``to_pandas`` still works afterwards: it looks again.
    """
    if "pandas" in sys.modules:
        return
    old = types.ModuleType("pandas")
    old.__dict__["__version__"] = "0"
    sys.modules["pandas"] = old
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pa.array([0])
    finally:
        del sys.modules["pandas"]


# Checks import and sample recipes when they are submitted: bad input stops at the click.


def prepare_import(recipe: ImportRecipe, workspace: Workspace, waits: bool) -> ImportRecipe:
    """The recipe with absolute paths that exist.

    Raises :class:`BadInput` for a missing path or an unknown encoding.
    """
    paths = [_checked(path, waits) for path in dict.fromkeys(recipe.paths)]
    if recipe.encoding != "auto":
        named(recipe.encoding)
    read_map(recipe.mapping)
    if recipe.pieces != "none":
        cutter_for(workspace, recipe.piece_size, recipe.piece_overlap, recipe.piece_model)
    return recipe.model_copy(update={"paths": paths})


def _checked(said: str, waits: bool) -> str:
    """The absolute path, or the hub's data set, if it is there to be read."""
    if is_hub(said):
        return PREFIX + repo_of(said)
    path = Path(said).expanduser()
    if not (path.is_file() or path.is_dir()) and not waits:
        raise BadInput(f"There is no file or folder '{path}'.", "Check the path.")
    return str(path.absolute())
