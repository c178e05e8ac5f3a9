"""Which schema a database has, and who may work with it.

Two tables say so. `schema_revision` is Alembic's own: the newest migration that has run. `alembic_version` says the oldest
schema that a process may know and still work with the database: Plugmesh 0.1 looks nowhere else, and takes what stands
there for the schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import sqlalchemy as sa

REVISION_TABLE = "schema_revision"
OLDEST_TABLE = "alembic_version"


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """`revision`: the newest migration that has run, `None` without tables. `oldest`: what a process must know at least,
    `None` as long as the tables were never finished."""

    revision: str | None
    oldest: str | None

    @classmethod
    def of(cls, connection: sa.Connection) -> Self:
        """That of a database; Plugmesh 0.1 has written one number for both."""
        oldest = _value(connection, OLDEST_TABLE)
        return cls(_value(connection, REVISION_TABLE) or oldest, oldest)

    def lets(self, known: str) -> bool:
        """Whether processes that know the schema `known` may work with the database, as it is now."""
        return self.revision is not None and self.oldest is not None and self.oldest <= known <= self.revision

    @property
    def is_empty(self) -> bool:
        """There are no tables of a mesh, or somebody is about to make them."""
        return self.oldest is None


def put_revision(connection: sa.Connection, revision: str) -> None:
    """Write down the newest migration where nobody has: in a database of Plugmesh 0.1."""
    if _value(connection, REVISION_TABLE) is None:
        _put(connection, REVISION_TABLE, revision)


def put_oldest(connection: sa.Connection, oldest: str) -> None:
    """From now on processes must know this schema at least."""
    _put(connection, OLDEST_TABLE, oldest)


def _value(connection: sa.Connection, name: str) -> str | None:
    if not sa.inspect(connection).has_table(name):
        return None
    value = connection.execute(sa.select(_table(name).c.version_num)).scalar()
    return None if value is None else str(value)


def _put(connection: sa.Connection, name: str, value: str) -> None:
    table = _table(name)
    table.create(connection, checkfirst=True)
    if connection.execute(sa.update(table).values(version_num=value)).rowcount == 0:
        connection.execute(sa.insert(table).values(version_num=value))


def _table(name: str) -> sa.Table:
    """As Alembic makes it."""
    column = sa.Column("version_num", sa.String(32), nullable=False)
    return sa.Table(name, sa.MetaData(), column, sa.PrimaryKeyConstraint("version_num", name=f"{name}_pkc"))
