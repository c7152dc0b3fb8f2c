"""Alembic's entry: runs the migrations inside the transaction that ``storage.migrate`` opened."""

from alembic import context

from storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most things in place: batch mode copies the table.
    render_as_batch=True,
    # Our connections begin explicitly, so that SQLite undoes a half-done migration too.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
