"""What the resident search process is asked, one class for each request, and how both sides talk:
JSON objects over an authenticated local socket.

JSON and not pickle: what arrives is looked at, never run. The process imports this before it
listens, so it imports neither torch nor numpy.
"""

import json
import select
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from multiprocessing.connection import Connection
from typing import Any, ClassVar, Generic, Literal, TypeVar

import orjson

from workbench.errors import BadInput, SearchUnavailable

# What a search answers.

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


#: A line on the worker's standard output once it listens.
READY = "ready"


def pack(message: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(message)
    except TypeError:
        # Half a surrogate pair, which a question may hold, is no UTF-8; the library's own JSON
        # escapes it.
        return json.dumps(message).encode()


def unpack(packed: bytes) -> dict[str, Any]:
    found: dict[str, Any]
    try:
        found = orjson.loads(packed)
    except orjson.JSONDecodeError:
        found = json.loads(packed)
    return found


def send(connection: "Connection[Any, Any]", message: dict[str, Any]) -> None:
    connection.send_bytes(pack(message))


def receive(connection: "Connection[Any, Any]") -> dict[str, Any]:
    """The next message; raises EOFError or OSError when the other side is gone."""
    return unpack(connection.recv_bytes())


def arrives(connection: "Connection[Any, Any]", seconds: float) -> bool:
    """Whether something can be read in time: a message, or that the other side is gone. (The
    connection's own ``poll`` makes a selector each time, which costs as much as a small search.)"""
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


Role = Literal["query", "document"]
#: The values of each of the documents' own fields, with the number of documents that have them.
FieldValues = dict[str, list[tuple[str, int]]]
A = TypeVar("A")

#: In one message; who has more sends several.
MOST_TEXTS = 4096
MOST_PAIRS = 10_000
#: Pairs that a program sends at once: for each message there is a time limit, and a language model
#: on a CPU takes seconds for a pair.
PAIRS = 64


class Request(Generic[A]):
    """A request whose answer is an ``A``; subclasses are dataclasses of what JSON can hold."""

    #: The request's name in its message.
    operation: ClassVar[str]

    @property
    def reranks(self) -> bool:
        """Whether a second stage scores pairs for it, which takes longer."""
        return False

    @property
    def shares(self) -> bool:
        """Whether another one that shares may be with the worker while it is worked on."""
        return False

    def read(self, answer: Any) -> A:
        """The answer from what its message holds."""
        found: A = answer
        return found

    def to_dict(self) -> dict[str, Any]:
        # Not ``asdict``, which copies every value.
        values = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        return {"do": self.operation, **values}


@dataclass(frozen=True)
class Status(Request[dict[str, list[str]]]):
    """Which 'models' and 'indexes' are in memory (ids)."""

    operation = "status"


@dataclass(frozen=True)
class Warm(Request[dict[str, list[str]]]):
    """Load these indexes, their models and a second stage; answers what :class:`Status` does.
    ``served``: find out now what computes the texts of this model."""

    operation = "warm"
    indexes: list[str]
    reranker: str | None = None
    served: str | None = None

    @property
    def reranks(self) -> bool:
        return bool(self.reranker)


@dataclass(frozen=True)
class Search(Request[list[SearchResult]]):
    """The best documents of each index for one query (:meth:`Engine.search`)."""

    operation = "search"
    indexes: list[str]
    query: str
    top_k: int
    reranker: str | None = None
    candidates: int = CANDIDATES
    where: str = ""

    @property
    def reranks(self) -> bool:
        return bool(self.reranker)

    def read(self, answer: Any) -> list[SearchResult]:
        return [SearchResult.from_dict(result) for result in answer]


@dataclass(frozen=True)
class SearchPicture(Request[list[SearchResult]]):
    """The pictures most like the one in a file (:meth:`Engine.search_picture`)."""

    operation = "search-picture"
    indexes: list[str]
    picture: str
    top_k: int
    where: str = ""
    without: str = ""

    def read(self, answer: Any) -> list[SearchResult]:
        return [SearchResult.from_dict(result) for result in answer]


@dataclass(frozen=True)
class Fields(Request[FieldValues]):
    """The own fields of an index's documents, the most frequent values first."""

    operation = "fields"
    index: str

    def read(self, answer: Any) -> FieldValues:
        return {
            name: [(value, count) for value, count in values] for name, values in answer.items()
        }


@dataclass(frozen=True)
class Embed(Request[dict[str, Any]]):
    """Vectors of texts; the answer holds an :class:`~workbench.search.encoded.Encoded`.

    Raises :class:`BadInput` for another role than two, and for too many texts.
    """

    operation = "embed"
    model: str
    texts: Sequence[str]
    role: Role

    def __post_init__(self) -> None:
        if self.role not in ("query", "document"):
            raise BadInput(f"'{self.role}' is no role.", "A text is a query or a document.")
        if len(self.texts) > MOST_TEXTS:
            raise BadInput(
                f"{len(self.texts):,} texts are more than are encoded at once.",
                f"Send at most {MOST_TEXTS:,}, one call after the other.",
            )

    @property
    def shares(self) -> bool:
        return True


@dataclass(frozen=True)
class Score(Request[dict[str, Any]]):
    """Scores of pairs of rows of ``queries`` and ``documents``; the answer holds a
    :class:`~workbench.search.encoded.Scored`. Raises :class:`BadInput` for too many."""

    operation = "rerank"
    model: str
    queries: Sequence[str]
    documents: Sequence[str]
    pairs: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        if len(self.pairs) > MOST_PAIRS:
            raise BadInput(
                f"{len(self.pairs):,} pairs are more than are scored at once.",
                f"Send at most {MOST_PAIRS:,}, one call after the other.",
            )

    @property
    def reranks(self) -> bool:
        return True


@dataclass(frozen=True)
class Write(Request[dict[str, Any]]):
    """Text that a language model writes after a prompt: the one request that is answered by several
    messages, pieces of text and then the answer, 'prompt_tokens', 'completion_tokens' and whether
    the limit 'cut' it off."""

    operation = "write"
    model: str
    device: str
    prompt: str
    max_tokens: int
    #: None and 0 take the likeliest token each time.
    temperature: float | None


_REQUESTS: dict[str, type[Request[Any]]] = {
    one.operation: one for one in (Status, Warm, Search, SearchPicture, Fields, Embed, Score, Write)
}


def request_of(message: dict[str, Any]) -> Request[Any]:
    """The request that a message holds; raises :class:`SearchUnavailable` for one of another
    version (the program was updated while the app ran)."""
    values = dict(message)
    name = values.pop("do", None)
    try:
        return _REQUESTS[name](**values)
    except (KeyError, TypeError) as error:
        raise SearchUnavailable(
            f"The search process does not know '{name}'.", "Start the app again."
        ) from error
