"""What a measurement asks and searches: queries, their judgments, and blocks of documents."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, zip_longest
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.comparison.table import EXCLUDED, STAYED
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.evaluation.exact_search import Run, to_the_left
from workbench.evaluation.metrics import Judgments
from workbench.evaluation.own_document import AUTO, own_documents
from workbench.evaluation.pictures import Turned

Rows = NDArray[np.int64]

#: Documents whose vectors are in memory at once: 10,000 of 1,024 dimensions take 40 MB.
BLOCK = 10_000
#: Of what stands for the whole data set.
_SEED = 0


@dataclass(frozen=True)
class Pool:
    """Queries (n,) rows and texts, what is relevant to them, and the documents to search.

    ``blocks`` starts a new pass over (rows, table with title and text).
    """

    queries: Rows
    texts: list[str]
    judgments: Judgments
    documents: int
    blocks: Callable[[], Iterator[tuple[Rows, Any]]]
    #: Computed when first needed: every document's place among all ids in ascending order.
    places: Callable[[], Rows]
    #: (n,) rows of the queries' own documents, which are left out of their rankings; -1 where there
    #: is none. None: no query has one.
    own: Rows | None = None
    #: Queries whose own document stays, because it is judged relevant to them.
    own_relevant: int = 0

    @cached_property
    def _places(self) -> Rows:
        return self.places()

    def order(self, rows: Rows) -> Rows:
        """Document rows -> their place among all ids in ascending order."""
        return self._places[rows]

    @property
    def left_out(self) -> int:
        """How many queries have a document of their own that is left out of their ranking."""
        return 0 if self.own is None else int((self.own >= 0).sum())

    def depth(self, k: int) -> int:
        """How deep to search for ``k`` documents to be left by :meth:`without_own`."""
        return k + 1 if self.left_out else k

    def without_own(self, run: Run, k: int) -> Run:
        """The first ``k`` documents of each query (n, at most k), its own document aside."""
        if self.own is None or not self.left_out:
            return run
        documents = np.where(run.documents == self.own[:, None], -1, run.documents)
        return to_the_left(Run(documents, run.scores), k)

    def asking(self, places: Sequence[int]) -> "Pool":
        """The pool with the queries at these places alone."""
        own = None if self.own is None else self.own[places]
        texts = [self.texts[at] for at in places]
        return replace(self, queries=self.queries[places], texts=texts, own=own)


def whole_pool(
    reader: DatasetReader | Turned,
    split: str,
    *,
    max_queries: int | None = None,
    seed: int = 0,
    judged_only: bool = True,
    exclude: str = AUTO,
) -> Pool:
    """A split's judged queries against all documents of the data set.

    ``judged_only=False`` asks the others too, for candidates to train on. ``exclude`` is the
    recipes' switch ``exclude_query_document``. Raises
    :class:`BadInput` when the split has no query with a relevant document.
    """
    judgments = read_judgments(reader, split)
    queries = (
        _judged_queries(reader, split, judgments, max_queries, seed)
        if judged_only
        else _fewer(reader.queries(split), max_queries, seed)
    )
    return over_corpus(reader, queries, judgments, exclude)


def over_corpus(
    reader: DatasetReader | Turned, queries: Any, judgments: Judgments, exclude: str = AUTO
) -> Pool:
    """These queries (a table with row, id and text) against all documents of the data set."""
    own, own_relevant = own_documents(reader, queries, judgments, exclude)
    return Pool(
        queries=queries["row"].to_numpy().astype(np.int64),
        texts=queries["text"].to_pylist(),
        judgments=judgments,
        documents=int(reader.counts["documents"]),
        blocks=lambda: _all_blocks(reader),
        places=lambda: _all_places(reader),
        own=own,
        own_relevant=own_relevant,
    )


class Measuring(Protocol):
    """What recipes that measure say of the queries."""

    @property
    def max_queries(self) -> int | None: ...
    @property
    def seed(self) -> int: ...
    @property
    def exclude_query_document(self) -> str: ...


def asked_pool(reader: DatasetReader | Turned, split: str, recipe: Measuring) -> Pool:
    """The whole pool that a recipe asks for."""
    return whole_pool(
        reader,
        split,
        max_queries=recipe.max_queries,
        seed=recipe.seed,
        exclude=recipe.exclude_query_document,
    )


def dev_pool(
    reader: DatasetReader,
    *,
    max_queries: int | None,
    max_documents: int | None,
    seed: int,
    exclude: str = AUTO,
    split: str = "dev",
) -> Pool:
    """A fixed, small pool that dev evaluations during training can afford.

    The documents are those judged for the chosen queries, then the queries' given candidates (they
    are the hard ones), then others by chance, up to ``max_documents`` in all; None sets no limit.
    """
    judgments = read_judgments(reader, split)
    queries = _judged_queries(reader, split, judgments, max_queries, seed)
    rows = queries["row"].to_numpy().astype(np.int64)
    chosen = _pool_documents(reader, split, rows, judgments, max_documents, seed)
    return over_documents(reader, queries, judgments, chosen, exclude)


def small_pool(reader: DatasetReader, split: str, *, queries: int, documents: int) -> Pool:
    """Never more documents than that, however many are judged: two ways to compute a model can
    then be compared in little time.

    Of each query's judged documents it has as many as all queries leave room for, relevant ones
    and others in turn; what was judged of the rest is as if it were not there. Raises
    :class:`BadInput` when the split has no query with a relevant document.
    """
    judgments = read_judgments(reader, split)
    asked = _judged_queries(reader, split, judgments, queries, _SEED)
    rows = asked["row"].to_numpy().astype(np.int64)
    few = _few_judged(rows, judgments, documents // len(rows))
    chosen = _pool_documents(reader, split, rows, few, documents, _SEED)
    there = set(chosen.tolist())
    inside = {
        query: {one: grade for one, grade in judgments[query].items() if one in there}
        for query in rows.tolist()
    }
    return over_documents(reader, asked, inside, chosen, AUTO)


def _few_judged(rows: Rows, judgments: Judgments, most: int) -> Judgments:
    """The same of at most so many documents of each query, chosen by chance."""
    random = np.random.default_rng(_SEED)
    found = {}
    for query in rows.tolist():
        judged = judgments[query]
        relevant = random.permutation([one for one, grade in judged.items() if grade >= 1])
        others = random.permutation([one for one, grade in judged.items() if grade < 1])
        in_turn = chain.from_iterable(zip_longest(relevant.tolist(), others.tolist()))
        some = [one for one in in_turn if one is not None][:most]
        found[query] = {one: judged[one] for one in some}
    return found


def over_documents(
    reader: DatasetReader, queries: Any, judgments: Judgments, chosen: Rows, exclude: str = AUTO
) -> Pool:
    """These queries (a table with row, id and text) against the documents at the chosen rows."""
    table = reader.documents_at(chosen.tolist())
    # Rows are those of the whole data set, so the places are laid out over all of them.
    places = np.zeros(int(reader.counts["documents"]), dtype=np.int64)
    places[chosen] = pc.rank(table["id"], tiebreaker="first").to_numpy()
    own, own_relevant = own_documents(reader, queries, judgments, exclude)
    return Pool(
        queries=queries["row"].to_numpy().astype(np.int64),
        texts=queries["text"].to_pylist(),
        judgments=judgments,
        documents=len(chosen),
        blocks=lambda: iter([(chosen, table)]),
        places=lambda: places,
        own=own,
        own_relevant=own_relevant,
    )


def excluding(pool: Pool) -> dict[str, int]:
    """What is on record of the documents that were left out of their own queries' rankings."""
    found = {EXCLUDED: pool.left_out, STAYED: pool.own_relevant}
    return {name: count for name, count in found.items() if count}


