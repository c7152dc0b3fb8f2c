"""The tables, as SQLAlchemy sees them. Changing them needs a migration in ``migrations/versions``;
a test compares the two."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

# Constraints get predictable names, so that later migrations can alter them on every database.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Time = Float(53)
Json = JSON(none_as_null=True)

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("created_at", Time, nullable=False),
    Column("version", Integer, nullable=False),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("parent", Integer),
    Column("manifest", Text, nullable=False),
    Column("summary", Json, nullable=False),
    Column("created_at", Time, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("path", Text, nullable=False),
    Column("base", Text),
    Column("contract", Json, nullable=False),
    Column("summary", Json, nullable=False),
    Column("verdict", String(40), nullable=False),
    Column("job_id", String(40)),
    Column("created_at", Time, nullable=False),
    Column("bytes", BigInteger),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("task", String(80), nullable=False),
    Column("name", Text, nullable=False),
    Column("recipe", Json, nullable=False),
    Column("references", Json, nullable=False, server_default="{}"),
    Column("status", String(20), nullable=False, index=True),
    Column("slot_kind", String(20), nullable=False),
    Column("slot", String(80)),
    Column("after", String(40)),
    Column("attempt", Integer, nullable=False),
    Column("cancel_requested_at", Time),
    Column("supervisor", Text),
    Column("handle", Text),
    Column("heartbeat_at", Time),
    Column("progress", Json, nullable=False),
    Column("result", Json),
    Column("error", Json),
    Column("created_at", Time, nullable=False),
    Column("started_at", Time),
    Column("finished_at", Time),
    Column("changed_at", Time, nullable=False, index=True),
    Column("bytes", BigInteger),
)

# Two supervisors can never give one slot to two jobs, whatever database stands behind: it refuses.
Index(
    "uq_jobs_running_slot",
    jobs.c.slot,
    unique=True,
    sqlite_where=jobs.c.status == "running",
    postgresql_where=jobs.c.status == "running",
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("at", Time, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)

# Ids only ever grow (AUTOINCREMENT): a chart asks for rows after the last id it has, and must not
# miss the rows that replace the ones a resumed run took back.
metrics = Table(
    "metrics",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("at", Time, nullable=False),
    Column("numbers", Json, nullable=False),
    Index("ix_metrics_job", "job_id", "id"),
    sqlite_autoincrement=True,
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("job_id", String(40), index=True),
    Column("dataset_id", String(40), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("split", String(20), nullable=False),
    Column("model", Text, nullable=False),
    Column("model_id", String(40)),
    Column("queries", Integer, nullable=False),
    Column("documents", Integer, nullable=False),
    Column("metrics", Json, nullable=False),
    Column("settings", Json, nullable=False),
    Column("path", Text, nullable=False),
    Column("created_at", Time, nullable=False),
)

indexes = Table(
    "indexes",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("dataset_id", String(40), nullable=False),
    Column("version", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_id", String(40)),
    Column("type", String(40), nullable=False),
    Column("path", Text, nullable=False),
    Column("documents", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("contract", Json, nullable=False),
    Column("summary", Json, nullable=False),
    Column("created_at", Time, nullable=False),
    UniqueConstraint("name"),
)

# A blind test's answers: which of two sides a person found better for one query.
picks = Table(
    "picks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("dataset_id", String(40), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("query", Text, nullable=False),
    Column("first", Text, nullable=False),
    Column("second", Text, nullable=False),
    Column("winner", String(10), nullable=False),
    Column("detail", Json, nullable=False),
    Column("created_at", Time, nullable=False),
)
