"""Bringing a database to the newest schema with Alembic, without an ini file."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from plugmesh.errors import ConfigurationError

HEAD = "0004"
"""The newest revision; checked by a test against the folder of revisions."""


def upgrade(connection: sa.Connection) -> None:
    """Run the migrations that are missing. Raises `ConfigurationError` for a database of a newer Plugmesh."""
    current = _current(connection)
    if current == HEAD:
        return
    if current is not None and current > HEAD:
        raise ConfigurationError(
            f"the database has schema {current}, this Plugmesh knows {HEAD}: start it with a newer version"
        )
    from alembic import command  # slow to import, and only needed when something changes
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    if connection.dialect.name == "sqlite":
        # All or nothing: a process that is killed halfway must not leave tables that the next one stumbles over. The
        # driver begins nothing by itself here, and Alembic leaves a transaction that it finds to its caller.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    command.upgrade(config, "head")
    connection.commit()


def _current(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    value = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    connection.rollback()
    return None if value is None else str(value)
