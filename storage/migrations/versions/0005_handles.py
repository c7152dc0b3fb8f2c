"""Where a job runs, as a text of its launcher's; who supervises it, as a text, too."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for name in ("supervisor", "handle"):
        op.add_column("jobs", sa.Column(name, sa.Text(), nullable=True))
    names = ("id", "supervisor_pid", "supervisor_started", "runner_pid", "runner_started")
    jobs = sa.table("jobs", *(sa.column(name) for name in (*names, "supervisor", "handle")))
    connection = op.get_bind()
    known = jobs.c.supervisor_pid.is_not(None) | jobs.c.runner_pid.is_not(None)
    for row in connection.execute(sa.select(jobs).where(known)).all():
        values = {}
        if row.supervisor_pid is not None:
            values["supervisor"] = f"{row.supervisor_pid}@{row.supervisor_started}"
        if row.runner_pid is not None:
            values["handle"] = f"local:{row.runner_pid}@{row.runner_started}"
        connection.execute(jobs.update().where(jobs.c.id == row.id).values(**values))
    for name in ("supervisor", "runner", "worker"):
        op.drop_column("jobs", f"{name}_pid")
        op.drop_column("jobs", f"{name}_started")
