"""The task 'mine': find negatives, score them, propose them. Nothing of the data set changes.

sentence-transformers' ``mine_hard_negatives`` has the same rules (and a test holds the two against
each other) but works on texts alone: it hands back no row numbers, normalises every model's
vectors, knows neither title nor length per role, draws without a seed, and cannot be stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data.reader import DatasetReader
from workbench.data.splits import SPLITS
from workbench.errors import BadInput, BadRecipe
from workbench.evaluation.cached import with_cache
from workbench.evaluation.candidates import as_scorer, find, reading, score_rows
from workbench.evaluation.exact_search import Run, cut
from workbench.evaluation.measure import Progress, Stop
from workbench.evaluation.named import BM25
from workbench.evaluation.own_document import NO, query_itself, same_words
from workbench.evaluation.pool import Pool, Rows, whole_pool
from workbench.jobs.reporting import JobContext
from workbench.mining.proposal import EARLIER, NEGATIVE, POSITIVE, SCHEMA, summary, write
from workbench.mining.rules import Chosen, Floats, Rules, TextKeys, choose, screen
from workbench.models.locate import locate
from workbench.recipes.mine import MINED, MineRecipe
from workbench.workspace import Workspace

# Checks mining when it is asked for, so that a wrong name stops at the click.


def prepare_mine(recipe: MineRecipe, _workspace: Workspace, _waits: bool) -> MineRecipe:
    """'bm25' named as the model is the method. Raises :class:`BadRecipe` where no rank is left."""
    _refuse_no_room(recipe)
    if recipe.method == "model" and recipe.model.strip().lower() == BM25:
        return recipe.model_copy(update={"method": BM25})
    return recipe


def _refuse_no_room(recipe: MineRecipe) -> None:
    """Said at the field: of ranks 10 to 12 nobody can take five."""
    least = recipe.range_min + recipe.num_negatives
    if recipe.method != "random" and recipe.range_max < least:
        said = (
            f"Behind the first {recipe.range_min}, up to rank {recipe.range_max}, there is no room "
            f"for {recipe.num_negatives} negatives."
        )
        raise BadRecipe(said, f"Set range_max to {least} or more.", fields={"range_max": said})


def splits_of(recipe: MineRecipe) -> tuple[str, ...]:
    return SPLITS if recipe.split == "all" else (recipe.split,)


def no_miner(name: str) -> BadInput:
    return BadInput(
        f"'{name}' cannot search: it is not an embedding model.",
        "Choose an embedding model, and this one as the reranker.",
    )


def no_reranker(name: str) -> BadInput:
    return BadInput(
        f"'{name}' is neither a reranker nor a late-interaction model.",
        "Choose it as the model that searches, or leave the reranker empty.",
    )


# Where negatives are looked for: by a model, by words in common, or by chance.


def positives_of(pool: Pool) -> list[Rows]:
    """For each of the pool's queries the rows of what was judged relevant to it, ascending."""
    grades = (pool.judgments.get(query, {}) for query in pool.queries.tolist())
    return [
        np.array(sorted(document for document, grade in one.items() if grade >= 1), np.int64)
        for one in grades
    ]


def excluded_documents(pool: Pool, positives: Sequence[Rows]) -> list[Rows]:
    """What can be no negative: each query's positives, and those of queries with the same text
    (one question may stand under several ids, with its judgments spread over them)."""
    texts = same_words(pool.texts)
    by_text: dict[int, set[int]] = {}
    for text, own in zip(texts, positives, strict=True):
        by_text.setdefault(text, set()).update(own.tolist())
    return [np.array(sorted(by_text[text]), np.int64) for text in texts]


