"""What a run trains on: rows of numbers, and the texts these numbers stand for, each kept once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.evaluation.own_document import query_itself, same_words
from workbench.evaluation.pictures import no_pictures
from workbench.evaluation.texts import join_documents
from workbench.models.contract import Contract
from workbench.plurals import counted
from workbench.recipes.base import how_many
from workbench.recipes.train import TrainEmbeddingRecipe, TrainRecipe

WITHOUT_PICTURE = (
    "{0:,} of {1:,} training rows were left out: their documents are texts without a picture."
)

Rows = NDArray[np.int64]
#: Stands where a row has fewer negatives than others.
NONE = -1
#: Of a row's candidates so many times the negatives of a row are drawn; then they come again.
MOST_DRAWS = 8


class Texts:
    """Texts by their row in the data set, in Arrow's compact form (a Python list takes thrice)."""

    def __init__(self, rows: Rows, texts: Any) -> None:
        """``rows`` (n,) ascending; ``texts`` an Arrow string array (n,) in the same order."""
        self.rows = rows
        self.texts = texts

    def get(self, rows: Sequence[int]) -> list[str]:
        places = np.searchsorted(self.rows, np.asarray(rows, dtype=np.int64))
        return self.texts.take(pa.array(places)).to_pylist()


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """``queries`` and ``positives`` (n,): row numbers in the data set. ``negatives``
    (n, draws * m): a row's m in each draw, the first draw's first, and :data:`NONE` behind those of
    a row that has fewer. Epoch number e sees draw ``e % draws``.

    ``relevant`` maps a query's row to the documents that are no wrong answer to it: see
    :func:`no_negatives`.
    """

    queries: Rows
    positives: Rows
    negatives: Rows
    relevant: dict[int, list[int]]
    notes: tuple[str, ...] = ()
    draws: int = 1

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def width(self) -> int:
        """Negatives of the row that has the most, in a draw."""
        return self.negatives.shape[1] // self.draws

    @property
    def fewest(self) -> int:
        """Negatives of the row that has the fewest, in a draw."""
        return int((self.drawn(0) >= 0).sum(axis=1).min(initial=self.width))

    def drawn(self, draw: int) -> Rows:
        """The negatives (n, m) of a draw."""
        return self.negatives[:, draw * self.width : (draw + 1) * self.width]

    @property
    def documents(self) -> Rows:
        """Each document that a row names, once, in ascending order."""
        named = np.unique(np.concatenate([self.positives, self.negatives.ravel()]))
        found: Rows = named[named >= 0]
        return found

    @property
    def columns(self) -> dict[str, Rows]:
        """Name -> rows, the query first, then the positive, then the negatives; all rows with the
        negatives of the first draw, then all with those of the second, and so on."""
        draws = [self.drawn(draw) for draw in range(self.draws)]
        given = {
            f"negative_{at + 1}": np.concatenate([one[:, at] for one in draws])
            for at in range(self.width)
        }
        queries, positives = (np.tile(one, self.draws) for one in (self.queries, self.positives))
        return {"query": queries, "positive": positives, **given}


def training_table(
    reader: DatasetReader, recipe: TrainRecipe, negatives: int
) -> tuple[Any, dict[int, list[int]]]:
    """query, positive, negatives (lists) of the training split, and what is relevant to a query.

    Raises :class:`BadInput` when there is nothing to learn from.
    """
    table = reader.training_rows(negatives=negatives, seed=recipe.seed, split="train")
    if table.num_rows == 0:
        raise BadInput(
            "The data set has no training queries with a relevant document.",
            "Import a file whose training part names at least one relevant document per query.",
        )
    if recipe.max_rows is not None and recipe.max_rows < table.num_rows:
        random = np.random.default_rng(recipe.seed)
        chosen = np.sort(random.choice(table.num_rows, recipe.max_rows, replace=False))
        table = table.take(pa.array(chosen))
    return table, _relevant(reader)


def no_negatives(
    reader: DatasetReader, relevant: dict[int, list[int]]
) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """What can be no negative of a training query: the documents that are the query itself, then
    those judged relevant to it or to a query of the same words. Also the former alone."""
    queries = reader.queries("train")
    itself = query_itself(reader, queries)
    words, by_words = same_words(queries["text"]), dict[int, list[int]]()
    rows = queries["row"].to_pylist()
    for row, said in zip(rows, words, strict=True):
        by_words.setdefault(said, []).extend(relevant.get(row, ()))
    found = {
        row: list(dict.fromkeys([*itself.get(row, ()), *relevant.get(row, ()), *by_words[said]]))
        for row, said in zip(rows, words, strict=True)
        if row in relevant or row in itself
    }
    return found, itself