def read_judgments(reader: DatasetReader | Turned, split: str) -> dict[int, dict[int, int]]:
    table = reader.judgments(split)
    judgments: dict[int, dict[int, int]] = {}
    columns = (table[name].to_pylist() for name in ("query", "document", "grade"))
    for query, document, grade in zip(*columns, strict=True):
        judgments.setdefault(query, {})[document] = grade
    return judgments


def _judged_queries(
    reader: DatasetReader | Turned, split: str, judgments: Judgments, most: int | None, seed: int
) -> Any:
    table = reader.queries(split)
    relevant = [any(g >= 1 for g in judgments.get(row, {}).values()) for row in _rows(table)]
    table = table.filter(pa.array(relevant, pa.bool_()))
    if table.num_rows == 0:
        raise BadInput(
            f"The data set '{reader.name}' has no {split} queries with a relevant document.",
            "Choose another split, or import data that has one.",
        )
    return _fewer(table, most, seed)


def _fewer(table: Any, most: int | None, seed: int) -> Any:
    """At most that many rows, in their order, chosen by the seed."""
    if most is None or most >= table.num_rows:
        return table
    random = np.random.default_rng(seed)
    return table.take(pa.array(np.sort(random.choice(table.num_rows, most, replace=False))))


def _pool_documents(
    reader: DatasetReader,
    split: str,
    queries: Rows,
    judgments: Judgments,
    most: int | None,
    seed: int,
) -> Rows:
    total = int(reader.counts["documents"])
    most = total if most is None else most
    judged = np.array(sorted({one for q in queries for one in judgments[int(q)]}), dtype=np.int64)
    candidates = reader.candidates(split)
    asked = np.isin(candidates["query"].to_numpy(), queries)
    hard = np.unique(candidates["document"].to_numpy()[asked])
    random = np.random.default_rng(seed)
    chosen = judged
    for more in (hard, np.arange(total, dtype=np.int64)):
        new = np.setdiff1d(more, chosen)
        room = max(0, min(most - len(chosen), len(new)))
        chosen = np.union1d(chosen, random.choice(new, room, replace=False))
    return chosen.astype(np.int64)


def _all_blocks(reader: DatasetReader | Turned) -> Iterator[tuple[Rows, Any]]:
    start = 0
    for table in reader.iter_documents(batch=BLOCK):
        yield np.arange(start, start + table.num_rows, dtype=np.int64), table
        start += table.num_rows


def _all_places(reader: DatasetReader | Turned) -> Rows:
    parts = [_ids(table) for table in reader.iter_documents(batch=BLOCK)]
    ids = pa.chunked_array(parts, type=parts[0].type)
    return pc.rank(ids, tiebreaker="first").to_numpy().astype(np.int64)


def _ids(table: Any) -> Any:
    column = table["id"]
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _rows(table: Any) -> Sequence[int]:
    return table["row"].to_pylist()
