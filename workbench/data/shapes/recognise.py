"""From a row's columns to the shape it has, or to a sentence about why it cannot be read."""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from workbench.data.mapping import guess_roles, role_of
from workbench.data.names import OF_POSITIVE
from workbench.data.report import Report
from workbench.data.shapes.beside import keeping
from workbench.data.shapes.hits import HitsReader
from workbench.data.shapes.instructed import InstructedReader, is_instructed
from workbench.data.shapes.lists import ListReader
from workbench.data.shapes.row import Item, Plan
from workbench.data.shapes.scored import SCORES, SIDES, GradedReader, PairReader, are_grades
from workbench.data.shapes.texts import IDS, TEXTS, DocumentReader
from workbench.data.shapes.titled import with_title

#: Names a field goes by, the first found wins. Compared in lower case.
QUERY = ("query", "question", "anchor", "queries", "search_query", "sentence1", "q")
POSITIVE = (
    "pos",
    "positive",
    "positives",
    "positive_passages",
    "positive_ctxs",
    "positive_texts",
    "relevant",
)
NEGATIVE = (
    "neg",
    "negative",
    "negatives",
    "negative_passages",
    "hard_negative_ctxs",
    "negative_ctxs",
    "hard_negatives",
    "hard_negative",
)
#: What a retriever found, each with how good it is.
HITS = ("hits", "ctxs")
#: Second columns of plain pairs; a score beside them makes another shape of it.
PAIRED = (
    "passage",
    "passages",
    "document",
    "doc",
    "answer",
    "response",
    "context",
    "sentence2",
    "text",
    "content",
    "title",
    "contents",
)
_NUMBERED = re.compile(r"neg(ative)?[_-]?\d+")
_QUERY_ID = ("query_id", "query-id", "qid", "question_id", "_id", "id")
#: Columns beside them that mean something.
_SIDE = ("pos_scores", "neg_scores", "prompt", "pos_id", "neg_id")
_DOCUMENT_ID = ("doc_id", "docid", "document_id", "corpus_id", "corpus-id", "passage_id", "pid")
#: What a column may be meant for whose name is nearly one of these.
_MEANT = sorted({*QUERY, *POSITIVE, *NEGATIVE, *_SIDE, *_QUERY_ID, "hits"} - {"q", "id", "_id"})
#: Columns that tell of a text and are none.
_ABOUT = {"title", "url", "image", "source", "lang", "language", "date", "author", "category"}
_MAP = "Say which column holds what, for example: --map query=COLUMN --map positive=COLUMN."
_RENAME = "It is kept as the query's own. Rename it to {0} if that is what it holds."
_ALIKE = 0.75


def recognise(row: dict[str, Any], scores: str = "auto") -> Plan:
    """How to read rows that have this row's columns.

    ``scores`` says what a number beside two texts is: 'pairs', 'grades', or 'auto' to tell by it.
    """
    names = {str(key).strip().lower(): key for key in reversed(row)}
    query = _first(names, QUERY)
    if plan := _scored(names, query, row, scores):
        return keeping(plan)
    for attempt in (_hits, _lists, _pairs):
        if query is not None and (plan := attempt(names, query)):
            kept = keeping(_instructed(plan, row.get(query)))
            return with_title(kept, plan.read, names, row)
    if plan := _two_texts(row) or (_texts(names) if query is None else None):
        return plan
    return _other(names, query, row)


def _scored(
    names: dict[str, str], query: str | None, row: dict[str, Any], scores: str
) -> Plan | None:
    """Two texts and a number; a list of positives with a number is a plain row with a score."""
    score = _first(names, SCORES)
    sides = next(((names[a], names[b]) for a, b in SIDES if a in names and b in names), None)
    if score is None or set(HITS) & names.keys() or score == query:
        return None
    if sides is not None and scores != "grades":
        reader = PairReader(*sides, score)
        return _plan("scored-pairs", reader, names, {*sides, score}, family="pairs")
    query, other = (sides[0], sides[1]) if sides else (query, _beside(names, query))
    if query is None or other is None or any(name in names for name in NEGATIVE):
        return None
    listed = isinstance(row.get(other), list)
    if listed and not isinstance(row.get(score), list):
        return None
    if not listed and (scores == "pairs" or (scores == "auto" and not _grades(row[score]))):
        pairs = PairReader(query, other, score)
        used = {query, other, score}
        return _plan("scored-pairs", pairs, names, used, family="pairs", score=score)
    title = _first(names, ("title", *OF_POSITIVE))
    title = None if title == other else title
    id = _first(names, _DOCUMENT_ID)
    prompt = names.get("prompt")
    graded = GradedReader(query, other, score, title, id, _query_id(names, query), prompt)
    used = {query, other, score, *filter(None, (title, id, graded.query_id, prompt))}
    family = "rows" if listed else "graded"
    return _plan("graded-pairs", graded, names, used, family=family, score=score)


