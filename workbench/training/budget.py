"""How often a run is measured on dev, and on how much of it: at most a fifth of the run's work.

Work is counted in tokens, not in seconds: so a recipe decides the same on every machine, and a
resumed run as its first attempt did. Torch-free.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pyarrow.compute as pc

from workbench.data.reader import DatasetReader
from workbench.evaluation.texts import join_documents
from workbench.models.contract import Contract
from workbench.plurals import counted
from workbench.recipes.describe import describe
from workbench.recipes.train import TrainRecipe
from workbench.training.batches import expected
from workbench.training.prepare import rows_of
from workbench.training.rows import in_columns

#: Dev's share of the work, measuring before the first step and after the last included.
SHARE = 0.2
#: Times that what is measured is encoded: a token trained on is read forwards, and its gradient
#: takes twice that; a batch in parts (GradCache) is read once more.
TRAINED, IN_PARTS = 3, 4
#: A run's curve has so many points before dev itself is made smaller.
LOOKS = 4
#: Below these dev would say nothing: it stays as large even where that is above the share.
LEAST_QUERIES, LEAST_DOCUMENTS, LEAST_CANDIDATES = 50, 100, 10
#: Measured besides the looks during training: the model before it, and the saved one.
AROUND = 2

#: Of English and of code; what does not fit cancels out, since both sides are counted alike.
BYTES_PER_TOKEN = 4
#: What a tokenizer puts around a text.
MARKS = 2
#: A picture of 224 x 224 in patches of 32.
PICTURE_TOKENS = 50
#: Documents whose lengths are looked at.
SAMPLE = 2000


@dataclass(frozen=True, slots=True)
class Sizes:
    """What dev asks and of what; ``candidates`` for each query where a first stage gives some."""

    queries: int
    documents: int
    candidates: int

    def applied(self, recipe: Any) -> Any:
        """The recipe with these where it says nothing itself; where there is less than a field
        allows, with the field's least, and all that there is gets measured."""
        least = {spec.name: int(spec.minimum or 0) for spec in describe(type(recipe))}
        sizes = {name: max(size, least[name]) for name, size in self.fields(recipe).items()}
        return recipe.model_copy(update=sizes)

    def fields(self, recipe: Any) -> dict[str, int]:
        """The recipe's fields for them, with what it says itself."""
        sizes = {
            "dev_queries": self.queries,
            "dev_documents": self.documents,
            "candidates": self.candidates,
        }
        return {
            name: getattr(recipe, name) or size
            for name, size in sizes.items()
            if hasattr(recipe, name)
        }


@dataclass(frozen=True, slots=True)
class DevPlan:
    """When a run of so many steps is measured on dev, and on how much of it."""

    sizes: Sizes
    #: Times in training, its last step among them, unless ``every`` says after how many steps.
    most: int
    every: int | None
    #: The work of all measuring, as a share of the work of training.
    share: float
    #: What is measured, with a place for how often, and what it takes; '' where that is all that
    #: was wished for.
    what: str = ""
    why: str = ""

    def eval_steps(self, steps: int) -> int:
        """Steps between two looks in a run of so many."""
        return self.every or math.ceil(steps / self.most)

    def looks(self, steps: int) -> int:
        """How often a run of so many steps is measured while it trains."""
        return math.ceil(steps / self.eval_steps(steps))

    def notes(self, steps: int) -> tuple[str, ...]:
        """What is to be said of a run of so many steps."""
        times = counted(self.looks(steps), "time")
        return (f"{self.what.format(times)} {self.why}",) if self.what else ()


def plan(
    reader: DatasetReader, recipe: TrainRecipe, contract: Contract, devices: int
) -> DevPlan | None:
    """What a run of this recipe measures on dev; None where there is no dev to measure.

    ``contract`` is the base model's, at whose lengths dev is read. What the recipe says is done as
    it says. Else there are fewer looks, then fewer queries, documents and candidates, then fewer
    looks still, until all of them together come to a fifth of training's work.
    """
    if not rows_of(reader, recipe, "dev"):
        return None
    run = _Run(reader, recipe, contract, devices)
    looks, sizes = next((one for one in run.ways() if run.share(*one) <= SHARE), run.least)
    share = run.share(looks, sizes)
    if (looks, sizes) == run.most and share <= SHARE:
        return DevPlan(sizes, looks, recipe.eval_steps, share)
    return DevPlan(sizes, looks, recipe.eval_steps, share, run.what(sizes), run.why(share))


