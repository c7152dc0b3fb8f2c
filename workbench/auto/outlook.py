"""What can be said of a look before a job is started (``train --check``): how much of the texts the
base can read, how long they are, and what BM25 is worth; and what training may gain, where such a
look was taken already. No model is loaded. Torch-free."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from workbench.auto.forecast import expectation
from workbench.auto.look import unreadable
from workbench.auto.look_pool import everywhere, judged
from workbench.auto.readable import UNREADABLE, Texts, Tokens, unknown_share
from workbench.auto.take import kept_look
from workbench.comparison import trained
from workbench.comparison.names import DEPTH, HEADLINE
from workbench.data.reader import DatasetReader
from workbench.data_check.lengths import counter_of
from workbench.errors import BadInput
from workbench.evaluation.bm25 import retrieve_bm25
from workbench.evaluation.measure import score
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel, resolve
from workbench.plurals import counted
from workbench.recipes.train import TrainRecipe
from workbench.workspace import Workspace

#: Queries that BM25 is asked.
QUERIES = 500

LOOKS_FIRST = "The run looks at your data before it trains, and then says what to expect."


@dataclass(frozen=True, slots=True)
class Outlook:
    """Of the judged queries of train and dev."""

    queries: int
    #: Relevant documents of a query on average, and the share of queries that have several.
    positives: float
    several: float
    #: MAP@100 of BM25, over so many documents.
    bm25: float
    documents: int
    #: In the base's tokens; None where its tokenizer has no file on this machine.
    query_tokens: Tokens | None
    document_tokens: Tokens | None
    language: str
    #: Whether the run takes a look, and what one that was taken already made expect.
    looks: bool = False
    forecast: dict[str, float] | None = None

    @property
    def unknown(self) -> float:
        """The share of tokens unknown to the base."""
        return unknown_share(self.query_tokens, self.document_tokens)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "unknown": self.unknown, "warnings": self.warnings()}

    def warnings(self) -> list[str]:
        if self.unknown < UNREADABLE:
            return []
        return [unreadable(self.unknown, self.language, self.bm25)]

    def lines(self) -> list[str]:
        """For people."""
        each = f"{self.positives:.3g} relevant documents each on average"
        found = [
            f"{counted(self.queries, 'judged query', 'judged queries')} in train and dev, {each}",
            f"BM25 alone: MAP@100 {self.bm25:.3f} over {counted(self.documents, 'document')}",
        ]
        tokens = {"queries": self.query_tokens, "documents": self.document_tokens}
        for name, one in tokens.items():
            if one:
                found.append(
                    f"{name}: median {one.median} tokens, 90% have at most {one.p90}; "
                    f"{one.unknown:.1%} of the tokens are unknown to the model"
                )
        if self.looks:
            found.append(trained.expected({"forecast": self.forecast}) or LOOKS_FIRST)
        return [*found, *(f"! {one}" for one in self.warnings())]


def before(workspace: Workspace, recipe: TrainRecipe) -> Outlook | None:
    """The outlook of a run; None for what a look is not for: other kinds of models, scored pairs,
    and data without judged queries."""
    if recipe.kind != "embedding" or recipe.on_pairs:
        return None
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    model = resolve(workspace, recipe.model, recipe.kind)
    try:
        found = outlook(reader, model, model.contract or Contract(), recipe.seed)
    except BadInput:
        return None  # Training says what is lacking.
    if not recipe.decides:
        return found
    forecast = _forecast(workspace, recipe, reader, model)
    return replace(found, looks=True, forecast=forecast)


def _forecast(
    workspace: Workspace, recipe: TrainRecipe, reader: DatasetReader, model: ResolvedModel
) -> dict[str, float] | None:
    """By the look that the run would find in the home; None where it has to take one first."""
    look = kept_look(workspace, recipe, reader, model)
    return expectation(workspace, recipe, look.summary()) if look else None


def outlook(
    reader: DatasetReader, model: ResolvedModel, contract: Contract, seed: int = 0
) -> Outlook:
    """Raises :class:`BadInput` where train and dev have no judged query."""
    asked = judged(reader)
    relevant = np.array([len(one) for one in asked.relevant()])
    count = asked.table.num_rows
    random = np.random.default_rng(seed)
    some = asked.some(np.sort(random.permutation(count)[:QUERIES]))
    pool = everywhere(some, seed)
    bm25 = score(pool, retrieve_bm25(pool, k=DEPTH)).scores.values[HEADLINE]
    texts = Texts.of(reader, contract, counter_of(model))
    return Outlook(
        queries=count,
        positives=float(relevant.mean()),
        several=float((relevant > 1).mean()),
        bm25=float(bm25.mean()),
        documents=pool.documents,
        query_tokens=texts.queries,
        document_tokens=texts.documents,
        language=texts.language,
    )
