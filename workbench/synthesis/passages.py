"""Which documents are asked about, and what of them is sent. Torch-free."""

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.recipes.synthesize import SynthesizeRecipe
from workbench.synthesis.templates import prompt

Rows = NDArray[np.int64]
#: Documents in memory at a time.
BLOCK = 500


def chosen(reader: DatasetReader, recipe: SynthesizeRecipe) -> Rows:
    """Rows of the documents to ask about, ascending; drawn by the seed where fewer are wanted."""
    parts, start = [np.zeros(0, np.int64)], 0
    for table in reader.iter_documents():
        # A picture without words, or an empty text, asks nothing.
        long = pc.utf8_length(pc.utf8_trim_whitespace(pc.fill_null(table["text"], ""))).to_numpy()
        parts.append(start + np.flatnonzero(long > 0))
        start += table.num_rows
    rows = np.concatenate(parts).astype(np.int64)
    if not len(rows):
        raise BadInput(f"No document of '{reader.name}' has text.", "Questions need passages.")
    if recipe.skip_judged:
        rows = rows[~np.isin(rows, _judged(reader))]
        if not len(rows):
            raise BadInput(
                f"Every document of '{reader.name}' is right for some query already.",
                "Turn 'skip_judged' off to have more questions written.",
            )
    if recipe.passages is None or recipe.passages >= len(rows):
        return rows
    random = np.random.default_rng(recipe.seed)
    return np.sort(random.choice(rows, recipe.passages, replace=False))


def prompts(
    reader: DatasetReader, rows: Rows, recipe: SynthesizeRecipe
) -> Iterator[tuple[int, str]]:
    """Each row, and what is asked about it."""
    for row, text in texts(reader, rows):
        yield row, prompt(recipe, text)


def texts(reader: DatasetReader, rows: Rows) -> Iterator[tuple[int, str]]:
    """Each row and its passage, the title before it."""
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK].tolist()
        table = reader.documents_at(block)
        columns = (table[name].to_pylist() for name in ("title", "text"))
        for row, title, text in zip(block, *columns, strict=True):
            yield row, f"{title}\n{text}" if title else text


def _judged(reader: DatasetReader) -> Rows:
    parts = [np.zeros(0, np.int64)]
    for edges in reader.iter_edges("judgments"):
        right = edges.filter(pc.greater_equal(edges["grade"], 1))
        parts.append(np.unique(right["document"].to_numpy()))
    return np.concatenate(parts)
