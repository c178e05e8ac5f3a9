"""What the schema of a database is, compared with what it should be."""

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from plugmesh.state.migrate import HEAD
from plugmesh.state.schema import metadata
from plugmesh.state.schema_version import OLDEST_TABLE, REVISION_TABLE


def check_schema(connection: sa.Connection) -> None:
    """The database has today's tables, and says so."""

    def belongs(thing: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
        """Indexes may be for one kind of database only."""
        made_for = getattr(thing, "_ddl_if", None) if kind == "index" else None
        return made_for is None or made_for.dialect == connection.dialect.name

    options = {"version_table": REVISION_TABLE, "include_name": lambda name, *_: name != OLDEST_TABLE}
    context = MigrationContext.configure(connection, opts={**options, "include_object": belongs})
    assert compare_metadata(context, metadata) == []
    assert context.get_current_revision() == HEAD
