"""Tasks and recipe fields by the names that the field uses: 'data-check', 'second_dataset' ..."""

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0004"
down_revision = "0003"

_TASKS = {"doctor": "data-check", "doctor-mend": "data-fix"}
#: Each task's old recipe fields.
_FIELDS = {
    "doctor-mend": {"mends": "fixes"},
    "evaluate": {"also": "second_dataset", "way": "evaluation_mode"},
    "blend": {"second": "second_dataset"},
}
_ROWS = {"way": "evaluation_mode"}
_CONCERNED = (*_TASKS, "evaluate", "matrix", "blend")


def upgrade() -> None:
    _jobs()
    _evaluations()
    # Files last, and so that it may be done twice: a database change can be undone, a file cannot.
    home = context.config.attributes.get("home")
    if home is not None:
        _files(Path(home))


def _jobs() -> None:
    jobs = _table("jobs", "task", "name", recipe=sa.JSON(), result=sa.JSON())
    connection = op.get_bind()
    concerned = jobs.c.task.in_(_CONCERNED)
    for row in connection.execute(sa.select(jobs).where(concerned)).all():
        values = {
            "task": _TASKS.get(row.task, row.task),
            # A job without a name of its own is called like its task.
            "name": _TASKS.get(row.name, row.name) if row.name == row.task else row.name,
            "recipe": _renamed(row.recipe, _FIELDS.get(row.task, {})),
        }
        if row.result is not None:
            values["result"] = _result(row.task, row.result)
        connection.execute(jobs.update().where(jobs.c.id == row.id).values(values))


def _evaluations() -> None:
    evaluations = _table("evaluations", settings=sa.JSON())
    connection = op.get_bind()
    for row in connection.execute(sa.select(evaluations)).all():
        settings = _renamed(row.settings, _FIELDS["evaluate"])
        if settings != row.settings:
            mine = evaluations.c.id == row.id
            connection.execute(evaluations.update().where(mine).values(settings=settings))


def _files(home: Path) -> None:
    for path in sorted(home.glob("jobs/*/recipe.json")):
        content = _read(path)
        task = content.get("task", "")
        # One that was renamed before the migration was undone is known by its new name.
        old = {new: name for name, new in _TASKS.items()}.get(task, task)
        if old not in _CONCERNED:
            continue
        if content.get("name") == task:
            content["name"] = _TASKS.get(old, task)
        recipe = _renamed(content.get("recipe", {}), _FIELDS.get(old, {}))
        _write(path, {**content, "task": _TASKS.get(old, old), "recipe": recipe})
        for name in ("result.json", "report.json"):
            if (path.parent / name).is_file():
                _write(path.parent / name, _result(old, _read(path.parent / name)))
        if (path.parent / "mends.npz").is_file():
            (path.parent / "mends.npz").replace(path.parent / "fixes.npz")
    for path in sorted(home.glob("datasets/*/v*/manifest.json")):
        if '"doctor-mend"' in path.read_text(encoding="utf-8"):
            _write(path, _manifest(_read(path)))


def _manifest(found: Any) -> Any:
    for step in found["lineage"]:
        if step.get("by") == "doctor-mend":
            step["by"] = _TASKS["doctor-mend"]
            step["what"] = "fixed" + step["what"].removeprefix("mended")
            step["recipe"] = _renamed(step.get("recipe") or {}, _FIELDS["doctor-mend"])
    return found


def _table(name: str, *texts: str, **columns: Any) -> sa.TableClause:
    """The columns that are read here, as they are today and not as the program's tables are."""
    read = {"id": sa.String(), **dict.fromkeys(texts, sa.Text()), **columns}
    return sa.table(name, *(sa.column(each, kind) for each, kind in read.items()))


def _renamed(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in values.items()}


def _result(task: str, found: dict[str, Any]) -> dict[str, Any]:
    """A job's result, or the file of a worker that holds one, with the keys renamed."""
    if "result" in found and isinstance(found["result"], dict):
        return {**found, "result": _result(task, found["result"])}
    if task in ("doctor", "doctor-mend"):
        found = _renamed(found, _FIELDS["doctor-mend"])
        findings = found.get("findings", [])
        named = [_renamed(one, _FIELDS["doctor-mend"]) for one in findings]
        return {**found, "findings": named} if findings else found
    found = _renamed(found, {"also": "second_dataset"})
    if found.get("second_dataset"):
        found["second_dataset"] = _result(task, found["second_dataset"])
    if "rows" in found:
        found["rows"] = [_renamed(row, _ROWS) for row in found["rows"]]
    return found


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, content: Any) -> None:
    """Whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    beside.replace(path)