def without_itself(
    queries: Sequence[int], given: Sequence[list[int] | None], itself: dict[int, list[int]]
) -> tuple[list[list[int]], tuple[str, ...]]:
    """Each row's negatives without the query itself, and a remark where some were it."""
    kept = [
        [one for one in own or () if one not in itself.get(query, ())]
        for query, own in zip(queries, given, strict=True)
    ]
    gone = sum(len(own or ()) for own in given) - sum(map(len, kept))
    note = f"{gone} negatives of the data are the query itself and were left out."
    return kept, (note,) if gone else ()


def build_rows(reader: DatasetReader, recipe: Any) -> TrainingRows:
    """The training split as rows; raises :class:`BadInput` when there is nothing to learn from.

    A row has the negatives that the data gives it, up to ``recipe.negatives``; of more, others in
    each epoch. Where the batch's other documents are negatives too, it may have fewer than others,
    or none.
    """
    most = passes(reader, recipe)
    pictures = pictured(reader) if recipe.model_kind.reads_pictures else None
    # Of those that bring pictures and texts, as many as there are: the texts are left out.
    asked = recipe.negatives * most if pictures is None else int(reader.counts["documents"])
    table, judged = training_table(reader, recipe, asked)
    relevant, itself = no_negatives(reader, judged)
    queries = table["query"].to_numpy().astype(np.int64)
    positives = table["positive"].to_numpy().astype(np.int64)
    given, gone = without_itself(queries.tolist(), table["negatives"].to_pylist(), itself)
    if pictures is not None:
        given = [[one for one in own if pictures[one]] for own in given]
    width, notes = _width(recipe, given)
    draws = 1
    if width:
        draws = max(1, min(most, -(-max(map(len, given)) // width)))
    if width and in_columns(recipe, len(given)):
        among = np.arange(int(reader.counts["documents"]))
        filler = _Filler(among if pictures is None else among[pictures], relevant, recipe.seed)
        given = [filler.fill(query, own, width) for query, own in zip(queries, given, strict=True)]
        notes = notes or filler.notes(len(given))
    elif width:
        notes += _without(given)
    random = np.random.default_rng((recipe.seed, 1))
    drawn = [in_turn(own, width, draws, random) for own in given]
    negatives = np.array(drawn, dtype=np.int64).reshape(len(queries), draws * width)
    return TrainingRows(queries, positives, negatives, relevant, notes + gone, draws)


def passes(reader: DatasetReader, recipe: Any) -> int:
    """How many times a run goes through its rows, as far as negatives are drawn anew: at least
    once. That of all devices is counted as that of many: rows are the same on every machine."""
    passed = recipe.epochs
    if recipe.max_steps:
        judged = reader.judgments("train")["grade"]
        rows = max(1, pc.sum(pc.greater_equal(judged, 1)).as_py() or 0)
        devices = how_many(recipe.devices, ("",) * MOST_DRAWS)
        step = recipe.batch_size * recipe.gradient_accumulation * devices
        passed = recipe.max_steps * step / min(rows, recipe.max_rows or rows)
    return max(1, min(MOST_DRAWS, math.ceil(passed)))


def in_turn(own: Sequence[int], width: int, draws: int, random: np.random.Generator) -> list[int]:
    """``width`` of a row's negatives in each draw, one draw after the other: others each time until
    all have been seen. Fewer are the same in each draw, with :data:`NONE` behind them."""
    if len(own) <= width:
        return [*own, *[NONE] * (width - len(own))] * draws
    order = random.permutation(len(own))
    return [own[order[at % len(own)]] for at in range(width * draws)]


def in_columns(recipe: Any, rows: int) -> bool:
    """Whether all rows need the same number of negatives: a row's documents are compared with each
    other alone, or they are gathered from devices, which all have to send the same number."""
    gathered = bool(getattr(recipe, "negatives_cross_device", False))
    return not recipe.in_batch or gathered or min(recipe.batch_size, rows) < 2


def _without(given: Sequence[list[int]]) -> tuple[str, ...]:
    none = sum(not own for own in given)
    if not none:
        return ()
    return (
        f"{none} of {counted(len(given), 'row')} bring no negatives of their own; they are learnt "
        "from the other rows' documents alone.",
    )


def refuse_no_negatives(recipe: TrainRecipe, rows: TrainingRows) -> None:
    """Raise :class:`BadInput` where an objective looks at a query's own documents alone, and the
    data gives one."""
    if rows.negatives.shape[1] or recipe.in_batch or recipe.on_pairs:
        return
    if recipe.chosen_objective.rows == "teacher":
        raise BadInput(
            "The data gives no negatives, and a teacher's scores are learnt of a query's documents "
            "against each other.",
            "Give negatives in the data or mine them, and set negatives to 1 or more.",
        )
    raise BadInput(
        "Without in-batch negatives each query needs hard negatives.",
        "Raise negatives, give some in the data, or turn in_batch_negatives on.",
    )


def pictured(reader: DatasetReader) -> NDArray[np.bool_]:
    """Which documents have a picture."""
    table = reader.documents_at(range(int(reader.counts["documents"])), ["picture"])
    seen: NDArray[np.bool_] = table["picture"].is_valid().to_numpy()
    return seen


def with_pictures(reader: DatasetReader, rows: TrainingRows) -> TrainingRows:
    """The rows whose relevant document has a picture; raises :class:`BadInput` where none has."""
    keep = pictured(reader)[rows.positives]
    if not keep.any():
        raise no_pictures(reader)
    if keep.all():
        return rows
    return replace(
        rows,
        queries=rows.queries[keep],
        positives=rows.positives[keep],
        negatives=rows.negatives[keep],
        notes=(*rows.notes, WITHOUT_PICTURE.format(int((~keep).sum()), len(rows))),
    )


def _width(recipe: Any, given: list[list[int]]) -> tuple[int, tuple[str, ...]]:
    most = max((len(own) for own in given if own), default=0)
    width = min(recipe.negatives, most)
    if width == 0 and min(recipe.batch_size, len(given)) < 2:
        # One row alone has nothing to tell the right document from.
        note = "The batch holds one row, so each row was given one other document as a negative."
        return 1, (note,)
    if 0 < width < recipe.negatives:
        note = f"The data has at most {most} negatives per query; {recipe.negatives} were "
        "requested."
        return width, (note,)
    return width, ()


class _Filler:
    """Brings each row's negatives to one number, without making up wrong ones.

    A row with some repeats its own. A row with none draws documents that are not judged relevant
    to its query: the same assumption that in-batch negatives rest on.
    """

    def __init__(self, documents: Rows, relevant: dict[int, list[int]], seed: int) -> None:
        self.documents = documents
        self.relevant = relevant
        self.random = np.random.default_rng(seed)
        self.drawn = 0

    def notes(self, rows: int) -> tuple[str, ...]:
        if not self.drawn:
            return ()
        return (
            f"{self.drawn} of {counted(rows, 'row')} bring no negatives of their own; "
            "they were given documents at random that nobody judged relevant to their query.",
        )

    def fill(self, query: int, own: list[int], width: int) -> list[int]:
        if own:
            return [own[at % len(own)] for at in range(max(width, len(own)))]
        self.drawn += 1
        return [self._draw(set(self.relevant.get(int(query), ()))) for _ in range(width)]

    def _draw(self, relevant: set[int]) -> int:
        if len(relevant) >= len(self.documents) and relevant.issuperset(self.documents.tolist()):
            raise BadInput(
                "Every document is relevant to the query, so there are no negatives.",
                "Add queries with other documents, or give negatives in the file.",
            )
        while True:
            document = int(self.random.choice(self.documents))
            if document not in relevant:
                return document


def _relevant(reader: DatasetReader) -> dict[int, list[int]]:
    judged = reader.judgments("train")
    judged = judged.filter(pc.greater_equal(judged["grade"], 1))
    relevant: dict[int, list[int]] = {}
    for query, document in zip(
        judged["query"].to_pylist(), judged["document"].to_pylist(), strict=True
    ):
        relevant.setdefault(query, []).append(document)
    return relevant


def own_prompts_note(reader: DatasetReader, contract: Contract) -> tuple[str, ...]:
    """A remark where the data's queries bring a prompt that the model will not be trained with."""
    prompts = reader.queries("train")["prompt"].drop_null().unique().to_pylist()
    foreign = sorted(prompt for prompt in prompts if prompt and prompt != contract.query_prompt)
    if not foreign:
        return ()
    return (
        f"The data has its own query prompt ('{foreign[0][:80]}'), which was not used: nobody "
        "types it when searching. Set query_prompt to train with it and to have it added always.",
    )


def load_texts(
    reader: DatasetReader, rows: TrainingRows, contract: Contract
) -> tuple[Texts, Texts]:
    """The queries' and the documents' texts that the rows name; documents joined with titles."""
    queries = reader.queries("train")
    by_row = queries.sort_by("row")
    query_texts = Texts(by_row["row"].to_numpy().astype(np.int64), by_row["text"].combine_chunks())
    wanted = rows.documents
    documents = reader.documents_at(wanted.tolist())
    return query_texts, Texts(wanted, join_documents(documents, contract))


# A teacher's scores of a query's documents, as the data brings them (``pos_scores``, ...).


def teacher_scores(reader: DatasetReader, rows: TrainingRows) -> list[list[float]]:
    """(draws * n, 1 + m) scores of each row's positive and negatives, draw after draw.

    Raises :class:`BadInput` where a document of a row has no score.
    """
    known = _known(reader)
    queries, *columns = rows.columns.values()
    documents = np.stack(columns, axis=1)
    found = []
    for query, line in zip(queries.tolist(), documents.tolist(), strict=True):
        scores = [known.get((query, document)) for document in line]
        if any(score is None for score in scores):
            raise BadInput(
                "Learning from a teacher needs its score for every document of every row; "
                f"{sum(score is None for score in scores)} of {len(line)} are missing for one "
                "query.",
                "Give pos_scores and neg_scores with as many numbers as texts, mine negatives with "
                "the teacher and accept them, or choose the contrastive objective.",
            )
        found.append([float(score) for score in scores if score is not None])
    return found


def _known(reader: DatasetReader) -> dict[tuple[int, int], float]:
    table: Any = reader.candidates("train")
    columns = (table[name].to_pylist() for name in ("query", "document", "score"))
    return {
        (query, document): score
        for query, document, score in zip(*columns, strict=True)
        if score is not None
    }


# What scores are divided by before they are learnt, so that the model's own can express them.
#
# Cosines of a query's documents lie close together, within about half of their range, whatever a
# teacher's scores look like: logits of a cross-encoder, percentages, probabilities.

#: How far the cosines of one query's documents can lie apart in practice.
ATTAINABLE = 0.5
#: The teacher's usual spread: so large a share of the rows is not above it.
USUAL = 0.95


@dataclass(frozen=True, slots=True)
class Teacher:
    """A teacher's scores (draws * n, 1 + m) as they are learnt, and what they were divided by."""

    scores: list[list[float]]
    divided_by: float
    notes: tuple[str, ...]


def scale_of(recipe: TrainEmbeddingRecipe, contract: Contract) -> float:
    """What the model's scores are multiplied by before a softmax.

    Inner products of vectors that keep their length are large as they are: they are divided by a
    temperature only where one is asked for that is not the default.
    """
    default = type(recipe).model_fields["temperature"].default
    if not contract.normalize and recipe.temperature == default:
        return 1.0
    return 1.0 / recipe.temperature


def fitted(
    scores: Sequence[Sequence[float]],
    recipe: TrainEmbeddingRecipe,
    contract: Contract,
    draws: int = 1,
) -> Teacher:
    """The teacher's scores divided by its temperature: the recipe's, else one that fits.

    Cosines get the teacher's scores shrunk until their usual spread is one that cosines reach, and
    never stretched; inner products take them as they are. Raises :class:`BadInput` where a teacher
    tells nothing: all documents of every row have one score.
    """
    table = np.array(scores, dtype=np.float64)
    spread = table.max(axis=1) - table.min(axis=1)
    notes = _equal(spread.reshape(draws, -1).max(axis=0))
    margins = "temperature" not in recipe.chosen_objective.fields
    if recipe.teacher_temperature is not None:
        by = recipe.teacher_temperature
    elif not contract.normalize:
        by = 1.0
    else:
        usual = float(np.quantile(spread[spread > 0], USUAL))
        by = max(1.0, usual / ATTAINABLE) * (1.0 if margins else recipe.temperature)
    if by != 1.0:
        what = "margins" if margins else "scores"
        notes += (
            f"The teacher's {what} were divided by {by:.3g}, so that this model's scores can "
            "follow them; teacher_temperature sets another number.",
        )
    return Teacher((table / by).tolist(), by, notes)


def _equal(spread: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[str, ...]:
    """What is to be said of rows whose documents all have one score."""
    equal = int((spread == 0).sum())
    if equal == len(spread):
        raise BadInput(
            "The teacher gives all documents of a row the same score, in every row: there is no "
            "difference to learn.",
            "Check pos_scores and neg_scores, or choose the contrastive objective.",
        )
    if not equal:
        return ()
    return (
        f"In {equal:,} of {counted(len(spread), 'row')} the teacher gives all documents the same "
        "score, so the model cannot learn to rank them.",
    )