def random_negatives(
    pool: Pool, positives: Sequence[Rows], count: int, seed: int, stop: Stop
) -> Run:
    """``count`` documents and some to spare for each query, by chance; without scores."""
    random = np.random.default_rng(seed)
    spare = max((len(one) for one in positives), default=0)
    # Twice as many, and a few: some repeat a positive's text or each other's.
    width = min(pool.documents, 2 * count + spare + 8)
    documents = np.full((len(pool.queries), width), -1, np.int64)
    for at in range(len(documents)):
        if at % 1000 == 0:
            stop()
        documents[at] = random.choice(pool.documents, width, replace=False)
    return Run(documents, np.zeros(documents.shape, np.float32))


@dataclass
class Hunt:
    """One split: its queries, what is right for each, and what was found (screened)."""

    split: str
    pool: Pool
    positives: list[Rows]
    run: Run
    left_out: dict[str, int]
    #: The rows of candidates that stay: places of queries, documents, origins.
    kept: tuple[Rows, Rows, list[str]]
    #: Scores of the positives, query by query, and of what stays; NaN where there is no teacher.
    positive_scores: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    kept_scores: Floats = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def positive_pairs(self) -> tuple[Rows, Rows]:
        """Places of queries, and their positives, one after the other."""
        lengths = [len(one) for one in self.positives]
        places = np.repeat(np.arange(len(self.positives)), lengths)
        return places, np.concatenate([np.zeros(0, np.int64), *self.positives])

    @property
    def floor(self) -> Floats:
        """The lowest score of each query's positives; NaN where there is none."""
        lowest = np.full(len(self.positives), np.inf, np.float32)
        np.fmin.at(lowest, self.positive_pairs[0], self.positive_scores)
        return np.where(np.isfinite(lowest), lowest, np.float32(np.nan))


def run(recipe: MineRecipe, context: JobContext) -> dict[str, Any]:
    """Write the proposal into the job's folder; the result is its summary."""
    reader = context.workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    hunts = Miner(recipe, context, reader).hunt()
    rules = Rules(
        num_negatives=recipe.num_negatives,
        # Ranks mean something where documents were ranked.
        range_min=0 if recipe.method == "random" else recipe.range_min,
        sampling=recipe.sampling,
        absolute_margin=recipe.absolute_margin if recipe.teacher else None,
        relative_margin=recipe.relative_margin if recipe.teacher else None,
        max_score=recipe.max_score,
        min_score=recipe.min_score,
    )
    random = np.random.default_rng(recipe.seed)
    tables, left_out = [SCHEMA.empty_table()], dict[str, int]()
    for hunt in hunts:
        chosen = choose(hunt.run, hunt.floor, rules, random)
        for name, count in [*hunt.left_out.items(), *chosen.left_out.items()]:
            left_out[name] = left_out.get(name, 0) + count
        tables.append(rows_of(hunt, chosen, recipe))
    table = pa.concat_tables(tables)
    write(context.folder, table)
    return {
        "dataset": recipe.dataset,
        "dataset_id": context.workspace.datasets.get(recipe.dataset).id,
        "version": reader.version,
        "split": recipe.split,
        "origin": recipe.origin,
        "teacher": recipe.teacher,
        **summary(table, left_out),
    }


