"""What a reranker trains on: a query with its relevant document and wrong ones, as texts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from workbench.auto.readable import UNREADABLE, spread_rows, tokens_of
from workbench.data.reader import DatasetReader
from workbench.data_check.lengths import TokenCounter
from workbench.errors import BadInput
from workbench.evaluation.candidates import (
    EmbeddingScorer,
    mine,
    own_candidates,
    reading,
    score_rows,
)
from workbench.evaluation.texts import join_documents
from workbench.mining.rules import below_positives
from workbench.models.load import cut
from workbench.recipes.train_kinds import TrainCandidatesRecipe
from workbench.training.rows import (
    Rows,
    Texts,
    TrainingRows,
    no_negatives,
    passes,
    training_table,
    without_itself,
)
from workbench.training.trainer import Read, Tokens

#: Wrong documents are drawn from the first stage's best so many; the very first ones alone would
#: often be right ones that nobody judged.
DEPTH = 30
#: With this many negatives or more, the last one is drawn from all documents: else the model only
#: ever sees documents that look alike.
WITH_RANDOM = 4


@dataclass(frozen=True, slots=True)
class Teacher:
    """An embedding model that says what is an answer, and what counts its tokens, where its
    tokenizer has a file."""

    name: str
    model: Any
    counter: TokenCounter | None = None

    def unknown(self, reader: DatasetReader, documents: Collection[int]) -> float:
        """The share of these documents' tokens that it does not know; by some of them."""
        if self.counter is None:
            return 0.0
        rows = sorted(documents)
        some = [rows[at] for at in spread_rows(len(rows))]
        texts = join_documents(reader.documents_at(some), self.model.contract).to_pylist()
        return tokens_of(self.counter, texts, "")[0].unknown


def candidate_rows(
    reader: DatasetReader,
    recipe: TrainCandidatesRecipe,
    encoder: Any,
    teacher: Teacher | None = None,
    **reports: Any,
) -> TrainingRows:
    """The training split with ``recipe.negatives`` wrong documents per row, others in each epoch.

    Those that the data gives come first, then those that the first stage finds, but for what a
    ``teacher`` takes for an answer. Raises :class:`BadInput` when there is nothing to learn from.
    """
    draws = passes(reader, recipe)
    table, judged = training_table(reader, recipe, negatives=recipe.negatives * draws)
    relevant, itself = no_negatives(reader, judged)
    found, origin = mine(
        reader,
        "train",
        k=max(DEPTH, recipe.negatives),
        seed=recipe.seed,
        first_stage=recipe.first_stage,
        encoder=encoder,
        **reports,
    )
    random = np.random.default_rng(recipe.seed)
    queries = table["query"].to_numpy().astype(np.int64)
    documents = int(reader.counts["documents"])
    given, gone = without_itself(queries.tolist(), table["negatives"].to_pylist(), itself)
    checked: tuple[str, ...] = ()
    answers: dict[int, set[int]] = {}
    if teacher is not None:
        asked = _some(np.unique(queries), recipe.seed)
        some = {query: found[query] for query in asked if query in found}
        kept, checked = no_answers(reader, some, judged, teacher, **reports)
        answers = {query: {*some[query]} - {*left} for query, left in kept.items()}
        found = {**found, **kept}
    width = recipe.negatives
    shut = {
        query: (relevant.get(query, []), answers.get(query, set())) for query in queries.tolist()
    }
    chosen = [
        _choose(own, found.get(query, []), *shut[query], documents, recipe, random)
        for draw in range(draws)
        for query, own in zip(queries.tolist(), _turned(given, draw * width), strict=True)
    ]
    if any(len(one) < width for one in chosen):
        raise BadInput(
            f"The data set has too few documents for {width} wrong ones per query.",
            "Lower negatives, or add documents.",
        )
    positives = table["positive"].to_numpy().astype(np.int64)
    note = f"Negatives come from: {origin}." if origin else ""
    notes = ((note,) if note else ()) + checked + gone
    # From draw after draw to row after row, each with its draws side by side.
    drawn = np.array(chosen, dtype=np.int64).reshape(draws, len(queries), width)
    negatives = drawn.transpose(1, 0, 2).reshape(len(queries), draws * width)
    return TrainingRows(queries, positives, negatives, relevant, notes, draws)


