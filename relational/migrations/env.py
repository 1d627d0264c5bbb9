"""Alembic runs this file for every command. The connection, and its transaction, come from `relational.migrations`."""

from alembic import context

from relational import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.schema,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