class Miner:
    """Searches split after split, then scores; one model at a time is in memory."""

    def __init__(self, recipe: MineRecipe, context: JobContext, reader: DatasetReader) -> None:
        self.recipe = recipe
        self.context = context
        self.reader = reader

    def hunt(self) -> list[Hunt]:
        recipe = self.recipe
        encoder = self._load(recipe.model, searches=True) if recipe.method == "model" else None
        hunts = [self._find(split, encoder) for split in self._splits()]
        if recipe.reranker is None:
            for hunt in hunts:
                self._score(hunt, encoder)
            return hunts
        del encoder
        scorer = self._load(recipe.reranker, searches=False)
        for hunt in hunts:
            self._score(hunt, scorer)
            self._reorder(hunt, scorer)
        return hunts

    def _splits(self) -> list[str]:
        """Those asked for; where 'all' are, those with something relevant."""
        asked = splits_of(self.recipe)
        if len(asked) == 1:
            return list(asked)
        having = (pc.max(self.reader.judgments(name)["grade"]).as_py() for name in asked)
        found = [name for name, grade in zip(asked, having, strict=True) if (grade or 0) >= 1]
        if not found:
            raise BadInput(
                f"No query of '{self.reader.name}' has a relevant document.",
                "Negatives need positives to compare with; import judgments first.",
            )
        return found

    def _load(self, name: str, *, searches: bool) -> Any:
        from workbench.models.load import load_model

        recipe, workspace = self.recipe, self.context.workspace
        self._say(f"loading {name}")(0, 1)
        local = locate(workspace, name)
        model: Any = load_model(local, device=recipe.device, precision=recipe.precision)
        kind = model.contract.model_kind
        if searches and not kind.first_stage:
            raise no_miner(name)
        if not searches and not kind.scores:
            raise no_reranker(name)
        return with_cache(model, local, workspace, recipe.use_cache, tell=self.context.note)

    def _find(self, split: str, encoder: Any) -> Hunt:
        recipe, stop = self.recipe, self.context.check_cancelled
        # The query itself is found, counted and left out below, with what has its words.
        pool = whole_pool(
            self.reader, split, max_queries=recipe.max_queries, seed=recipe.seed, exclude=NO
        )
        positives = positives_of(pool)
        shut, itself = excluded_documents(pool, positives), self._itself(split, pool)
        spared = [np.union1d(one, other) for one, other in zip(shut, itself, strict=True)]
        if recipe.method == "random":
            found, most = (
                random_negatives(pool, spared, recipe.num_negatives, recipe.seed, stop),
                None,
            )
        else:
            # Positives take places that negatives are to have.
            most = recipe.range_max
            depth = most + max(len(one) for one in spared)
            name = recipe.origin.removeprefix(MINED)
            progress = self._say(f"{split}: {name} searches", "texts")
            deep = min(depth, pool.documents)
            found = find(pool, encoder, k=deep, progress=progress, stop=stop)
        everything = [found.documents[found.documents >= 0], *spared]
        keys = TextKeys(self.reader, np.concatenate(everything))
        run, left_out = screen(found, shut, itself, keys, most or found.documents.shape[1])
        if recipe.method == "random":
            # More were drawn than are wanted; a teacher need not read them, unless margins may
            # leave out some.
            spare = 1 if not recipe.teacher else 2
            most = spare * recipe.num_negatives
            run = Run(run.documents[:, :most], run.scores[:, :most])
        return Hunt(split, pool, positives, run, left_out, self._staying(split, pool, positives))

    def _itself(self, split: str, pool: Pool) -> list[Rows]:
        """For each of the pool's queries the documents that are the query, by id or by words."""
        queries = self.reader.queries(split)
        known = query_itself(self.reader, queries)
        return [np.array(known.get(query, []), np.int64) for query in pool.queries.tolist()]

    def _staying(
        self, split: str, pool: Pool, positives: list[Rows]
    ) -> tuple[Rows, Rows, list[str]]:
        """Candidates of the asked queries that stay and that are no positives."""
        table = self.reader.candidates(split)
        place = {int(row): at for at, row in enumerate(pool.queries)}
        right = [set(one.tolist()) for one in positives]
        found: list[tuple[int, int, str]] = []
        columns = (table[name].to_pylist() for name in ("query", "document", "origin"))
        for query, document, origin in zip(*columns, strict=True):
            at = place.get(query)
            mined = (origin or "").startswith(MINED)
            stays = self.recipe.earlier == "keep" or (
                self.recipe.earlier == "replace" and not mined
            )
            if at is not None and stays and document not in right[at]:
                found.append((at, document, origin or "given"))
        if not self.recipe.score_earlier or not self.recipe.teacher:
            found = []
        places = np.array([one[0] for one in found], np.int64)
        documents = np.array([one[1] for one in found], np.int64)
        return places, documents, [one[2] for one in found]

    # -- scores ----------------------------------------------------------------------------------

    def _score(self, hunt: Hunt, teacher: Any) -> None:
        """What is right, and what stays, by the model that is the teacher, if there is one."""
        places, documents = hunt.positive_pairs
        if teacher is None:
            hunt.positive_scores = np.full(len(places), np.nan, np.float32)
            return
        queries = np.concatenate([places, hunt.kept[0]])
        rows = np.concatenate([documents, hunt.kept[1]])
        message = f"{hunt.split}: {self.recipe.teacher} scores what is there"
        scores = self._scores(hunt, teacher, queries, rows, message)
        hunt.positive_scores, hunt.kept_scores = scores[: len(places)], scores[len(places) :]

    def _scores(
        self, hunt: Hunt, teacher: Any, queries: Rows, documents: Rows, message: str
    ) -> Floats:
        """(m,) of queries, by their places, with documents."""
        return score_rows(
            as_scorer(teacher),
            hunt.pool.texts,
            reading(self.reader),
            queries,
            documents,
            progress=self._say(message, "pairs"),
            stop=self.context.check_cancelled,
        )

    def _reorder(self, hunt: Hunt, teacher: Any) -> None:
        """What was found, by the second stage's scores."""
        there = np.nonzero(hunt.run.documents >= 0)
        message = f"{hunt.split}: {self.recipe.reranker} scores what was found"
        scores = np.full(hunt.run.documents.shape, -np.inf, np.float32)
        scores[there] = self._scores(hunt, teacher, there[0], hunt.run.documents[there], message)
        # Drawn by chance means: whatever their scores. The first ones stay the first.
        reordered = Run(hunt.run.documents, scores)
        width = hunt.run.documents.shape[1]
        by_chance = self.recipe.method == "random"
        hunt.run = reordered if by_chance else cut(reordered, width, hunt.pool.order)

    def _say(self, message: str, unit: str = "") -> Progress:
        def said(done: int, total: int) -> None:
            self.context.check_cancelled()
            self.context.progress(done, total, unit, message)

        return said