class _Run:
    """A run's work on both sides, and the ways to measure it."""

    def __init__(
        self, reader: DatasetReader, recipe: TrainRecipe, contract: Contract, devices: int
    ) -> None:
        self.recipe = recipe
        self.split = rows_of(reader, recipe, "dev")
        self.documents = self.split if recipe.on_pairs else int(reader.counts["documents"])
        #: Documents judged for a query: dev holds them all.
        self.judged = 0.0 if recipe.on_pairs else reader.judgments("dev").num_rows / self.split
        self.steps, self.training = training_work(reader, recipe, contract, devices)
        self.read = _lengths(reader, recipe, contract, "dev", contract)

    @property
    def most(self) -> tuple[int, Sizes]:
        """Looks in training and what is looked at, as the recipe says or as is wished for."""
        every, wished = self.recipe.eval_steps, min(self.recipe.evaluations, self.steps)
        return math.ceil(self.steps / every) if every else wished, self._sized(100)

    @property
    def least(self) -> tuple[int, Sizes]:
        return self.most[0] if self.recipe.eval_steps else 1, self._sized(0)

    def ways(self) -> Iterator[tuple[int, Sizes]]:
        """Looks in training and what is looked at, the best first."""
        most, least = self.most[0], self.least[0]
        # So that a run that shall stop early can.
        kept = max(least, min(most, max(LOOKS, self.recipe.early_stopping + 1)))
        for looks in range(most, kept, -1):
            yield looks, self._sized(100)
        for looks in range(kept, least - 1, -1):
            for percent in range(100, -1, -1):
                yield looks, self._sized(percent)

    def share(self, looks: int, sizes: Sizes) -> float:
        """What so many looks at so much take, as a share of the work of training."""
        return (looks + AROUND) * self._look(sizes) / self.training

    def what(self, sizes: Sizes) -> str:
        """What is measured, with a place for how often."""
        asked = counted(sizes.queries, "query", "queries")
        if self.recipe.on_pairs:
            pairs = counted(sizes.documents, "pair")
            return f"Dev is measured {{}} in training, on {pairs}."
        if hasattr(self.recipe, "candidates"):
            candidates = counted(sizes.candidates, "candidate")
            return f"Dev is measured {{}} in training, on {asked} with {candidates} each."
        documents = counted(sizes.documents, "document")
        return f"Dev is measured {{}} in training, on {asked} over {documents}."

    def why(self, share: float) -> str:
        """What that takes, and why it is no less."""
        percent = round(share * 100)
        if share <= SHARE:
            return f"That takes about {percent:,}% of the work of training, of at most a fifth."
        names = ("eval_steps", *self._read)
        given = [name for name in names if getattr(self.recipe, name)]
        if given:
            return (
                f"That takes about {percent:,}% of the work of training, more than a fifth, "
                f"because of {', '.join(given)}; left empty, no more is measured than fits or "
                "tells something."
            )
        return (
            f"That takes about {percent:,}% of the work of training, more than a fifth: the run is "
            "short, and less would tell nothing."
        )

    def _sized(self, percent: int) -> Sizes:
        """Dev at so many hundredths of its size; what the recipe says stays."""
        recipe = self.recipe

        def part(given: int | None, wished: int, there: int, least: int) -> int:
            if given:
                return min(given, there)
            return min(max(round(wished * percent / 100), least), wished, there)

        queries = part(recipe.dev_queries, recipe.most_dev_queries, self.split, LEAST_QUERIES)
        # At least half of the documents are judged for none of the queries.
        least = max(LEAST_DOCUMENTS, math.ceil(2 * self.judged * queries))
        return Sizes(
            queries,
            part(recipe.dev_documents, recipe.most_dev_documents, self.documents, least),
            part(
                getattr(recipe, "candidates", None),
                recipe.most_candidates,
                self.documents,
                LEAST_CANDIDATES,
            ),
        )

    @property
    def _read(self) -> tuple[str, ...]:
        """The fields that say how much a look reads."""
        if self.recipe.on_pairs:
            return ("dev_documents",)
        ranks = hasattr(self.recipe, "candidates")
        return "dev_queries", "candidates" if ranks else "dev_documents"

    def _look(self, sizes: Sizes) -> float:
        """Tokens that one look reads."""
        query, document = self.read.query, self.read.document
        if self.recipe.on_pairs:
            return sizes.documents * (query + document)
        if not hasattr(self.recipe, "candidates"):
            judged = min(self.documents, self.judged * sizes.queries)
            documents = max(sizes.documents, judged)
            return sizes.queries * query + documents * document
        pairs = sizes.queries * sizes.candidates
        if self.recipe.model_kind.reads_pairs:
            return pairs * (query + document)
        # Each document is read once, whoever's candidate it is.
        return sizes.queries * query + min(pairs, self.documents) * document


def training_work(
    reader: DatasetReader, recipe: TrainRecipe, contract: Contract, devices: int
) -> tuple[int, float]:
    """About how many steps a run takes, and its work in tokens encoded."""
    steps, rows = _steps(reader, recipe, devices)
    trained = _lengths(reader, recipe, contract, "train", recipe)
    return steps, rows * _row(recipe, trained, _negatives(reader, recipe))


def _steps(reader: DatasetReader, recipe: TrainRecipe, devices: int) -> tuple[int, float]:
    """About how many steps the run takes, and how many rows it sees in them."""
    rows, batches = _epoch(reader, recipe, devices)
    each = math.ceil(batches / devices / recipe.gradient_accumulation)
    if recipe.max_steps:
        step = min(rows, recipe.batch_size * devices * recipe.gradient_accumulation)
        return recipe.max_steps, recipe.max_steps * min(step, rows / each)
    return math.ceil(recipe.epochs * each), recipe.epochs * rows