#: The teacher checks what was found for so many queries: every document of it is encoded.
MOST_CHECKED = 20_000
#: A teacher that takes more of what was found for answers cannot tell them apart: it may not know
#: the language.
MOST_ANSWERS = 0.5


def no_answers(
    reader: DatasetReader,
    found: Mapping[int, Sequence[int]],
    relevant: Mapping[int, Sequence[int]],
    teacher: Teacher,
    **reports: Any,
) -> tuple[dict[int, list[int]], tuple[str, ...]]:
    """Of what was ``found`` for training queries (query -> documents), what is probably no answer:
    the teacher scores it below the query's ``relevant`` documents by a share (see
    :func:`workbench.mining.rules.below_positives`). The data's own candidates stay whatever their
    score. With it a remark. Nothing is left out by a teacher that cannot read the texts, and where
    more than half would be.
    """
    own = own_candidates(reader.candidates("train"))
    checked = {
        query: others
        for query, documents in found.items()
        if relevant.get(query)
        and (others := [one for one in documents if one not in own.get(query, ())])
    }
    if not checked:
        return {}, ()
    unknown = teacher.unknown(reader, {one for documents in checked.values() for one in documents})
    if unknown >= UNREADABLE:
        return {}, (UNREAD.format(teacher.name, unknown),)
    pairs = [
        (query, document)
        for query, documents in checked.items()
        for document in dict.fromkeys([*documents, *relevant[query]])
    ]
    scores = _scored(reader, pairs, teacher.model, reports)
    below = below_positives(
        {
            query: (documents, [scores[query, one] for one in documents])
            for query, documents in checked.items()
        },
        {query: min(scores[query, one] for one in relevant[query]) for query in checked},
        most=max(map(len, checked.values())),
    )
    gone = {query: {*documents} - {*below.get(query, ())} for query, documents in checked.items()}
    count, total = sum(map(len, gone.values())), sum(map(len, checked.values()))
    if count > MOST_ANSWERS * total:
        return {}, (UNFIT.format(teacher.name, count / total),)
    kept = {query: [one for one in found[query] if one not in left] for query, left in gone.items()}
    return kept, (LEFT_OUT.format(count, total, len(checked), teacher.name),) if count else ()


LEFT_OUT = (
    "{0:,} of {1:,} documents that the first stage found for {2:,} training queries were left out: "
    "{3} scores them within 5% of a relevant document or higher, so they are probably answers that "
    "nobody judged."
)
UNFIT = (
    "{0} takes {1:.0%} of what the first stage found for answers, so it cannot tell them apart "
    "here and none was left out; name another teacher."
)


UNREAD = (
    "{0} does not know {1:.0%} of the documents' tokens, so it cannot tell whether what the first "
    "stage found are answers, and none was left out; name another teacher."
)


def _some(queries: Rows, seed: int) -> list[int]:
    """These queries, or so many of them as a teacher checks."""
    if len(queries) > MOST_CHECKED:
        queries = np.random.default_rng(seed).choice(queries, MOST_CHECKED, replace=False)
    chosen: list[int] = np.sort(queries).tolist()
    return chosen


def _scored(
    reader: DatasetReader, pairs: Sequence[tuple[int, int]], model: Any, reports: dict[str, Any]
) -> dict[tuple[int, int], float]:
    """The model's similarity of each query and document."""
    table = reader.queries("train")
    texts = dict(zip(table["row"].to_pylist(), table["text"].to_pylist(), strict=True))
    queries = list(dict.fromkeys(query for query, _ in pairs))
    place = {query: at for at, query in enumerate(queries)}
    places = np.array([place[query] for query, _ in pairs], np.int64)
    documents = np.array([document for _, document in pairs], np.int64)
    asked = [texts[query] for query in queries]
    scores = score_rows(
        EmbeddingScorer(model), asked, reading(reader), places, documents, **reports
    )
    return dict(zip(pairs, scores.tolist(), strict=True))


def _turned(given: Sequence[list[int]], by: int) -> list[list[int]]:
    """Each row's own negatives, begun so many places later."""
    return [own[by % len(own) :] + own[: by % len(own)] if own else own for own in given]


