"""What an import would make of some files, from their beginnings: columns, first rows, problems.

Nothing is written and nothing is read to its end, so the page may ask at every change.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.data.hub import described, is_hub, look_at, sample
from workbench.data.intake import Input, finder, inspect, name_corpus, narrow
from workbench.data.mapping import guess_roles, read_map
from workbench.data.pieces import Cutter, cutter_for
from workbench.data.problems import ProblemLog
from workbench.data.shapes import beir
from workbench.data.shapes.recognise import Recogniser
from workbench.data.shapes.row import Document, Item, Pair, Row
from workbench.data.shapes.shape import judged_shape
from workbench.data.sources import BROKEN, Source, find
from workbench.data.text_counts import odd_kind
from workbench.data.write_dataset import own_columns, shown_name
from workbench.limited import Answer, Ended, LimitedPool, NeededTooMuch, TookTooLong
from workbench.pictures.importing import FORMAT as PICTURES
from workbench.pictures.importing import layout_of, partition_sources
from workbench.pictures.in_rows import Seen, look
from workbench.pictures.in_rows import seen as seen_in
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

#: Rows that are looked at, and how many of them are shown.
_LOOKED_AT, SHOWN = 200, 5
#: Of a corpus, and of the queries beside it.
_BY_ID = 2
#: Files that are looked into; a folder of documents may hold thousands.
_FILES = 20


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One row as it would be read. ``kind``: query, pair or document; ``texts``: what it holds,
    as (role, text)."""

    file: str
    line: int
    kind: str
    texts: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Preview:
    """``known`` is False where a file with rows has none that can be read. ``columns`` are those of
    the first file with rows, each with a sample; ``guess`` gives some of them a role."""

    format: str = ""
    known: bool = True
    columns: dict[str, str] = field(default_factory=dict)
    guess: dict[str, str] = field(default_factory=dict)
    rows: list[PreviewRow] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: What is not read as it stands, counted as an import counts it.
    set_aside: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        rows = [
            {"file": row.file, "line": row.line, "kind": row.kind, "texts": list(row.texts)}
            for row in self.rows
        ]
        plain = ("format", "known", "columns", "guess", "problems", "notes", "set_aside")
        return {**{name: getattr(self, name) for name in plain}, "rows": rows}


def preview(workspace: Workspace, recipe: ImportRecipe, shown: int = SHOWN) -> Preview:
    """The first rows and pieces as the recipe would read them. Raises :class:`BadInput`."""
    columns = read_map(recipe.mapping)
    size = 0 if recipe.pieces == "none" else recipe.piece_size
    cutter = cutter_for(workspace, size, recipe.piece_overlap, recipe.piece_model)
    out = Preview()
    formats: dict[str, None] = {}
    with tempfile.TemporaryDirectory(prefix="workbench-preview-") as made:
        log = ProblemLog(Path(made) / "problems.parquet")
        pictures, others = partition_sources(_sources(workspace, recipe, log, out.notes))
        inputs: list[Input] = []
        for source in others[:_FILES]:
            with _told(source, log):
                if one := inspect(source, recipe.encoding, log, columns, recipe.header):
                    inputs.append(one)
        name_corpus(inputs)
        inputs = _embedded(inputs, out, formats, Path(made), shown)
        if pictures:
            seen, inputs, note = look(pictures, inputs, Path(made))
            out.rows += [_picture(one) for one in seen[:shown]]
            out.notes += [note] if note else []
            formats.update({PICTURES: None} if seen else {})
        for one in inputs:
            with _told(one.source, log):
                _look(one, recipe, cutter, out, formats, log, Path(made), shown)
        out.set_aside["rows_refused"] = log.refused_rows
        out.problems = [problem.to_dict() for problem in log.first[:20]]
        log.abandon()
    out.format = " + ".join(formats)
    return out


def _sources(
    workspace: Workspace, recipe: ImportRecipe, log: ProblemLog, notes: list[str]
) -> Iterator[Source]:
    """The files; for a hub's data set the rows that the last look at it has left here."""
    for path in recipe.paths:
        if not is_hub(path):
            yield from find([Path(path)], log, notes)
        elif look := look_at(workspace, path, recipe.hub_subset):
            notes.append(described(look))
            yield from sample(look, recipe.hub_split, log)
        else:
            notes.append(f"{path}: run the preview to see its rows here.")


@contextmanager
def _told(source: Source, log: ProblemLog) -> Iterator[None]:
    """A file that breaks is a problem of its own."""
    try:
        yield
    except BROKEN as error:
        log.add("unreadable", source.label, detail=str(error)[:200])


