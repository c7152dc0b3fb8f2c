"""What an index of pictures has besides one of texts. Torch-free: the model is handed in, loaded.

A model of pictures and texts indexes the documents that have a picture, by it alone: where some
have only text, a question, which is text too, would find those first whatever they say (vectors of
texts lie nearer to each other than to any picture's). So they are left out, and counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage.records import Index
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput, ModelUnusable, PictureUnusable, WorkbenchError
from workbench.evaluation.pictures import PICTURE, OnPictures
from workbench.evaluation.texts import join_documents
from workbench.model_kinds import seeing
from workbench.models.contract import Contract
from workbench.pictures import opening
from workbench.search.fields import checked_filter
from workbench.search.protocol import SearchPicture

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]
#: Pictures that are named where some cannot be opened; all are counted.
_NAMED, _LISTED = 3, 100
#: Pictures encoded at a time: where one is broken, so many are opened a second time.
_PIECE = 256
_MISSING = "its file no longer exists"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture that is not in the index, and why: ``detail`` is what was said of its file."""

    id: str
    picture: str
    problem: str
    detail: str

    def to_dict(self) -> dict[str, str]:
        return {"id": self.id, "problem": self.problem, "detail": self.detail}


@dataclass(frozen=True)
class Seeing(OnPictures):
    """As :class:`OnPictures`, but a picture that cannot be opened gets a vector of NaN, and a place
    in ``broken``, instead of ending everything."""

    broken: dict[str, PictureUnusable] = field(default_factory=dict)

    def encode(
        self,
        texts: Sequence[str],
        role: Any,
        *,
        progress: Callable[[int, int], None] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> Vectors:
        if role != PICTURE:
            return super().encode(texts, role, progress=progress, stop=stop)
        found = np.full((len(texts), self.dimensions), np.nan, np.float32)
        for start in range(0, len(texts), _PIECE):
            piece = texts[start : start + _PIECE]
            found[start : start + len(piece)] = self._piece(piece, stop)
            if progress:
                progress(start + len(piece), len(texts))
        return found

    def _piece(self, places: Sequence[str], stop: Callable[[], None] | None) -> Vectors:
        try:
            return super().encode(places, PICTURE, stop=stop)
        except PictureUnusable:
            good = [at for at, place in enumerate(places) if self._opens(place)]
        found = np.full((len(places), self.dimensions), np.nan, np.float32)
        if good:
            found[good] = super().encode([places[at] for at in good], PICTURE, stop=stop)
        return found

    def _opens(self, place: str) -> bool:
        path = self.folder / place
        try:
            if path.is_file():
                opening.check_apart(path)
                return True
        except PictureUnusable as error:
            self.broken[place] = error
        return False


def of_pictures(index: Index) -> bool:
    """Whether pictures can be looked for in it, and it be asked by one."""
    return index.contract.get("kind") in seeing()


def rows_with_pictures(reader: DatasetReader) -> Rows:
    """The rows of the documents that have a picture."""
    start, found = 0, [np.empty(0, np.int64)]
    for table in reader.iter_documents():
        found.append(np.flatnonzero(pc.is_valid(table["picture"]).to_numpy()) + start)
        start += table.num_rows
    return np.concatenate(found)


def as_read(documents: Any, contract: Contract) -> Any:
    """What the model reads of each document (n rows) as an Arrow string array (n,): of a picture
    its path, which is its content's digest."""
    if not contract.model_kind.reads_pictures:
        return join_documents(documents, contract)
    places = pc.fill_null(documents["picture"], "")
    return places.combine_chunks() if isinstance(places, pa.ChunkedArray) else places


def encode_pictures(
    encoder: Any,
    seeing: Seeing,
    documents: Any,
    *,
    progress: Callable[[int, int], None],
    stop: Callable[[], None],
) -> tuple[Vectors, NDArray[np.bool_], list[Skipped]]:
    """The vectors (m, d) of the documents' pictures, which of them (n,) could be opened, and the
    others. ``encoder`` is ``seeing``, or remembers what that has encoded before."""
    ids, places = documents["id"].to_pylist(), documents["picture"].to_pylist()
    vectors = encoder.encode(places, PICTURE, progress=progress, stop=stop)
    skipped = [
        one
        for id, place in zip(ids, places, strict=True)
        if (one := _skipped(id, place, seeing)) is not None
    ]
    gone = {one.picture for one in skipped}
    good = np.array([place not in gone for place in places], bool)
    if not np.isfinite(vectors[good]).all():
        raise WorkbenchError(
            "The model gives vectors that are not numbers, so nothing can be searched with it.",
            "Try fp32 precision; if that does not help, the model's weights are broken.",
        )
    return vectors[good], good, skipped


def _skipped(id: str, place: str, seeing: Seeing) -> Skipped | None:
    if (error := seeing.broken.get(place)) is not None:
        return Skipped(id, place, error.problem, error.detail)
    # What was encoded before is remembered even where the file has gone since.
    if not (seeing.folder / place).is_file():
        return Skipped(id, place, "picture-missing", _MISSING)
    return None


def summary(reader: DatasetReader, rows: Rows, skipped: Sequence[Skipped]) -> dict[str, Any]:
    """What the record of an index of pictures says besides; ``rows`` are those with pictures."""
    without = int(reader.counts["documents"]) - len(rows_with_pictures(reader))
    return {
        "skipped": len(skipped),
        "skipped_pictures": [one.to_dict() for one in skipped[:_LISTED]],
        "without_picture": without,
        "notes": notes(len(rows), skipped, without),
    }


def notes(pictures: int, skipped: Sequence[Skipped], without: int) -> list[str]:
    """What is not in the index, in sentences."""
    said = []
    if skipped:
        named = "; ".join(f"{one.id} ({one.detail})" for one in skipped[:_NAMED])
        more = " ..." if len(skipped) > _NAMED else ""
        said.append(
            f"{len(skipped):,} of {pictures + len(skipped):,} pictures cannot be opened and are "
            f"not in the index: {named}{more}"
        )
    if without:
        said.append(f"{without:,} documents have no picture and are not in the index.")
    return said


def none_left(name: str, skipped: Sequence[Skipped]) -> BadInput:
    """Nothing would be in the index."""
    about = f" The first, {skipped[0].id}: {skipped[0].detail}." if skipped else ""
    return BadInput(
        f"None of the pictures of '{name}' can be opened.{about}",
        "Import them again.",
    )


def only_texts(index: Index) -> ModelUnusable:
    """A picture cannot be looked for where there are only texts."""
    return ModelUnusable(
        f"The index '{index.name}' is of texts: '{index.model}' reads no pictures.",
        "Choose an index of pictures, built with a model of kind image-text, or ask it in words.",
    )


def picture_request(
    indexes: Sequence[Index], picture: Path, top_k: int, where: str = "", without: str = ""
) -> SearchPicture:
    """What the search process is asked; raises :class:`ModelUnusable` for an index of texts, and
    :class:`BadInput` where there is no such file."""
    for index in indexes:
        if not of_pictures(index):
            raise only_texts(index)
    ids, path = [index.id for index in indexes], str(check_file(picture))
    return SearchPicture(ids, path, top_k, checked_filter(where), without)


def check_file(picture: Path) -> Path:
    """A picture to search with, as an absolute path; raises :class:`BadInput` where there is no
    such file."""
    try:
        whole = picture.expanduser().resolve()
        there = whole.is_file()
    except (OSError, RuntimeError, ValueError):
        there = False
    if not there:
        raise BadInput(f"There is no picture '{picture}'.", "Give the path of a picture's file.")
    return whole
