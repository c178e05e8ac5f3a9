"""Migrations of MySQL, which commits each change of a schema by itself: what is there already is not made again.

It was made by a process that was killed before it could write down that its migration is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic.ddl.mysql import MySQLImpl


class Resuming(MySQLImpl):
    """Alembic's own, looking before it leaps."""

    __dialect__ = "mysql"

    def create_table(self, table: sa.Table, **kw: Any) -> None:
        """See `DefaultImpl`."""
        if not self._look().has_table(table.name):
            super().create_table(table, **kw)

    def drop_table(self, table: sa.Table, **kw: Any) -> None:
        """See `DefaultImpl`."""
        if self._look().has_table(table.name):
            super().drop_table(table, **kw)

    def add_column(self, table_name: str, column: sa.Column[Any], **kw: Any) -> None:
        """See `DefaultImpl`."""
        if column.name not in self._names(self._look().get_columns(table_name)):
            super().add_column(table_name, column, **kw)

    def drop_column(self, table_name: str, column: sa.Column[Any], **kw: Any) -> None:
        """See `DefaultImpl`."""
        if column.name in self._names(self._look().get_columns(table_name)):
            super().drop_column(table_name, column, **kw)

    def create_index(self, index: sa.Index, **kw: Any) -> None:
        """See `DefaultImpl`."""
        if index.name not in self._indexes(index):
            super().create_index(index, **kw)

    def drop_index(self, index: sa.Index, **kw: Any) -> None:
        """See `DefaultImpl`."""
        if index.name in self._indexes(index):
            super().drop_index(index, **kw)

    def _look(self) -> sa.Inspector:
        if self.connection is None:
            raise RuntimeError("migrations are run on a connection, not written into a file")
        return sa.inspect(self.connection)

    def _indexes(self, index: sa.Index) -> frozenset[Any]:
        return frozenset() if index.table is None else self._names(self._look().get_indexes(index.table.name))

    def _names(self, found: Iterable[Any]) -> frozenset[Any]:
        return frozenset(one["name"] for one in found)