def _choose(
    own: Sequence[int],
    found: Sequence[int],
    relevant: Sequence[int],
    answers: Collection[int],
    documents: int,
    recipe: TrainCandidatesRecipe,
    random: np.random.Generator,
) -> list[int]:
    """A row's wrong documents. ``answers``: those that are probably right; they are drawn only
    where there are no others."""
    width = recipe.negatives
    taken = list(dict.fromkeys(own))[:width]
    by_chance = 1 if not taken and width >= WITH_RANDOM and recipe.first_stage != "given" else 0
    rest = [one for one in found if one not in taken]
    wanted = max(0, width - len(taken) - by_chance)
    if len(rest) > wanted:
        rest = [rest[at] for at in np.sort(random.choice(len(rest), wanted, replace=False))]
    taken += rest
    for unwanted in (answers, ()):
        shut = {*taken, *relevant, *unwanted}
        while len(taken) < width and len(shut) < documents:
            document = int(random.integers(documents))
            if document not in shut:
                shut.add(document)
                taken.append(document)
    return taken


class Document(str):
    """A document's text, with the tokens of the pair that it is read in with a query."""

    __slots__ = ("query", "tokens")

    query: str
    tokens: Read

    @classmethod
    def of(cls, text: str, query: str, tokens: Read) -> "Document":
        made = cls(text)
        made.query, made.tokens = query, tokens
        return made


class PairCollator:
    """A batch of rows as texts: the losses of rerankers ask the model for the tokens of pairs.

    Pairs are tokenized here, once while there is room, and the model given to ``__init__`` finds
    them with their documents: see :class:`Document`. ``query``: tokens of a query that are read.
    ``listwise`` gives each query its list of documents and labels; else every pair stands alone.
    """

    valid_label_columns: Sequence[str] = ("label",)

    def __init__(
        self,
        model: Any,
        queries: Texts,
        documents: Texts,
        *,
        query: int,
        listwise: bool,
        right: float = 1.0,
    ) -> None:
        self.model = model
        self.queries = queries
        self.documents = documents
        self.query = query
        self.listwise = listwise
        self.right = right
        self._whole = type(model).preprocess
        self.tokens = Tokens(self._read, model.tokenizer)

        # A function, which deepcopy leaves alone: a method would bring the texts along.
        def preprocess(inputs: Any, prompt: Any = None, **options: Any) -> Any:
            return self._tokenized(model, inputs, prompt, **options)

        model.preprocess = preprocess

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        rows: list[Rows] = [np.array([*feature.values()], dtype=np.int64) for feature in features]
        asked = self.queries.get([int(row[0]) for row in rows])
        queries = cut(self.model.tokenizer, asked, self.query)
        documents = self._documents(rows, queries)
        labels = [[self.right] + [0.0] * (len(one) - 1) for one in documents]
        if self.listwise:
            return {
                "query": queries,
                "documents": documents,
                "label": [torch.tensor(one) for one in labels],
            }
        return {
            "query": [query for query, one in zip(queries, documents, strict=True) for _ in one],
            "document": [text for one in documents for text in one],
            "label": torch.tensor([label for one in labels for label in one]),
        }

    def _documents(self, rows: list[Rows], queries: list[str]) -> list[list[str]]:
        """Each row's documents, with the tokens of their pairs where these can stand alone."""
        found = [self.documents.get(row[1:].tolist()) for row in rows]
        names = [(int(row[0]), document) for row in rows for document in row[1:].tolist()]
        pairs = [(query, text) for query, one in zip(queries, found, strict=True) for text in one]
        apart = self.tokens.apart(names, lambda: pairs)
        if apart is None:
            return found
        made = iter(
            Document.of(text, query, tokens)
            for (query, text), tokens in zip(pairs, apart, strict=True)
        )
        return [list(islice(made, len(one))) for one in found]

    def _read(self, pairs: list[Any]) -> dict[str, Any]:
        return dict(self._whole(self.model, pairs))

    def _tokenized(self, model: Any, inputs: Any, prompt: Any, **options: Any) -> Any:
        """The model's ``preprocess``, which finds the tokens of pairs that were read here."""
        plain = prompt is None and not any(one is not None for one in options.values())
        if plain and all(
            isinstance(pair, tuple) and isinstance(pair[1], Document) and pair[1].query == pair[0]
            for pair in inputs
        ):
            return self.tokens.batch([document.tokens for _, document in inputs])
        return self._whole(model, inputs, prompt=prompt, **options)
