"""Data sets as the shapes in the wild write them, drawn by hypothesis, and what is known of one."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from workbench.data.export_held import joined
from workbench.data.reader import DatasetReader

ODD = [
    "中文 段落",
    "🙂👩‍👩‍👧",
    "a\u2028b",
    "a\u2029b",
    "a\x85b",
    "a\r\nb",
    "a\tb",
    '"q", \\n',
    "{x: [1]}",
]
WORDS = st.sampled_from(ODD) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9
)
SCORES = st.none() | st.floats(-100, 100, width=32) | st.integers(0, 1000)


@dataclass(frozen=True)
class Doc:
    title: str
    text: str
    id: str | None
    #: Its own columns; what is empty among them counts as not there.
    own: dict[str, Any]


@dataclass(frozen=True)
class Asked:
    text: str
    id: str | None
    prompt: str | None
    own: dict[str, Any]
    #: (document, grade, score): grade 0 is a negative, and the first is relevant.
    links: list[tuple[Doc, int, float | None]]


@st.composite
def own_columns(draw: st.DrawFn) -> dict[str, Any]:
    """Own columns, also empty ones."""
    return {
        "note": draw(WORDS),
        "tags": draw(st.lists(WORDS, max_size=2)),
        "year": draw(st.none() | st.integers(0, 3000)),
        "empty": "",
    }


@st.composite
def asked(draw: st.DrawFn) -> list[Asked]:
    count = draw(st.integers(1, 6))
    documents = [
        Doc(
            draw(st.just("") | WORDS.map(lambda text, n=n: f"{text} t{n}".replace("\n", " "))),
            f"{draw(WORDS)} d{n}",
            draw(st.sampled_from([None, f"doc {n}"])),
            draw(own_columns()),
        )
        for n in range(count)
    ]
    found = []
    for number in range(draw(st.integers(1, 4))):
        order = draw(st.permutations(documents))[: draw(st.integers(1, count))]
        links = [(one, draw(st.integers(0, 3)), draw(SCORES)) for one in order]
        links[0] = (links[0][0], max(1, links[0][1]), links[0][2])
        found.append(
            Asked(
                f"{draw(WORDS)} q{number}",
                draw(st.sampled_from([None, f"query {number}"])),
                draw(st.none() | WORDS.map(lambda text: f"Find {text}:")),
                draw(own_columns()),
                links,
            )
        )
    return found


# -- the shapes ------------------------------------------------------------------------------


def _passage(one: Doc, score: float | None, text: str, id: str) -> dict[str, Any]:
    said = {"title": one.title, text: one.text, "score": score, **one.own}
    return said | ({id: one.id} if one.id else {})


def _sides(row: Asked) -> tuple[list[Any], list[Any]]:
    good = [link for link in row.links if link[1] > 0]
    return good, [link for link in row.links if link[1] == 0]


def hits(row: Asked) -> dict[str, Any]:
    """RAG-Retrieval's, with what a run says of each hit."""
    found = [
        {**_passage(one, score, "content", "docid"), "label": grade}
        for one, grade, score in row.links
    ]
    return {"query": row.text, "hits": found, "qid": row.id, "prompt": row.prompt, **row.own}


def dpr(row: Asked) -> dict[str, Any]:
    good, bad = (
        [_passage(one, score, "text", "passage_id") for one, _, score in side]
        for side in _sides(row)
    )
    sides = {"positive_ctxs": good, "hard_negative_ctxs": bad[::2], "negative_ctxs": bad[1::2]}
    return {"question": row.text, "question_id": row.id, "prompt": row.prompt, **sides, **row.own}


def passages(row: Asked) -> dict[str, Any]:
    """open-retrievals' names, Tevatron's passages."""
    good, bad = (
        [_passage(one, score, "text", "docid") for one, _, score in side] for side in _sides(row)
    )
    about = {"query_id": row.id, "prompt": row.prompt, **row.own}
    return {"query": row.text, "positive": good, "negative": bad, **about}


def embedrag(row: Asked) -> dict[str, Any]:
    """Rows with type and task name, scores and ids beside the texts."""
    good, bad = _sides(row)
    said: dict[str, Any] = {"query": row.text, "query_id": row.id, "prompt": row.prompt, **row.own}
    for name, side in (("pos", good), ("neg", bad)):
        said[name] = [one.text for one, *_ in side]
        said[f"{name}_scores"] = [score for *_, score in side]
        said[f"{name}_id"] = [one.id for one, *_ in side]
    return said | {"type": "kg", "task_name": "链接"}


def instructed(row: Asked) -> dict[str, Any]:
    good, bad = ([["Text:", one.text] for one, *_ in side] for side in _sides(row))
    pos, neg = good if len(good) > 1 else good[0], bad if len(bad) != 1 else bad[0]
    query = [row.prompt or "", row.text]
    return {"query": query, "pos": pos, "neg": neg, "query_id": row.id, **row.own}


