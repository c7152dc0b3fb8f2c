"""Files that an export writes: lines, tables, one large JSON object; each counts its rows."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

_GROUP = 10_000


class Sink(Protocol):
    """A file being written."""

    rows: int

    def write(self, row: Mapping[str, Any]) -> None: ...
    def close(self) -> None: ...


class JsonLines:
    """One JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.rows = 0

    def write(self, row: Mapping[str, Any]) -> None:
        self._file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self.rows += 1

    def close(self) -> None:
        self._file.close()


class Delimited:
    """CSV, or with tabs; the header is there also when there are no rows."""

    def __init__(self, path: Path, columns: Sequence[str], mark: str = ",") -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._columns = columns
        # A lone CR ends a line for some readers; csv quotes it only from Python 3.13 on.
        self._plain, self._quoted = (
            csv.writer(self._file, delimiter=mark, lineterminator="\n", quoting=quoting)
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC)
        )
        self._plain.writerow(columns)
        self.rows = 0

    def write(self, row: Mapping[str, Any]) -> None:
        cells = [row.get(name, "") for name in self._columns]
        broken = any(isinstance(cell, str) and "\r" in cell for cell in cells)
        (self._quoted if broken else self._plain).writerow(cells)
        self.rows += 1

    def close(self) -> None:
        self._file.close()


class Columns:
    """Parquet, in row groups as they fill."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema)
        self._schema = schema
        self._waiting: list[Mapping[str, Any]] = []
        self.rows = 0

    def write(self, row: Mapping[str, Any]) -> None:
        self._waiting.append(row)
        self.rows += 1
        if len(self._waiting) >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        table = pa.Table.from_pylist([dict(row) for row in self._waiting], self._schema)
        self._writer.write_table(table)
        self._waiting = []

    def close(self) -> None:
        if self._waiting:
            self._flush()
        self._writer.close()


class JsonObject:
    """One JSON object of objects, written member by member: nothing is held."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("w", encoding="utf-8")
        self._file.write("{")
        self._first = True
        self._empty = True
        self.rows = 0

    def begin(self, name: str) -> None:
        self._file.write(f"{'' if self._first else ','}\n{json.dumps(name)}: {{")
        self._first, self._empty = False, True

    def member(self, key: str, value: Any) -> None:
        text = f"{_text(key)}: {_text(value)}"
        self._file.write(f"{'' if self._empty else ','}\n {text}")
        self._empty = False

    def end(self) -> None:
        self._file.write("\n}")

    def plain(self, name: str, value: Any) -> None:
        self._file.write(f",\n{json.dumps(name)}: {_text(value)}")

    def close(self) -> None:
        self._file.write("\n}\n")
        self._file.close()


def table_sink(path: Path, columns: Sequence[str], number: str = "") -> Sink:
    """The sink that a file's name asks for; ``number`` is the column that holds a number."""
    if path.suffix == ".jsonl":
        return JsonLines(path)
    if path.suffix == ".csv":
        return Delimited(path, columns)
    kinds = [(name, pa.float32() if name == number else pa.string()) for name in columns]
    return Columns(path, pa.schema(kinds))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
