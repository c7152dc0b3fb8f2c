"""Scored pairs on their way to disk: spooled as they come, written when their splits are known.

Test is never touched: a pair stays out of the other splits when it stands in test, either way
round, or when its left text does. Pairs of one left text always go into one split.
"""

import array
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.data import digests
from workbench.data.parts import SPLITS
from workbench.data.report import Report
from workbench.data.shapes.row import Pair
from workbench.data.splits import CODES, DEV, TRAIN, Shares, carve
from workbench.data.writer import PAIRS, Background, Inline, TableWriter

Array = np.ndarray[Any, Any]
FILE = "files/pairs.parquet"
_SPOOLED = pa.schema([PAIRS.field(name) for name in ("left", "right", "score", "fields")])
_BATCH = 5_000
#: An odd number: it spreads a score's bits over a digest.
_ODD = np.uint64(0x9E3779B97F4A7C15)


class PairSpool:
    """Collects the pairs of an import in ``folder``."""

    def __init__(self, folder: Path, background: Background) -> None:
        self.leaked: Counter[str] = Counter()
        self.carved: dict[str, int] = {}
        self._folder = folder
        self._background = background
        self._writer: TableWriter | None = None
        self._items: list[tuple[int, Pair]] = []
        self._report: Report | None = None
        self._split = TRAIN
        self._splits = array.array("b")  # per pair: its split as the files say
        self._groups = array.array("i")  # per pair: the number of its left text
        self._homes = {"left": array.array("b"), "pair": array.array("b")}
        self._seen = {name: digests.DigestRows() for name in ("left", "pair", "row")}

    @property
    def rows(self) -> int:
        """How many were kept. Ask after :meth:`flush`."""
        return len(self._splits)

    def begin(self, report: Report, split: str | None) -> None:
        """The pairs that follow come from this file."""
        self.flush()
        self._report, self._split = report, CODES[split or "train"]

    def add(self, line: int, pair: Pair) -> None:
        self._items.append((line, pair))
        if len(self._items) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        items, self._items = self._items, []
        if not items:
            return
        lines = [line for line, _ in items]
        table = pa.table(
            [
                pa.array([pair.left for _, pair in items], pa.string()),
                pa.array([pair.right for _, pair in items], pa.string()),
                pa.array([pair.score for _, pair in items], pa.float32()),
                pa.array([pair.fields or None for _, pair in items], pa.string()),
            ],
            schema=_SPOOLED,
        )
        groups, keep = self._judge(table, lines)
        if self._writer is None:
            spool = self._folder / "spool/pairs.parquet"
            self._writer = TableWriter(spool, _SPOOLED, self._background)
        self._writer.write(table.filter(pa.array(keep)))
        self._splits.extend([self._split] * int(keep.sum()))
        self._groups.extend(groups[keep].tolist())

    def _judge(self, table: pa.Table, lines: list[int]) -> tuple[Array, Array]:
        """Each pair's group, and whether it stays."""
        left, right = (digests.of_strings(_whole(table[name])) for name in ("left", "right"))
        groups, home = self._home("left", left)
        # A sum knows no order: a pair is the same either way round.
        _, pair_home = self._home("pair", left + right)
        home = np.maximum(home, pair_home)  # Test counts more than dev, and dev more than train.
        same = home == self._split
        for place in np.flatnonzero(~same).tolist():
            other = "dev" if home[place] == DEV else "test"
            self.leaked[other] += 1
            self._tell(f"leaked-{other}-query", lines[place])
        scores = table["score"].to_numpy().view(np.uint32).astype(np.uint64)
        rows = left * _ODD + right + (scores * _ODD)[:, None]
        unseen = np.zeros(len(lines), bool)
        unseen[self._seen["row"].resolve(rows, 0)[1]] = True
        for place in np.flatnonzero(same & ~unseen).tolist():
            self._tell("duplicate-row", lines[place])
        return groups, same & unseen

    def _home(self, kind: str, keys: Array) -> tuple[Array, Array]:
        """The number of each text or pair, and the split it was first read in."""
        homes = self._homes[kind]
        numbers, first = self._seen[kind].resolve(keys, len(homes))
        homes.extend([self._split] * len(first))
        return numbers, np.frombuffer(homes, np.int8)[numbers]

    def _tell(self, code: str, line: int) -> None:
        if self._report is not None:
            self._report.add(code, line, None)

    def finish(self, shares: Shares, check: Callable[[], None]) -> dict[str, int]:
        """Write the table; returns how many pairs each split has. Nothing without pairs."""
        self.flush()
        if self._writer is None:
            return {}
        self._writer.close()
        said = np.frombuffer(self._splits, np.int8)
        splits = carve(said, np.frombuffer(self._groups, np.int32), shares)
        self.carved = {
            name: int((splits != said)[splits == CODES[name]].sum()) for name in ("test", "dev")
        }
        self._write(splits, check)
        return {name: int((splits == code).sum()) for name, code in CODES.items()}

    def _write(self, splits: Array, check: Callable[[], None]) -> None:
        assert self._writer is not None
        names = np.array(SPLITS)
        writer = TableWriter(self._folder / FILE, PAIRS, Inline())
        start = 0
        with pq.ParquetFile(self._writer.path) as spool:
            for group in range(spool.num_row_groups):
                check()
                table = spool.read_row_group(group, use_threads=False)
                codes = splits[start : start + table.num_rows]
                start += table.num_rows
                label = pa.array(names[codes].tolist(), pa.string())
                labelled = table.append_column("split", label)
                writer.write(labelled.select(PAIRS.names).cast(PAIRS))
        writer.close()


def _whole(column: Any) -> pa.StringArray:
    return pa.concat_arrays(column.chunks)
