"""What a model's and a job's folder take on disk."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Not known of what is there already: each folder is measured at the first look, and then kept.
    for table in ("models", "jobs"):
        op.add_column(table, sa.Column("bytes", sa.BigInteger(), nullable=True))
