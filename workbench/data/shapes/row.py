"""One row as every shape reads it: a query, its documents, what is known of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workbench.data.report import Report


@dataclass(frozen=True, slots=True)
class Document:
    """A document with more than its text. Its length is counted as a text's is."""

    text: str
    title: str = ""
    id: str | None = None
    #: Its other columns, and where it comes from, as a JSON object; '' where there are none.
    fields: str = ""
    #: A picture's path below the data set's folder; its text is then its caption.
    picture: str = ""
    #: The prompt of a query that is called by its id.
    prompt: str = ""

    def __len__(self) -> int:
        return len(self.text) + len(self.title)

    def __bool__(self) -> bool:
        """It is there, though its text may be empty: a picture without a caption."""
        return True


@dataclass(slots=True)
class Row:
    """``documents``, ``grades`` and ``scores`` run side by side. Grade 0: given, not judged
    relevant (a negative); 1 and more: judged. ``scores`` is None where the row has none."""

    query: str
    documents: list[str | Document]
    grades: list[int]
    scores: list[float | None] | None = None
    prompt: str | None = None
    query_id: str | None = None
    #: The row's other columns as a JSON object, kept with the query; '' where there are none.
    fields: str = ""
    #: The column that has no relevant text in this row: another row must bring one for the query.
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts and how alike they are, or how well one answers the other."""

    left: str
    right: str
    score: float
    #: The row's other columns as a JSON object; '' where there are none.
    fields: str = ""


#: What one row of a file becomes.
Item = Row | Pair | Document


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows with one set of columns are read. ``read`` gives None for a row left out, after
    telling the report why; ``format`` is '' where none can be read. ``unknown`` are columns
    that are not known, each with a hint; ``guessed`` says that their use was guessed. ``family``:
    'rows' (a query with its documents), 'graded' (one judged document of a query), 'pairs' or
    'documents'."""

    format: str
    read: Callable[[dict[str, Any], Report], Item | None]
    unknown: tuple[tuple[str, str], ...] = ()
    guessed: bool = False
    family: str = "rows"
    #: The column whose numbers decide between 'graded' and 'pairs', where they do.
    score: str | None = None
    #: Columns that are kept as they are, with the query or the pair.
    own: tuple[str, ...] = ()
