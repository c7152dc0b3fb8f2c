"""What an epoch of a run is: the batches it makes of the training rows, and the rows it leaves out.

The check, the run, its measured steps and the script that repeats it all count here. Torch-free.
"""

import math

import numpy as np

from workbench.data import digests
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.recipes.train import TrainRecipe
from workbench.training.batches import Batching, Numbers, RowTexts
from workbench.training.rows import (
    NONE,
    TrainingRows,
    build_rows,
    training_table,
    with_pictures,
)

#: Documents that are read at once to see which are alike.
_BLOCK = 10_000
GIVE_NEGATIVES = (
    "Give negatives: in the data, or by mining them. Or add rows of other queries, or choose an "
    "objective that does not need the batch's other rows."
)


def batching(
    reader: DatasetReader, rows: TrainingRows, recipe: TrainRecipe, devices: int
) -> Batching:
    """The run's batches, on all devices together.

    Raises :class:`BadInput` where no batch can be made that anything is learnt from.
    """
    alone = not recipe.needs_other_rows(rows.fewest)
    texts = row_texts(reader, rows) if recipe.in_batch else RowTexts.unrelated(len(rows))
    found = Batching(
        texts,
        recipe.batch_size,
        least=1 if alone else 2,
        devices=devices,
        across=recipe.in_batch and bool(getattr(recipe, "negatives_cross_device", False)),
        seed=recipe.seed,
        draws=rows.draws,
    )
    if not len(found):
        raise _nothing(recipe, texts, devices)
    return found


def planned(reader: DatasetReader, recipe: TrainRecipe, devices: int) -> Batching:
    """The batches that the run will make, before anything is mined or loaded for it."""
    if recipe.on_pairs:
        pairs = reader.pairs("train").num_rows
        return batching(reader, _numbered(min(pairs, recipe.max_rows or pairs), 0), recipe, devices)
    if recipe.model_kind.reads_pairs:
        # It brings or finds as many negatives as it is asked for.
        asked = int(getattr(recipe, "negatives", 1))
        table, _ = training_table(reader, recipe, asked)
        return batching(reader, _numbered(table.num_rows, asked), recipe, devices)
    rows = build_rows(reader, recipe)
    if recipe.model_kind.reads_pictures:
        rows = with_pictures(reader, rows)
    return batching(reader, rows, recipe, devices)


def _numbered(count: int, negatives: int) -> TrainingRows:
    """So many rows, where it does not matter which."""
    numbers = np.arange(count, dtype=np.int64)
    return TrainingRows(numbers, numbers, np.zeros((count, negatives), np.int64), {})


def row_texts(reader: DatasetReader, rows: TrainingRows) -> RowTexts:
    """Rows by what their texts say: two queries of the same words are one, and so are two
    documents."""
    queries = reader.queries("train").select(["row", "text"]).sort_by("row").combine_chunks()
    asked = _Codes(queries["row"].to_numpy(), _codes(queries["text"].combine_chunks()))
    documents = np.concatenate([rows.positives[:, None], rows.negatives], axis=1)
    edges = [(query, one) for query, found in rows.relevant.items() for one in found]
    relevant = np.array(edges, dtype=np.int64).reshape(-1, 2)
    wanted = np.unique(np.concatenate([rows.documents, relevant[:, 1]]))
    read = _Codes(wanted, _document_codes(reader, wanted))
    pairs = np.stack([asked.of(relevant[:, 0]), read.of(relevant[:, 1])], axis=1)
    named = np.where(documents >= 0, read.of(documents), NONE)
    return RowTexts(asked.of(rows.queries), named, pairs)


def steps(recipe: TrainRecipe, made: Batching) -> int:
    """Optimizer steps of a run: 'max_steps' overrules the epochs."""
    return recipe.max_steps or math.ceil(recipe.epochs * steps_of_epoch(recipe, made))


def steps_of_epoch(recipe: TrainRecipe, made: Batching) -> int:
    """Devices that train together share the batches; the last step takes what is left of them."""
    return math.ceil(len(made) / made.devices / recipe.gradient_accumulation)


def unseen(recipe: TrainRecipe, made: Batching) -> tuple[str, ...]:
    """What is to be said of rows that the run does not see."""
    return (*_left_out(made), *_ended(recipe, made))


def _left_out(made: Batching) -> list[str]:
    left, rows = made.left_out, len(made.rows)
    if not left:
        return []
    if made.devices == 1 or left >= made.devices * made.size:
        return [
            f"{left:,} of {rows:,} training rows are left out of each epoch, different ones each "
            "time: too many belong to one query or one document to fill batches with others."
        ]
    return [
        f"{left:,} of {rows:,} training rows are left out of each epoch, different ones each "
        f"time, so that each of {made.devices} devices has as many as the others."
    ]


def _ended(recipe: TrainRecipe, made: Batching) -> list[str]:
    """A run that ends before all rows were seen once."""
    total, each = steps(recipe, made), steps_of_epoch(recipe, made)
    if total >= each:
        return []
    seen = len(made.rows) - made.left_out
    why = "max_steps" if recipe.max_steps else "epochs"
    return [
        f"The run ends after {total:,} of the {each:,} steps of an epoch, because of {why}: about "
        f"{round(seen * (1 - total / each)):,} of {len(made.rows):,} training rows are never seen."
    ]


def _nothing(recipe: TrainRecipe, texts: RowTexts, devices: int) -> BadInput:
    """Why there is no batch that anything can be learnt from."""
    count = len(texts)
    if recipe.batch_size == 1 and devices == 1:
        return BadInput(
            "Nothing can be learned in batches of one: a row has no negatives.",
            "Set batch_size to 2 or more, or choose another objective.",
        )
    if recipe.in_batch and len(np.unique(texts.queries)) == 1:
        return BadInput(
            f"All {count:,} training rows have the same query, so each would be a batch of one, "
            "in which nothing can be learned: there are no in-batch negatives.",
            GIVE_NEGATIVES,
        )
    if devices > 1:
        return BadInput(
            f"{count:,} training rows make no batch for each of {devices} devices.",
            "Train on fewer devices, or add rows.",
        )
    return BadInput(
        f"No two of the {count:,} training rows can share a batch, in which nothing can be learnt "
        "then: each row's document is relevant to the other rows' queries, too.",
        GIVE_NEGATIVES,
    )


class _Codes:
    """Row number -> code, where rows ascend."""

    def __init__(self, rows: Numbers, codes: Numbers) -> None:
        self.rows, self.codes = rows, codes

    def of(self, rows: Numbers) -> Numbers:
        found: Numbers = self.codes[np.searchsorted(self.rows, rows)]
        return found


def _document_codes(reader: DatasetReader, wanted: Numbers) -> Numbers:
    """By title and text; a picture is known by its file."""
    found = [np.empty(0, np.int64)]
    for start in range(0, len(wanted), _BLOCK):
        rows = wanted[start : start + _BLOCK].tolist()
        table = reader.documents_at(rows, ["title", "text", "picture"])
        lines = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
        said = [picture or f"{title or ''}\0{text}" for title, text, picture in lines]
        found.append(_first(digests.of_bytes([one.encode() for one in said])))
    return np.concatenate(found)


def _codes(texts: object) -> Numbers:
    return _first(digests.of_bytes([str(text).encode() for text in texts]))  # type: ignore[attr-defined]


def _first(found: digests.Array) -> Numbers:
    """64 of the digests' bits: two of a million texts are confused in one of 40 million sets."""
    return np.ascontiguousarray(found[:, 0]).view(np.int64)