def titled(row: Asked) -> dict[str, Any]:
    one = row.links[0][0]
    said = {"question": row.text, "passage": one.text, "title": one.title, "id": row.id}
    return said | {"prompt": row.prompt} | row.own


@dataclass(frozen=True)
class Shape:
    write: Callable[[Asked], dict[str, Any]]
    #: What it says besides texts and which of them are relevant.
    says: frozenset[str]
    #: Own columns that it brings.
    brings: dict[str, Any] = field(default_factory=dict)


_PASSAGES = frozenset({"titles", "ids", "own", "scores"})
SHAPES = {
    "hits": Shape(hits, _PASSAGES | {"grades"}),
    "dpr": Shape(dpr, _PASSAGES),
    "passages": Shape(passages, _PASSAGES),
    "embedrag": Shape(embedrag, frozenset({"ids", "scores"}), {"type": "kg", "task_name": "链接"}),
    "instructed": Shape(instructed, frozenset()),
    "titled": Shape(titled, frozenset({"titles", "first"})),
}


# -- what is known of a data set -------------------------------------------------------------

Facts = dict[str, set[Any]]


def there(own: dict[str, Any]) -> str:
    """Own columns without the empty ones, as text that can be compared."""
    kept = {name: value for name, value in own.items() if value not in (None, "", [])}
    return json.dumps(kept, sort_keys=True) if kept else ""


def expected(rows: list[Asked], shape: Shape) -> Facts:
    """What has to be known of rows that were written so. Texts stand for what they belong to."""
    says, found = shape.says, _none()
    for row in rows:
        found["queries"].add(row.text)
        found["query_ids"] |= {(row.text, row.id)} if row.id else set()
        found["prompts"] |= {(row.text, row.prompt)} if row.prompt else set()
        own = there({**row.own, **shape.brings})
        found["query_fields"] |= {(row.text, own)} if own else set()
        for one, given, score in row.links[:1] if "first" in says else row.links:
            grade = given if "grades" in says else min(1, given)
            title = one.title if "titles" in says else ""
            text = joined(title, one.text)
            link = row.text, text
            found["documents"].add(text)
            found["positives" if grade else "negatives"].add(link)
            found["grades"] |= {(*link, grade)} if grade > 1 else set()
            if score is not None and "scores" in says:
                found["scores"].add((*link, float(np.float32(score))))
            found["titles"] |= {(text, title)} if title else set()
            found["document_ids"] |= {(text, one.id)} if one.id and "ids" in says else set()
            own = there(one.own) if "own" in says else ""
            found["fields"] |= {(text, own)} if own else set()
    return found


def facts(reader: DatasetReader) -> Facts:
    found = _none()
    documents = reader.documents().to_pylist()
    texts = [joined(one["title"], one["text"]) for one in documents]
    for text, one in zip(texts, documents, strict=True):
        found["documents"].add(text)
        found["titles"] |= {(text, one["title"])} if one["title"] else set()
        found["document_ids"] |= set() if ":" in one["id"] else {(text, one["id"])}
        found["fields"] |= {(text, there(json.loads(one["fields"])))} if one["fields"] else set()
    queries = reader.queries().to_pylist()
    names = [one["text"] for one in queries]
    for one in queries:
        text = one["text"]
        found["queries"].add(text)
        found["splits"].add((text, one["split"]))
        found["query_ids"] |= set() if ":" in one["id"] else {(text, one["id"])}
        found["prompts"] |= {(text, one["prompt"])} if one["prompt"] else set()
        own = there(json.loads(one["fields"] or "{}"))
        found["query_fields"] |= {(text, own)} if own else set()
    _edges(reader, names, texts, found)
    for one in reader.pairs().to_pylist():
        pair = one["left"], one["right"], one["score"]
        found["pairs"].add((*pair, one["split"]))
        found["pair_fields"] |= {(*pair, one["fields"])} if one["fields"] else set()
    return found


def _edges(reader: DatasetReader, names: list[str], texts: list[str], found: Facts) -> None:
    for one in reader.judgments().to_pylist():
        link = names[one["query"]], texts[one["document"]]
        found["positives" if one["grade"] > 0 else "negatives"].add(link)
        found["grades"] |= {(*link, one["grade"])} if one["grade"] > 1 else set()
    for one in reader.candidates().to_pylist():
        link = names[one["query"]], texts[one["document"]]
        found["negatives"] |= {link} - found["positives"]
        found["scores"] |= {(*link, one["score"])} if one["score"] is not None else set()


def _none() -> Facts:
    kinds = "queries query_ids prompts query_fields splits documents titles document_ids fields"
    links = "positives negatives grades scores pairs pair_fields"
    return {name: set() for name in [*kinds.split(), *links.split()]}