def _grades(value: Any) -> bool:
    """Whether a column with this value holds grades. A header alone says nothing: then it does."""
    return value in (None, "") or are_grades([value])


def _beside(names: dict[str, str], query: str | None) -> str | None:
    """The one text that stands beside the query."""
    wanted = ("positive", "pos", "relevant", *PAIRED)
    return next((names[name] for name in wanted if name in names and names[name] != query), None)


def _instructed(plan: Plan, query: Any) -> Plan:
    """The same rows with ``[instruction, text]`` for texts."""
    if not is_instructed(query) or not isinstance(plan.read, ListReader):
        return plan
    return replace(plan, format="instructed", read=InstructedReader(plan.read))


def _texts(names: dict[str, str]) -> Plan | None:
    """Documents: a text, and no query to it."""
    text = _first(names, TEXTS)
    if text is None or {*POSITIVE, *NEGATIVE, *HITS, "image", "file_name"} & names.keys():
        return None
    reader = DocumentReader(text, names.get("title"), _first(names, IDS))
    return Plan("documents", reader, family="documents")


def _hits(names: dict[str, str], query: str) -> Plan | None:
    hits = _first(names, HITS)
    if hits is None:
        return None
    reader = HitsReader(query, hits, _query_id(names, query), names.get("prompt"))
    return _plan("query-hits", reader, names, {query, hits, reader.query_id, reader.prompt})


def _lists(names: dict[str, str], query: str) -> Plan | None:
    positive = _first(names, POSITIVE)
    negatives = tuple(names[name] for name in NEGATIVE if name in names) + tuple(
        sorted(key for name, key in names.items() if _NUMBERED.fullmatch(name))
    )
    if positive is None and not negatives:
        return None
    reader = ListReader(
        query,
        positive if positive is not None else "pos",
        negatives,
        names.get("pos_scores"),
        names.get("neg_scores"),
        names.get("prompt"),
        _query_id(names, query),
        names.get("pos_id"),
        names.get("neg_id"),
        names.get("score"),
    )
    return _plan(_list_format(names), reader, names, reader.columns)


def _list_format(names: dict[str, str]) -> str:
    if "positive_passages" in names or "positive_ctxs" in names:
        return "passages"
    if "anchor" in names:
        return "anchor-positive"
    return "query-pos-neg"


def _pairs(names: dict[str, str], query: str) -> Plan | None:
    other = next((names[name] for name in PAIRED if name in names and names[name] != query), None)
    if other is None:
        return None
    reader = ListReader(query, other, prompt=names.get("prompt"), query_id=_query_id(names, query))
    return _plan("text-pairs", reader, names, reader.columns)


def _two_texts(row: dict[str, Any]) -> Plan | None:
    """Two columns of text with names of their own: the first is taken for the query, unless their
    names say the opposite."""
    texts = [key for key, value in row.items() if isinstance(value, str) and str(key).strip()]
    known = {str(key).strip().lower() for key in texts}
    alone = known & {*_QUERY_ID, *SCORES, *POSITIVE, *NEGATIVE, *_ABOUT}
    if len(row) != 2 or len(texts) != 2 or alone:
        return None
    first, second = texts
    if role_of(str(first)) == "positive" or role_of(str(second)) == "query":
        first, second = second, first
    hints = (
        (str(first), "It was taken for the query: name it 'query' if that is right."),
        (str(second), "It was taken for the relevant text: name it 'positive' if that is right."),
    )
    return Plan("text-pairs", ListReader(first, second), hints, guessed=True)


def _other(names: dict[str, str], query: str | None, row: dict[str, Any]) -> Plan:
    columns = ", ".join(f"'{name}'" for name in list(row)[:8]) or "none"
    if query is not None and set(names) - {*_QUERY_ID, query.strip().lower(), "prompt"} == set():
        return _missing("pos")
    positive = _first(names, POSITIVE)
    if query is None and positive is not None:
        return _missing("query")
    if {"image", "file_name"} & set(names):
        return _later(
            "The rows name pictures, and no pictures are among the files.",
            "Import a folder or zip with the pictures and this file, or give pairs of texts.",
        )
    guess = _guesses(names) or _mapped(row)
    return _later(
        f"The columns {columns} are not a shape that is known.",
        guess or _MAP,
    )


