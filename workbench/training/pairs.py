"""What a reranker trains on: a query with its relevant document and wrong ones, as texts."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.evaluation.candidates import mine
from workbench.recipes.train_kinds import TrainCandidatesRecipe
from workbench.training.rows import (
    Rows,
    Texts,
    TrainingRows,
    no_negatives,
    training_table,
    without_itself,
)

#: Wrong documents are drawn from the first stage's best so many; the very first ones alone would
#: often be right ones that nobody judged.
DEPTH = 30
#: With this many negatives or more, the last one is drawn from all documents: else the model only
#: ever sees documents that look alike.
WITH_RANDOM = 4


def candidate_rows(
    reader: DatasetReader, recipe: TrainCandidatesRecipe, encoder: Any, **reports: Any
) -> TrainingRows:
    """The training split with ``recipe.negatives`` wrong documents per row (n, m).

    Those that the data gives come first, then those that the first stage finds. Raises
    :class:`BadInput` when there is nothing to learn from.
    """
    table, judged = training_table(reader, recipe, negatives=recipe.negatives)
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
    chosen = [
        _choose(own, found.get(query, []), relevant.get(query, []), documents, recipe, random)
        for query, own in zip(queries.tolist(), given, strict=True)
    ]
    width = recipe.negatives
    if any(len(one) < width for one in chosen):
        raise BadInput(
            f"The data set has too few documents for {width} wrong ones per query.",
            "Lower negatives, or add documents.",
        )
    positives = table["positive"].to_numpy().astype(np.int64)
    note = f"Negatives come from: {origin}." if origin else ""
    notes = ((note,) if note else ()) + gone
    return TrainingRows(queries, positives, np.array(chosen, dtype=np.int64), relevant, notes)


def _choose(
    own: Sequence[int],
    found: Sequence[int],
    relevant: Sequence[int],
    documents: int,
    recipe: TrainCandidatesRecipe,
    random: np.random.Generator,
) -> list[int]:
    width = recipe.negatives
    taken = list(dict.fromkeys(own))[:width]
    by_chance = 1 if not taken and width >= WITH_RANDOM and recipe.first_stage != "given" else 0
    rest = [one for one in found if one not in taken]
    wanted = max(0, width - len(taken) - by_chance)
    if len(rest) > wanted:
        rest = [rest[at] for at in np.sort(random.choice(len(rest), wanted, replace=False))]
    taken += rest
    shut = {*taken, *relevant}
    while len(taken) < width and len(shut) < documents:
        document = int(random.integers(documents))
        if document not in shut:
            shut.add(document)
            taken.append(document)
    return taken


class PairCollator:
    """A batch of rows as texts: the losses of rerankers tokenize pairs themselves.

    ``listwise`` gives each query its list of documents and labels; else every pair stands alone.
    """

    valid_label_columns: Sequence[str] = ("label",)

    def __init__(
        self,
        queries: Texts,
        documents: Texts,
        cut: Callable[[Sequence[str]], list[str]],
        *,
        listwise: bool,
        right: float = 1.0,
    ) -> None:
        self.queries = queries
        self.documents = documents
        self.cut = cut
        self.listwise = listwise
        self.right = right

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        rows: list[Rows] = [np.array([*feature.values()], dtype=np.int64) for feature in features]
        queries = self.cut(self.queries.get([int(row[0]) for row in rows]))
        documents = [self.documents.get(row[1:].tolist()) for row in rows]
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
