"""Which module versions ended the processes that ran them: what quarantine counts, and what a person is shown of it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from plugmesh.state.reads import Reader
from plugmesh.state.records import Conviction
from plugmesh.state.schema import conviction

MOST_CONVICTIONS = 10_000
"""So many are read at start. They are of an hour's runs, unless nobody has looked at deaths for months."""


def convictions(reader: Reader, limit: int = MOST_CONVICTIONS) -> list[Conviction]:
    """The newest ones of all modules, oldest first."""
    return _read(reader, sa.select(conviction).order_by(conviction.c.at.desc()).limit(limit))


def convictions_of(reader: Reader, module: str, limit: int) -> list[Conviction]:
    """The newest ones of a module, oldest first."""
    query = sa.select(conviction).where(conviction.c.module == module)
    return _read(reader, query.order_by(conviction.c.at.desc()).limit(limit))


def _read(reader: Reader, newest_first: sa.Select[Any]) -> list[Conviction]:
    return [Conviction(*row) for row in reversed(reader.rows(newest_first))]
