"""Alembic's entry point: runs on the connection that `plugmesh.state.migrate` hands over."""

from __future__ import annotations

from alembic import context

from plugmesh.state.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
