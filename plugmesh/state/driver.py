"""What differs between the databases once a connection is there: how a transaction begins, and what an error means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from sqlalchemy.pool import NullPool

LOCK_WAIT_S = 10
"""A transaction waits so long for a row that somebody else holds, and a server lets one live that says nothing: a scheduler that
was stopped in the middle must not keep its shards."""
TRIES = 10
"""Of a transaction that another one got in the way of: the database lets one of them through each time."""
TRIES_BEATEN = 2
"""Of one that found a row of another one under the key of its own: then it knows that row. Most such keys are a user's."""

ENGINE: Mapping[str, Any] = MappingProxyType(
    {
        "poolclass": NullPool,
        "paramstyle": "format",
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
    }
)
"""What SQLAlchemy is told of a server: connections are not shared, and transactions begin and end where we say so."""

Execute: TypeAlias = Callable[[str, Sequence[Any]], Any]
"""Runs one statement with its values in order; returns the cursor."""
ExecuteMany: TypeAlias = Callable[[str, Sequence[Sequence[Any]]], Any]
"""Runs one statement with many rows of values."""


class Driver(Protocol):
    """One kind of database."""

    guarded: tuple[str, ...]
    """Statements that begin a transaction whose rows are locked by its own first updates."""
    isolated: tuple[str, ...]
    """Statements that begin a transaction which ends as if no other had run beside it, or fails and is tried again."""
    returns_keys: bool
    """An INSERT can return what it has numbered; else the cursor has it in `lastrowid`."""

    def calls(self, raw: Any) -> tuple[Execute, ExecuteMany]:
        """How statements are run on a connection of the driver."""
        ...

    def lost(self, raw: Any, error: BaseException) -> bool:
        """Whether the connection is of no use any more."""
        ...

    def tries(self, error: BaseException) -> int:
        """How often a transaction may be tried in all that failed so: more than once if another one was in its way."""
        ...

    def refused(self, error: BaseException) -> bool:
        """Whether no connection can be had before somebody changes the URL, or the rights of its user."""
        ...


class Sqlite:
    """A file, or memory, that one process has open."""

    guarded: tuple[str, ...] = ("BEGIN IMMEDIATE",)
    isolated: tuple[str, ...] = guarded
    returns_keys = True

    def calls(self, raw: Any) -> tuple[Execute, ExecuteMany]:
        """The connection's own methods."""
        return raw.execute, raw.executemany

    def lost(self, raw: Any, error: BaseException) -> bool:
        """There is nothing to lose."""
        return False

    def tries(self, error: BaseException) -> int:
        """Nobody else writes."""
        return 1

    def refused(self, error: BaseException) -> bool:
        """What is wrong with a file can be put right while a process waits for it."""
        return False
