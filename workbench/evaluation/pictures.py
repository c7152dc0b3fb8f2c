"""Models of pictures and texts on a data set of pictures, in both directions. Torch-free.

Text to picture: the captions are the queries, and every picture of the data set is searched.
Picture to text: the other way round, over the captions of all splits. Both are measured by the code
that measures every other retrieval; what is here makes the data set look so.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader
from workbench.data.writer import JUDGMENTS
from workbench.errors import BadInput
from workbench.models.contract import Contract

if TYPE_CHECKING:
    from workbench.models.image_text import LoadedImageText

#: The role of a picture, beside 'query' and 'document'.
PICTURE = "picture"
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class OnPictures:
    """A model of pictures and texts as an encoder like any other: what is handed in under the role
    'picture' are pictures' paths below ``folder``, the data set's."""

    model: "LoadedImageText"
    folder: Path

    @property
    def contract(self) -> Contract:
        return self.model.contract

    @property
    def dimensions(self) -> int:
        return self.model.dimensions

    @property
    def device(self) -> str:
        return self.model.device

    @property
    def precision(self) -> str:
        return self.model.precision

    def encode(
        self,
        texts: Sequence[str],
        role: Any,
        *,
        progress: Callable[[int, int], None] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> NDArray[np.float32]:
        if role == PICTURE:
            paths = [self.folder / one for one in texts]
            return self.model.encode_pictures(paths, progress=progress, stop=stop)
        return self.model.encode(texts, role, progress=progress, stop=stop)


def has_pictures(reader: DatasetReader) -> bool:
    """Whether the data set's documents are pictures, or some of them."""
    first = reader.documents(0, 1)["picture"]
    return bool(first.null_count < len(first)) or any(
        table["picture"].null_count < table.num_rows for table in reader.iter_documents()
    )


class Turned:
    """A data set seen from its pictures: they are the queries, and its captions the documents.

    Rows of pictures are the document rows of the data set, those of captions its query rows. It has
    what a measurement and its record need of a :class:`DatasetReader`.
    """

    def __init__(self, reader: DatasetReader) -> None:
        self._reader = reader
        self.name, self.version, self.folder = reader.name, reader.version, reader.folder

    @property
    def counts(self) -> dict[str, Any]:
        own = self._reader.counts
        return {**own, "documents": own["queries"], "queries": own["documents"]}

    def queries(self, split: str | None = None) -> pa.Table:
        """id, text (the picture's path), prompt, split and row of the pictures that belong to a
        caption of the split; of all pictures without one."""
        if split is None:
            rows = np.arange(int(self._reader.counts["documents"]), dtype=np.int64)
        else:
            rows = np.unique(self.judgments(split)["query"].to_numpy())
        table = self._reader.documents_at(rows.tolist())
        seen = pc.is_valid(table["picture"])
        nothing = pa.nulls(len(rows), pa.string())
        columns = {
            "id": table["id"],
            "text": table["picture"],
            "prompt": nothing,
            "split": pa.array([split or ""] * len(rows), pa.string()),
            "row": pa.array(rows),
        }
        found = pa.table(columns)
        # Ids are looked up by row: where all are asked for, none may be missing.
        return found if split is None else found.filter(seen)

    def judgments(self, split: str | None = None) -> pa.Table:
        """query (a picture), document (a caption), grade; sorted by query. A picture of the split
        has its captions in all splits: none of them is a wrong answer."""
        swapped = self._swapped
        if split is None:
            return swapped
        mine = self._reader.judgments(split)
        mine = mine.filter(pc.greater_equal(mine["grade"], 1))
        return swapped.filter(pc.is_in(swapped["query"], pc.unique(mine["document"])))

    @cached_property
    def _swapped(self) -> pa.Table:
        table = self._reader.judgments()
        columns = [table["document"], table["query"], table["grade"]]
        return pa.table(columns, schema=JUDGMENTS).sort_by(
            [("query", "ascending"), ("document", "ascending")]
        )

    def documents(self, start: int = 0, stop: int | None = None) -> pa.Table:
        table = self._captions
        return table.slice(start, (table.num_rows if stop is None else stop) - start)

    def documents_at(self, rows: Sequence[int], columns: list[str] | None = None) -> pa.Table:
        table = self._captions if columns is None else self._captions.select(columns)
        return table.take(pa.array(rows, pa.int64()))

    def iter_documents(self, batch: int = 10_000) -> Iterator[pa.Table]:
        for start in range(0, self._captions.num_rows, batch):
            yield self._captions.slice(start, batch)

    @cached_property
    def _captions(self) -> pa.Table:
        table = self._reader.queries().sort_by("row")
        nothing = pa.nulls(table.num_rows, pa.string())
        columns = {"id": table["id"], "title": nothing, "text": table["text"]}
        return pa.table({**columns, "picture": nothing, "fields": nothing})


@dataclass(frozen=True)
class FromPictures:
    """The encoder's own roles turned: queries are pictures, documents are captions."""

    encoder: Any

    @property
    def contract(self) -> Contract:
        found: Contract = self.encoder.contract
        return found

    @property
    def device(self) -> str:
        return str(self.encoder.device)

    def encode(self, texts: Sequence[str], role: Any, **options: Any) -> NDArray[np.float32]:
        # A caption is encoded as the query it is in the data set.
        turned = PICTURE if role == "query" else "query"
        vectors: NDArray[np.float32] = self.encoder.encode(texts, turned, **options)
        return vectors


def no_pictures(reader: DatasetReader) -> BadInput:
    return BadInput(
        f"The data set '{reader.name}' has no pictures.",
        "Import a folder or zip of pictures with captions, or choose a model of another kind.",
    )
