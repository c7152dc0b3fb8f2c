"""Which data sets, models and indexes a job's recipe means: their ids, beside their names."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0006"
down_revision = "0005"

#: The recipes' fields that name one, or a list of them, and the table that it is in.
_FIELDS = {
    "datasets": ("dataset", "datasets", "second_dataset"),
    "models": (
        "base",
        "first_stage",
        "guide_model",
        "judge",
        "local_model",
        "model",
        "models",
        "piece_model",
        "pictures_by",
        "reranker",
        "rerankers",
        "retrievers",
        "round_trip",
        "source",
        "tokenizer",
    ),
    "indexes": ("index",),
}
#: Words of such fields that stand for no model of the workspace.
_WORDS = ("auto", "given", "bm25")
#: Finds the id of what a job, begun at that time, called so in a field; None where it is not there.
_Find = Callable[[str, str, float | None], str | None]


def upgrade() -> None:
    column = sa.Column("references", sa.JSON(), nullable=False, server_default="{}")
    op.add_column("jobs", column)
    names = ("id", "started_at")
    jobs = sa.table(
        "jobs",
        *(sa.column(name) for name in names),
        sa.column("recipe", sa.JSON()),
        sa.column("references", sa.JSON()),
    )
    connection, find = op.get_bind(), _finder()
    known: dict[str, dict[str, str]] = {}
    for row in connection.execute(sa.select(jobs)).all():
        if found := dict(_references(row.recipe, row.started_at, find)):
            known[row.id] = found
            mine = jobs.update().where(jobs.c.id == row.id)
            connection.execute(mine.values({"references": found}))
    # Files last, and so that it may be done twice: a database change can be undone, a file cannot.
    home = context.config.attributes.get("home")
    for id, found in known.items() if home is not None else ():
        _write(Path(home) / "jobs" / id / "recipe.json", found)


def _finder() -> _Find:
    table_of = {field: table for table, fields in _FIELDS.items() for field in fields}
    ids: dict[tuple[str, str], tuple[str, float]] = {}
    names: dict[tuple[str, str], tuple[str, float]] = {}
    for table in _FIELDS:
        summary = [sa.column("summary", sa.JSON())] if table == "models" else []
        columns: list[sa.ColumnClause[Any]] = [
            sa.column(one) for one in ("id", "name", "created_at")
        ]
        for row in op.get_bind().execute(
            sa.select(*columns, *summary).select_from(sa.table(table))
        ):
            # The packaged model comes back by itself, with another id.
            if not summary or row.summary.get("origin") != "packaged":
                ids[table, row.id] = names[table, row.name] = (row.id, row.created_at)
    called = ids | names

    def find(field: str, name: str, begun: float | None) -> str | None:
        if name.strip().lower() in _WORDS:
            return None
        id, since = called.get((table_of.get(field, ""), name.strip()), (None, 0.0))
        # Begun before that one was there: it meant another of the name, which has been removed.
        return None if begun is not None and begun < since else id

    return find


def _references(
    values: dict[str, Any], begun: float | None, find: _Find, above: str = ""
) -> Iterator[tuple[str, str]]:
    for field, value in values.items():
        if isinstance(value, dict):
            yield from _references(value, begun, find, f"{above}{field}.")
        for at, name in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(name, str) and (id := find(field, name, begun)):
                place = f".{at}" if isinstance(value, list) else ""
                yield f"{above}{field}{place}", id


def _write(path: Path, references: dict[str, str]) -> None:
    """Whole or not at all. A file that cannot be read stays as it is: it is a copy of the record,
    and written anew when its job is resumed."""
    beside = path.with_name(path.name + ".new")
    try:
        content = {**json.loads(path.read_text(encoding="utf-8")), "references": references}
        beside.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    except (OSError, ValueError, TypeError):
        beside.unlink(missing_ok=True)
        return
    beside.replace(path)
