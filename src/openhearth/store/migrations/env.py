"""Alembic's entry: runs the migrations in the transaction that `store.upgrading` has begun."""

from alembic import context

# Alembic takes SQLite's schema changes for untransactional, as Python's driver makes them by default; ours begins the transaction itself.
context.configure(connection=context.config.attributes["connection"], render_as_batch=True, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