def _missing(field: str) -> Plan:
    def read(_row: dict[str, Any], report: Report) -> Item | None:
        report.add("missing-field", None, field, detail=field)
        return None

    return Plan("", read)


def _later(detail: str, hint: str) -> Plan:
    def read(_row: dict[str, Any], report: Report) -> Item | None:
        report.add("unsupported-shape", detail=detail, hint=hint)
        return None

    return Plan("", read)


def _guesses(names: dict[str, str]) -> str:
    wanted = {**dict.fromkeys(QUERY, "query"), **dict.fromkeys(POSITIVE, "pos")}
    wanted |= dict.fromkeys(NEGATIVE, "neg") | dict.fromkeys(PAIRED, "pos")
    wanted |= {"input": "query", "prompt": "query", "instruction": "query", "utterance": "query"}
    wanted |= {"output": "pos", "completion": "pos", "intent": "pos", "target": "pos"}
    said: list[str] = []
    for name, key in names.items():
        close = difflib.get_close_matches(name, wanted, n=1, cutoff=0.75)
        if close and len(said) < 3:
            said.append(f"'{key}' to '{wanted[close[0]]}'")
    return f"Perhaps rename {', '.join(said)}." if said else ""


def _mapped(row: dict[str, Any]) -> str:
    """The mapping that the columns suggest."""
    roles = guess_roles([row])
    if not {"query", "positive"} <= set(roles.values()):
        return ""
    said = " ".join(f"--map {role}={column}" for column, role in roles.items())
    return f"Say which column holds what, perhaps: {said}."


def _first(names: dict[str, str], wanted: Iterable[str]) -> str | None:
    return next((names[name] for name in wanted if name in names), None)


def _query_id(names: dict[str, str], query: str) -> str | None:
    found = _first(names, _QUERY_ID)
    return found if found != query else None


def _plan(
    format: str,
    read: Callable[[dict[str, Any], Report], Item | None],
    names: dict[str, str],
    used: Iterable[str | None],
    **more: Any,
) -> Plan:
    """A plan that uses these columns: the others are the query's own. Those of them whose names
    are nearly that of a column with a meaning are told of."""
    taken = set(used)
    own = tuple(key for key in reversed(names.values()) if key not in taken)
    unknown = []
    for name, key in names.items():
        close = difflib.get_close_matches(name, _MEANT, n=1, cutoff=_ALIKE)
        if key not in taken and close and name not in _MEANT:
            unknown.append((key, _RENAME.format(f"'{close[0]}'")))
    return Plan(format, read, tuple(unknown), own=own, **more)


class Recogniser:
    """Remembers the plan for each set of columns, because most rows have the same."""

    def __init__(self, report: Report, find: Callable[[dict[str, Any]], Plan] = recognise) -> None:
        self._report = report
        self._find = find
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._refused: dict[tuple[Any, ...], Plan] = {}
        self.formats: dict[str, int] = {}
        #: Columns that were kept as they are.
        self.own: dict[str, None] = {}
        #: Rows with a query have been read: a text without one is then a row that lacks it.
        self._queried = False

    def learnt(self, row: dict[str, Any]) -> Plan | None:
        """The plan for rows with these columns, once such a row was read."""
        return self._plans.get(tuple(row))

    def read(self, row: dict[str, Any]) -> Item | None:
        keys = tuple(row)
        plan = self._plans.get(keys)
        if plan is None:
            plan = self._learn(keys, row)
        found = plan.read(row, self._report)
        if found is not None:
            self.formats[plan.format] = self.formats.get(plan.format, 0) + 1
        return found

    def _learn(self, keys: tuple[str, ...], row: dict[str, Any]) -> Plan:
        # A guess looks at the values too: a row that is refused says nothing about the next one
        # unless that has the same types.
        kinds = (keys, tuple(type(value) for value in row.values()))
        if kinds in self._refused:
            return self._refused[kinds]
        for cache in (self._plans, self._refused):
            if len(cache) > 1_000:  # Every row with columns of its own: nothing to remember.
                cache.clear()
        plan = self._find(row)
        if plan.family == "documents" and self._queried:
            plan = _missing("query")
        self._queried |= bool(plan.format) and plan.family in ("rows", "graded")
        if plan.format:
            self._plans[keys] = plan
        else:
            self._refused[kinds] = plan
        self._report.unknown(plan.unknown)
        self.own |= dict.fromkeys(plan.own)
        return plan
