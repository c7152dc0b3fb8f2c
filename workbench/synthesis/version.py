"""From questions of passages to queries and judgments of a new version. Torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.data.edit import Changes
from workbench.data.parts import SPLITS
from workbench.data.reader import DatasetReader
from workbench.data.splits import CODES, Shares, carve
from workbench.recipes.synthesize import SynthesizeRecipe
from workbench.synthesis.questions import same


@dataclass
class Asked:
    """Distinct questions, and the passages each was written for."""

    texts: list[str] = field(default_factory=list)
    #: For each question, the rows of its documents.
    documents: list[list[int]] = field(default_factory=list)
    #: Questions that the data set asks already: (text, document row).
    known: list[tuple[str, int]] = field(default_factory=list)
    #: Questions that were written for another passage before; it is right for them as well.
    repeated: int = 0

    def __len__(self) -> int:
        return len(self.texts)


def gather(reader: DatasetReader, answers: Mapping[int, list[str]]) -> Asked:
    """The questions in the order of their documents, one text once.

    What the data set asks already is left out: it may stand in another split.
    """
    there = {same(text) for table in reader.iter_queries() for text in table["text"].to_pylist()}
    asked, places = Asked(), dict[str, int]()
    for row in sorted(answers):
        for text in answers[row]:
            key = same(text)
            if key in there:
                asked.known.append((text, row))
            elif key in places:
                asked.documents[places[key]].append(row)
                asked.repeated += 1
            else:
                places[key] = len(asked)
                asked.texts.append(text)
                asked.documents.append([row])
    return asked


def changes_of(reader: DatasetReader, recipe: SynthesizeRecipe, asked: Asked) -> Changes:
    """New queries, each in the split of its first passage, and what is right for them."""
    splits = _splits(reader, recipe, asked)
    names = np.array(SPLITS)[np.searchsorted([CODES[one] for one in SPLITS], splits)]
    queries = pa.table({"text": pa.array(asked.texts, pa.string()), "split": names.tolist()})
    first = int(reader.counts["queries"])
    judgments = [(first + at, row, 1) for at, rows in enumerate(asked.documents) for row in rows]
    return Changes(new_queries=queries, add_judgments=judgments)


def _splits(reader: DatasetReader, recipe: SynthesizeRecipe, asked: Asked) -> Any:
    """Questions of one passage go together. Splits that the data set has stay as they are: a
    test that was judged by people must not be mixed with what a model wrote."""
    there = reader.counts["splits"]
    shares = Shares(
        dev=0.0 if there.get("dev") else recipe.dev_share,
        test=0.0 if there.get("test") else recipe.test_share,
        seed=recipe.seed,
    )
    groups = np.array([rows[0] for rows in asked.documents], np.int64)
    return carve(np.zeros(len(asked), np.int8), groups, shares)
