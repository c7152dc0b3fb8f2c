"""What a search answers."""

from dataclasses import dataclass, field, fields
from typing import Any

#: How many of the first stage's documents a second stage orders again, unless said.
CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class Hit:
    """One document found. ``row`` is its row number in the data set.

    ``score`` is that of the last stage. After a second stage, ``first_rank`` (from 1) and
    ``first_score`` say where the index had the document; without one they are None.

    ``relevant``: True when the data set judges it relevant to this very query; False when the query
    is known and this document is not among its relevant ones; None for a query of one's own.
    ``grade`` is the judgment itself; None where nobody judged the document for this query.

    ``picture``: the document's picture, as a path below the data set's folder; '' without one, and
    then ``text`` is the document, else the picture's caption.

    ``fields``: the document's own fields, as they are in the data set.
    """

    id: str
    row: int
    score: float
    title: str
    text: str
    relevant: bool | None = None
    first_rank: int | None = None
    first_score: float | None = None
    picture: str = ""
    grade: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of one index, best first.

    ``milliseconds`` has 'encode', 'search' and 'total'; with a second stage also 'rerank'.
    """

    hits: list[Hit]
    milliseconds: dict[str, float]
    model: str
    index: str
    query: str = ""
    #: How many documents the data set judges relevant to this query; None for a query of one's own.
    known_relevant: int | None = None
    #: The second stage's model, and how many documents it ordered again; None without one.
    reranker: str | None = None
    candidates: int | None = None
    #: The filter on the documents' own fields, and how many documents it leaves; None without one.
    where: str = ""
    matching: int | None = None
    #: The file's name where a picture was asked for, instead of ``query``.
    image: str = ""
    #: The id of the data set whose documents were searched: the same document id elsewhere is
    #: another document.
    dataset_id: str = ""
    #: Which build of the index answered: one that is updated or built anew has another.
    build: str = ""

    def to_dict(self) -> dict[str, Any]:
        # Not ``asdict``, which looks through every value for dataclasses.
        found = {name: getattr(self, name) for name in _RESULT}
        found["hits"] = [{name: getattr(hit, name) for name in _HIT} for hit in self.hits]
        return found

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SearchResult":
        hits = [Hit(**hit) for hit in values["hits"]]
        return cls(**{**values, "hits": hits})


_HIT = tuple(one.name for one in fields(Hit))


_RESULT = tuple(one.name for one in fields(SearchResult))
