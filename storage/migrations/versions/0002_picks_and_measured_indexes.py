"""What an index was built as and measured at, and the answers of blind tests."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Older indexes are exact and were not measured; an empty summary says just that.
    op.add_column("indexes", sa.Column("summary", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "picks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("dataset_id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("first", sa.Text(), nullable=False),
        sa.Column("second", sa.Text(), nullable=False),
        sa.Column("winner", sa.String(length=10), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_picks")),
    )
    op.create_index(op.f("ix_picks_dataset_id"), "picks", ["dataset_id"], unique=False)
