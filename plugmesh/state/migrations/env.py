"""Alembic's entry point: runs on the connection that `plugmesh.state.migrate` hands over."""

from __future__ import annotations

from alembic import context

from plugmesh.state.migrations import resuming  # noqa: F401  what MySQL needs is known by its being imported
from plugmesh.state.schema import metadata
from plugmesh.state.schema_version import REVISION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, transaction_per_migration=True, version_table=REVISION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