def _embedded(
    inputs: list[Input], out: Preview, formats: dict[str, None], scratch: Path, shown: int
) -> list[Input]:
    """Add what tables with pictures in their rows show; the other files."""
    rest = []
    for one in inputs:
        layout = layout_of(one)
        if layout is None:
            rest.append(one)
            continue
        formats[PICTURES] = None
        found = islice(seen_in(one, layout, scratch), max(0, shown - len(out.rows)))
        out.rows += [_picture(row) for row in found]
        out.columns = out.columns or dict.fromkeys(one.names, "")
    return rest


def _picture(seen: Seen) -> PreviewRow:
    label, line, name, captions = seen
    texts = (*(("query", caption) for caption in captions[:3]), ("picture", name))
    return PreviewRow(label, line, "query" if captions else "document", texts)


def _look(
    one: Input,
    recipe: ImportRecipe,
    cutter: Cutter,
    out: Preview,
    formats: dict[str, None],
    log: ProblemLog,
    scratch: Path,
    shown: int,
) -> None:
    """Add what one file shows."""
    one.tell()
    if one.part == "texts":
        formats[one.kind] = None
        for piece in islice(one.pieces(_nothing, scratch, cutter), max(0, shown - len(out.rows))):
            out.rows.append(_shown(one, piece.place, piece.document))
    elif one.part == "rows":
        items, samples, recogniser = _rows(one, recipe, cutter, log, scratch)
        found = list(recogniser.formats)
        formats.update(dict.fromkeys(found))
        _put_aside(out, recogniser, items)
        out.rows += [_shown(one, line, item) for line, item in items[: shown - len(out.rows)]]
        out.known &= bool(found)
        if not out.columns or not found:
            out.columns, out.guess = _columns(samples), guess_roles(samples)
    else:
        shape = judged_shape(one.sample) or beir.BEIR
        formats["llamaindex" if one.part == "llamaindex" else shape.name] = None
        if one.part in ("corpus", "queries"):
            out.rows += _by_id(one, scratch, min(_BY_ID, shown - len(out.rows)))


def _put_aside(out: Preview, recogniser: Recogniser, items: list[tuple[int, Item]]) -> None:
    """Count the columns that are kept as they are, and the lists that are read as text."""
    out.notes += [own_columns(recogniser.own)] if recogniser.own else []
    own = out.set_aside.setdefault("own_columns", [])
    own += [name for name in map(shown_name, recogniser.own) if name not in own]
    texts = {text for _, item in items for _, text in _texts(item)}
    lists = sum(odd_kind(text) == "list" or text.strip() == "[]" for text in texts)
    out.set_aside["list_texts"] = out.set_aside.get("list_texts", 0) + lists


class _Gathered:
    """Takes what a reader by id gives."""

    def __init__(self) -> None:
        self.items: list[tuple[str, int, Document]] = []

    def add(self, kind: str, line: int, item: Document) -> None:
        self.items.append((kind, line, item))

    def judge(self, line: int, query: str, document: str, grade: int) -> None:
        """Judgments are not shown."""

    def offer(self, line: int, query: str, document: str, score: float | None = None) -> None:
        """Candidates neither."""

    def flush(self) -> None:
        """Nothing waits here."""


def _by_id(one: Input, scratch: Path, most: int) -> list[PreviewRow]:
    """The first texts of a corpus, or of the queries beside it."""
    gathered = _Gathered()
    kind = "document" if one.part == "corpus" else "query"
    records = islice(one.records(_nothing, scratch), max(0, most))
    beir.read_texts(kind, records, gathered, one.report)
    rows = []
    for found, line, item in gathered.items:
        texts = tuple(_texts(item))
        if found == "query":
            texts = tuple((role if role != "text" else "query", text) for role, text in texts)
        rows.append(PreviewRow(one.source.label, line, found, texts))
    return rows


def _rows(
    one: Input, recipe: ImportRecipe, cutter: Cutter, log: ProblemLog, scratch: Path
) -> tuple[list[tuple[int, Item]], list[dict[str, Any]], Recogniser]:
    """The first rows that can be read, the first as the file has them, and how they were read."""
    find_plan, _ = finder(one, recipe.scores, log, _nothing, scratch)
    recogniser = Recogniser(one.report, find_plan)
    items: list[tuple[int, Item]] = []
    samples: list[dict[str, Any]] = []
    records = narrow(one.raw_records(_nothing, scratch), one.report)
    for line, raw in islice(records, _LOOKED_AT):
        one.report.line = line
        samples.append(raw)
        item = recogniser.read(one.columns.rename(raw) if one.columns else raw)
        if isinstance(item, Document) and recipe.pieces == "all":
            items += [(line, piece) for piece in cutter.document(item)]
        elif item is not None:
            items.append((line, item))
    return items, samples or [dict.fromkeys(one.names, "")], recogniser


