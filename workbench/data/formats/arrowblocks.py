"""Rows that are Arrow's columns already: no text of them becomes a Python object."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data.batch import Array
from workbench.data.formats.tables import MISSING, BadList, listed
from workbench.data.shapes.blocks import Doubt

#: Bytes that a text of blanks only can begin with: ASCII's, and those of U+0085 to U+3000.
_MAY_BE_BLANK = np.zeros(256, bool)
_MAY_BE_BLANK[[*range(0x21), 0xC2, 0xE1, 0xE2, 0xE3]] = True
#: Bytes that a cell with a list can begin with.
_MAY_BE_LIST = _MAY_BE_BLANK.copy()
_MAY_BE_LIST[[*b"[(a{s"]] = True
_LONGEST_MISSING = max(map(len, MISSING))


@dataclass(frozen=True, slots=True)
class ArrowBlock:
    """``cells``: the columns are texts out of a table's cells, which may stand for other things."""

    lines: Array
    table: pa.RecordBatch
    cells: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.table.schema.names)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def without(self, name: str) -> "ArrowBlock":
        return replace(self, table=self.table.drop_columns([name]))

    def values(self, name: str) -> Sequence[Any]:
        try:
            found: list[Any] = self.table.column(name).to_pylist()
        except (ValueError, OverflowError) as error:  # It is beyond Python, or not UTF-8.
            raise Doubt from error
        if not self.cells:
            return found
        known = name.lower().endswith("id")
        if not known and any(_is_missing(one) for one in found):
            raise Doubt
        return [_meant(one) for one in found]

    def text(self, name: str) -> pa.StringArray:
        if name not in self.names:
            raise Doubt
        array = _strings(self.table.column(name))
        if array.null_count:
            raise Doubt
        self._check(name, array)
        return array

    def texts(self, names: Sequence[str]) -> tuple[pa.StringArray, Array]:
        columns = [self._column(name) for name in names]
        counts = np.array([count for _, count in columns])
        if len(columns) == 1:
            return columns[0][0], counts
        owner = np.concatenate([np.repeat(np.arange(len(self)), count) for count in counts])
        order = np.argsort(owner, kind="stable")
        return pa.concat_arrays([texts for texts, _ in columns]).take(pa.array(order)), counts

    def _column(self, name: str) -> tuple[pa.StringArray, Array]:
        """The texts of a column of texts or lists of texts, and how many each row has."""
        array = self.table.column(name)
        kind = array.type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            counts = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
            texts = _strings(array.flatten())
            if texts.null_count:
                raise Doubt
        else:
            texts = _strings(array)
            filled = pc.fill_null(pc.greater(pc.binary_length(texts), 0), False)
            counts = filled.to_numpy(zero_copy_only=False)
            texts = texts if counts.all() else texts.filter(filled)
        self._check(name, texts)
        return texts, counts.astype(np.int64)

    def _check(self, name: str, texts: pa.StringArray) -> None:
        """Raise :class:`Doubt` for a text that is blank, broken, or stands for something else."""
        if not len(texts):
            return
        _, offsets, data = texts.buffers()
        ends = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
        held = np.frombuffer(data or b"", np.uint8)
        if (ends[1:] == ends[:-1]).any():
            raise Doubt
        if held[ends[0] : ends[-1]].max() >= 0x80:
            try:
                texts.validate(full=True)
            except pa.ArrowException as error:
                raise Doubt from error
        firsts = held[ends[:-1]]
        odd = (_MAY_BE_LIST if self.cells else _MAY_BE_BLANK)[firsts]
        if self.cells and not name.lower().endswith("id"):
            odd |= ends[1:] - ends[:-1] <= _LONGEST_MISSING
        for one in texts.take(pa.array(np.flatnonzero(odd))).to_pylist():
            if one.isspace() or (self.cells and (_is_missing(one) or _meant(one) is not one)):
                raise Doubt


def _strings(array: Any) -> pa.StringArray:
    """A column of texts as what everything here reads. Raises :class:`Doubt` for other columns."""
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise Doubt
    try:
        return array.cast(pa.string())
    except pa.ArrowException as error:
        raise Doubt from error


def _is_missing(cell: str) -> bool:
    return len(cell) <= _LONGEST_MISSING and cell.strip() in MISSING


def _meant(cell: str) -> Any:
    """The list that a cell holds, or the cell itself."""
    try:
        return listed(cell)
    except BadList as error:
        raise Doubt from error