def _epoch(reader: DatasetReader, recipe: TrainRecipe, devices: int) -> tuple[int, int]:
    """Rows and batches of an epoch, as the run will make them, or nearly."""
    if recipe.on_pairs:
        found = np.arange(rows_of(reader, recipe, "train"))[:, None]
    else:
        judged = reader.judgments("train")
        judged = judged.filter(pc.greater_equal(judged["grade"], 1))
        found = np.stack([judged[name].to_numpy() for name in ("query", "document")], axis=1)
    if recipe.max_rows and recipe.max_rows < len(found):
        random = np.random.default_rng(recipe.seed)
        found = found[random.choice(len(found), recipe.max_rows, replace=False)]
    if not recipe.in_batch or not len(found):
        return max(1, len(found)), max(1, math.ceil(len(found) / recipe.batch_size))
    together = devices if getattr(recipe, "negatives_cross_device", False) else 1
    least = max(together, 2 if recipe.needs_other_rows(_fewest(reader, recipe)) else 1)
    rows, batches = expected(found[:, 0], found[:, 1], recipe.batch_size * together, least)
    return max(1, rows), max(1, batches * together)


def _fewest(reader: DatasetReader, recipe: TrainRecipe) -> int:
    """Negatives of the row that has the fewest."""
    asked = int(getattr(recipe, "negatives", 0))
    if not asked or recipe.on_pairs:
        return 0
    given = pc.value_counts(reader.candidates("train")["query"]).field("counts").to_numpy()
    if len(given) < int(reader.counts["splits"]["train"]):
        return 0
    return min(asked, int(given.min(initial=0)))


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a query and of a document, on average."""

    query: float
    document: float


class Cut(Protocol):
    """What says after how many tokens texts are cut: a recipe, or a contract."""

    @property
    def query_max_len(self) -> int: ...
    @property
    def passage_max_len(self) -> int: ...


def _lengths(
    reader: DatasetReader, recipe: TrainRecipe, contract: Contract, split: str, cut: Cut
) -> Lengths:
    if not recipe.on_pairs:
        found = lengths_read(reader, contract, split, cut, recipe.seed)
        return (
            replace(found, document=PICTURE_TOKENS) if recipe.model_kind.reads_pictures else found
        )
    pairs = reader.pairs(split)
    query = _mean(pairs["left"], contract.query_prompt, cut.query_max_len)
    return Lengths(query, _mean(pairs["right"], contract.document_prompt, cut.passage_max_len))


def lengths_read(
    reader: DatasetReader, contract: Contract, split: str, cut: Cut, seed: int
) -> Lengths:
    """Of a split's queries, and of some documents, which the seed chooses."""
    queries, documents = reader.queries(split)["text"], _some(reader, contract, seed)
    query = _mean(queries, contract.query_prompt, cut.query_max_len)
    return Lengths(query, _mean(documents, contract.document_prompt, cut.passage_max_len))


def _some(reader: DatasetReader, contract: Contract, seed: int) -> Any:
    """Texts of some documents, chosen by the seed."""
    total = int(reader.counts["documents"])
    random = np.random.default_rng(seed)
    rows = np.sort(random.choice(total, min(SAMPLE, total), replace=False))
    return join_documents(reader.documents_at(rows.tolist(), ["title", "text"]), contract)


def _mean(texts: Any, prompt: str, limit: int) -> float:
    """Tokens of a text, cut at ``limit``."""
    found = pc.fill_null(pc.binary_length(texts), 0).to_numpy()
    counts = (found + len(prompt.encode())) / BYTES_PER_TOKEN + MARKS
    return float(np.minimum(counts, limit).mean()) if len(counts) else float(MARKS)


def _row(recipe: TrainRecipe, lengths: Lengths, width: float) -> float:
    """Work of a training row with so many negatives, in tokens encoded."""
    documents = 1 + width
    each = TRAINED
    if recipe.chosen_objective.in_parts and recipe.in_batch:
        each = IN_PARTS
    queries = documents if recipe.model_kind.reads_pairs else 1
    return each * (queries * lengths.query + documents * lengths.document)


def _negatives(reader: DatasetReader, recipe: TrainRecipe) -> float:
    """Of each row on average: as many as asked for where others are found for it or it is filled
    up, else as the data gives."""
    asked = int(getattr(recipe, "negatives", 0))
    if recipe.on_pairs:
        return 0
    if recipe.model_kind.reads_pairs or not asked:
        return asked
    given = pc.value_counts(reader.candidates("train")["query"]).field("counts").to_numpy()
    queries = int(reader.counts["splits"]["train"])
    if in_columns(recipe, queries):
        return min(asked, int(given.max(initial=0)))
    return float(np.minimum(given, asked).sum()) / max(queries, 1)