def _shown(one: Input, line: int, item: Item) -> PreviewRow:
    kinds: dict[type, str] = {Row: "query", Pair: "pair", Document: "document"}
    return PreviewRow(one.source.label, line, kinds[type(item)], tuple(_texts(item)))


def _texts(item: Item) -> Iterator[tuple[str, str]]:
    if isinstance(item, Pair):
        yield from (("left", item.left), ("right", item.right), ("score", f"{item.score:g}"))
        return
    if isinstance(item, Document):
        named = (("id", item.id), ("title", item.title), ("text", item.text))
        yield from ((role, text) for role, text in (*named, ("fields", item.fields)) if text)
        return
    yield "query", item.query
    if item.prompt:
        yield "prompt", item.prompt
    for document, grade in zip(item.documents, item.grades, strict=True):
        text = document if isinstance(document, str) else f"{document.title} {document.text}"
        role = "positive" if grade > 0 else "negative"
        yield role, text.strip() + (f" ({grade})" if grade > 1 else "")


def _columns(samples: list[dict[str, Any]]) -> dict[str, str]:
    """Each column with the first value that is none empty."""
    found: dict[str, str] = {}
    for row in samples:
        for name, value in row.items():
            if not found.get(str(name)):
                found[str(name)] = "" if value is None else str(value)[:200]
    return found


def _nothing(_count: int) -> None:
    """Progress that nobody watches."""


# The preview of an import, made in a process of its own with limits on memory and time: files that
# are meant to exhaust what reads them do not reach the app.
#
# Only the page asks here; at the command line there is nobody else to disturb.

#: A beginning is a few rows, but a row may have 64 MB, ten times that as Python's objects, and a
#: Parquet file's row group hundreds.
_ROOM = 2 << 30
#: What a person waits for; a folder of large files takes one or two.
_SECONDS = 20.0
#: Two people may look at the same time.
_AT_ONCE = 2
TOO_SLOW = (
    "There is no preview: looking at the files took longer than {0} seconds. They can be imported "
    "all the same; what cannot be read is listed then."
)
TOO_LARGE = (
    "There is no preview: looking at the files takes more than {0} GB of memory. Files in smaller "
    "parts, or rows with less in each, can be read."
)
CRASHED = (
    "There is no preview: the program that looks at the files crashed. They can be imported all "
    "the same; what cannot be read is listed then."
)
POOL = LimitedPool(f"{__name__}:answer", count=_AT_ONCE, memory=_ROOM, seconds=_SECONDS)


def preview_in_subprocess(workspace: Workspace, recipe: ImportRecipe) -> Preview:
    """As :func:`preview`; a note instead where that takes too long or too much memory. Raises
    :class:`BadInput`."""
    request = {
        "home": str(workspace.home),
        "url": workspace.url,
        "recipe": recipe.model_dump(mode="json"),
    }
    try:
        said, _ = POOL.ask(request)
    except TookTooLong:
        return _none(TOO_SLOW.format(f"{_SECONDS:g}"))
    except NeededTooMuch:
        return _none(TOO_LARGE.format(_ROOM >> 30))
    except Ended:
        return _none(CRASHED)
    return _rebuilt(said)


def _none(note: str) -> Preview:
    return Preview(notes=[note])


def _rebuilt(said: dict[str, Any]) -> Preview:
    rows = [
        PreviewRow(
            row["file"],
            row["line"],
            row["kind"],
            tuple((role, text) for role, text in row["texts"]),
        )
        for row in said["rows"]
    ]
    return Preview(**{**said, "rows": rows})


def answer(request: dict[str, Any], _data: bytes) -> Answer:
    """What such a process is asked for."""
    workspace = _opened_workspace(request["home"], request["url"])
    return preview(workspace, ImportRecipe.read(request["recipe"])).to_dict(), b""


@lru_cache(1)
def _opened_workspace(home: str, url: str | None) -> Workspace:
    import pyarrow as pa

    # Its threads reserve memory for each core.
    pa.set_cpu_count(1)
    return Workspace.open(home, url=url)