def rows_of(hunt: Hunt, chosen: Chosen, recipe: MineRecipe) -> pa.Table:
    """The proposal's rows for one split, sorted by query: positives, negatives, what stays."""
    right = hunt.positive_pairs
    wrong = np.nonzero(chosen.run.documents >= 0)
    places = np.concatenate([right[0], wrong[0], hunt.kept[0]])
    documents = np.concatenate([right[1], chosen.run.documents[wrong], hunt.kept[1]])
    scored = bool(recipe.teacher) or recipe.method != "random"
    found = chosen.run.scores[wrong] if scored else np.full(len(wrong[0]), np.nan, np.float32)
    scores = np.concatenate([hunt.positive_scores, found, hunt.kept_scores])
    sizes = (len(right[0]), len(wrong[0]), len(hunt.kept[0]))
    parts = np.repeat([POSITIVE, NEGATIVE, EARLIER], sizes)
    origins = [recipe.origin] * (sizes[0] + sizes[1]) + hunt.kept[2]
    after = chosen.run.documents.shape[1] + 1 + np.arange(sizes[2])
    ranks = np.concatenate([np.zeros(sizes[0], np.int64), wrong[1] + 1, after])
    floor = hunt.floor[places]
    table = pa.table(
        [
            pa.array(hunt.pool.queries[places]),
            pa.array(documents),
            pa.array(parts.tolist(), pa.string()).dictionary_encode().cast(SCHEMA.field(2).type),
            pa.array(origins, pa.string()),
            pa.array(ranks.astype(np.int32)),
            pa.array(scores, pa.float32(), from_pandas=True),
            pa.array(floor, pa.float32(), from_pandas=True),
        ],
        schema=SCHEMA,
    )
    order = np.lexsort((ranks, hunt.pool.queries[places]))
    return table.take(pa.array(order))
