"""The types of columns, as they are right on every database. The migrations use them, too: what they mean does not change."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

_EXACT = {"postgresql": "C", "mysql": "utf8mb4_bin"}
"""Collations by which ids are compared byte by byte: large and small letters differ, and no update of a library on the
database's machine changes the order of an index."""

KEY: TypeEngine[int] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""An integer that the database numbers by itself; SQLite does so only for INTEGER."""


def string(length: int) -> TypeEngine[str]:
    """An id, a name or a word of at most so many characters."""
    exact: Any = sa.String(length)
    for dialect, collation in _EXACT.items():
        exact = exact.with_variant(sa.String(length, collation=collation), dialect)
    found: TypeEngine[str] = exact
    return found


TEXT: TypeEngine[str] = (
    sa.Text()
    .with_variant(sa.Text(collation=_EXACT["postgresql"]), "postgresql")
    .with_variant(mysql.LONGTEXT(collation=_EXACT["mysql"]), "mysql")
)
"""Text of any length: MySQL's TEXT ends after 64 KiB."""
