"""Statements that SQLAlchemy Core compiled once, to be run with tuples straight on the DBAPI connection."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite


class Statement:
    """An SQL text for one database, and the order in which it takes its values."""

    def __init__(self, clause: sa.sql.ClauseElement, dialect: sa.engine.Dialect) -> None:
        compiled = clause.compile(dialect=dialect)
        self.text = str(compiled)
        self.names: tuple[str, ...] = tuple(getattr(compiled, "positiontup", None) or ())
        self._get: Any = itemgetter(*self.names) if len(self.names) > 1 else self._one_or_none
        self._constants = {name: value for name, value in (compiled.params or {}).items() if value is not None}

    def values(self, named: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values in the order of the text."""
        found: tuple[Any, ...] = self._get({**self._constants, **named} if self._constants else named)
        return found

    def _one_or_none(self, named: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(named[name] for name in self.names)


def positional(dialect: sa.engine.Dialect) -> sa.engine.Dialect:
    """The dialect whose texts take tuples."""
    return sqlite.dialect(paramstyle="qmark") if dialect.name == "sqlite" else dialect
