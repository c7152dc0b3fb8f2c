"""What is to change in a data set, in the row numbers of the version it is changed from."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.data.writer import CANDIDATES, QUERIES
from workbench.errors import BadInput
from workbench.recipes.data import (
    ExportDataRecipe,
    MergeDataRecipe,
    ResplitRecipe,
)
from workbench.workspace import Workspace

Array = np.ndarray[Any, Any]
Rows = Collection[int] | Array
#: (query, document) each; an array of two columns, or pairs.
Links = Collection[tuple[int, int]] | Array
#: (query, document, grade) each.
Judgments = Collection[tuple[int, int, int]] | Array
#: As ``replace_origin``: all candidates there were make room for the new ones.
EVERY = "*"

#: New queries: ``id``, ``prompt`` and ``fields`` may be null.
NEW_QUERIES = QUERIES


@dataclass(frozen=True, slots=True)
class Changes:
    """Every field is optional. Rows are those of the version that is changed.

    New documents and queries are known by the numbers that follow the last old one, in the order
    given: judgments and candidates may name them.
    """

    drop_queries: Rows = ()
    #: Their judgments and candidates go with them.
    drop_documents: Rows = ()
    #: Duplicate -> the document that is kept and takes over its judgments and candidates.
    same_documents: Mapping[int, int] = field(default_factory=dict)
    drop_judgments: Links = ()
    drop_candidates: Links = ()
    add_judgments: Judgments = ()
    #: Columns query, document and, where known, origin, rank and score; added to what is there.
    candidates: pa.Table | None = None
    #: Old candidates of this origin go first; :data:`EVERY` names all of them.
    replace_origin: str = ""
    #: Query -> 'train', 'dev' or 'test'.
    move_queries: Mapping[int, str] = field(default_factory=dict)
    #: Columns text and split and, where known, id, prompt and fields.
    new_queries: pa.Table | None = None
    #: Column text and, where known, id, title, picture and fields.
    new_documents: pa.Table | None = None
    #: Scored pairs by their place in the pairs table.
    drop_pairs: Rows = ()
    move_pairs: Mapping[int, str] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        return not any(_size(getattr(self, one.name)) for one in fields(self))


def _size(value: Any) -> int:
    return 0 if value is None else len(value)


def rows_of(rows: Rows) -> Array:
    """Row numbers, ascending, each once."""
    return np.unique(_numbers(rows, 1)[:, 0])


def links_of(links: Links) -> Array:
    """One number for each (query, document), ascending."""
    pairs = _numbers(links, 2)
    return np.unique(keys_of(pairs[:, 0], pairs[:, 1]))


def judgments_of(judgments: Judgments) -> Array:
    """An array of query, document, grade."""
    return _numbers(judgments, 3)


def keys_of(queries: Array, documents: Array) -> Array:
    """One number for each (query, document)."""
    return np.asarray((queries.astype(np.int64) << 32) | documents.astype(np.int64))


def candidates_of(table: pa.Table | None, default: str) -> pa.Table:
    """Candidates with all columns, sorted by query and, where they have one, rank."""
    if table is None:
        return CANDIDATES.empty_table()
    blanks = {
        "origin": pa.array([default] * table.num_rows, pa.string()),
        "rank": pa.nulls(table.num_rows, pa.int32()),
        "score": pa.nulls(table.num_rows, pa.float32()),
    }
    whole = with_columns(table, CANDIDATES, blanks)
    return whole.sort_by([("query", "ascending"), ("rank", "ascending")])


def with_columns(
    table: pa.Table, schema: pa.Schema, blanks: Mapping[str, pa.Array] | None = None
) -> pa.Table:
    """The table with the schema's columns; those it has not are blank."""
    known = table.column_names
    columns = [
        table[one.name].cast(one.type)
        if one.name in known
        else (blanks or {}).get(one.name, pa.nulls(table.num_rows, one.type))
        for one in schema
    ]
    return pa.table(columns, schema=schema)


def _numbers(values: Iterable[Any], width: int) -> Array:
    listed = values if isinstance(values, np.ndarray) else list(values)
    return np.asarray(listed, np.int64).reshape(-1, width)


# Checks what is to be done with a data set when it is asked for: bad input stops at the click.


def prepare_merge(recipe: MergeDataRecipe, _workspace: Workspace, _waits: bool) -> MergeDataRecipe:
    """Raises :class:`BadInput` for one data set named twice."""
    if len(set(recipe.datasets)) < len(recipe.datasets):
        raise BadInput("A data set cannot be merged with itself.", "Name each only once.")
    return recipe


def prepare_resplit(recipe: ResplitRecipe, _workspace: Workspace, _waits: bool) -> ResplitRecipe:
    """Raises :class:`BadInput` where nothing says how to split, or nothing is left to train on."""
    if recipe.dev_share + recipe.test_share >= 1:
        raise BadInput("Nothing would be left to train on.", "Set smaller shares.")
    if recipe.by == "field" and not recipe.field:
        raise BadInput("By which column?", "Name an own column of the queries or documents.")
    return recipe


def prepare_export(
    recipe: ExportDataRecipe, _workspace: Workspace, _waits: bool
) -> ExportDataRecipe:
    """With an absolute output that holds nothing yet. Raises :class:`BadInput`."""
    if not recipe.output:
        return recipe
    path = Path(recipe.output).expanduser().absolute()
    refuse_taken(path)
    return recipe.model_copy(update={"output": str(path)})


def refuse_taken(path: Path) -> None:
    """Nothing is ever overwritten by an export."""
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise BadInput(f"There is something at '{path}' already.", "Choose another place.")
