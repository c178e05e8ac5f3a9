"""One connection of one thread, and a new one when it was lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from plugmesh.errors import ConfigurationError, StateUnavailable
from plugmesh.state.database import Database
from plugmesh.state.driver import Execute, ExecuteMany
from plugmesh.state.statement import Statement

T = TypeVar("T")


class Session:
    """Statements on one connection. `connection` is for SQLAlchemy Core, `raw` the driver's.

    A connection that was lost is replaced when the next transaction or question begins.
    """

    def __init__(self, database: Database) -> None:
        self._database, self.driver = database, database.driver
        self.connection: sa.Connection
        self.raw: Any
        self.run: Execute
        self.run_many: ExecuteMany
        self._there = False
        self.open()

    def open(self) -> None:
        """Have a connection. Raises `StateUnavailable`."""
        if self._there:
            return
        self.connection = self._database.connect()
        self.raw = self.connection.connection.driver_connection
        self.run, self.run_many = self.driver.calls(self.raw)
        self._there = True

    def reopen(self) -> None:
        """Have a connection again; one that is not allowed any more may be allowed later. Raises `StateUnavailable`."""
        try:
            self.open()
        except ConfigurationError as error:
            raise StateUnavailable(str(error)) from error

    def drop(self) -> None:
        """Have no connection until one is needed."""
        self._there = False
        self.connection.invalidate()
        self.connection.close()

    def begin(self, guarded: bool) -> None:
        """Begin a transaction."""
        if not self._there:
            self.reopen()
        for statement in self.driver.guarded if guarded else self.driver.isolated:
            self.run(statement, ())

    def commit(self) -> None:
        """End it; if this raises because the connection is lost, nobody knows what became of it."""
        self.run("COMMIT", ())

    def undo(self, error: BaseException) -> bool:
        """Undo a transaction because of `error`. Returns whether the connection was lost."""
        if not self._there:
            return True
        if self.driver.lost(self.raw, error):
            self.drop()
            return True
        if getattr(self.raw, "in_transaction", True):
            try:
                self.run("ROLLBACK", ())
            except Exception as second:
                if not self.driver.lost(self.raw, second):
                    raise
                self.drop()
        return False

    def execute(self, statement: Statement, values: Mapping[str, Any]) -> Any:
        """Run a compiled statement; returns the cursor."""
        return self.run(statement.text, statement.values(values))

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to a question, which is asked again if the connection was lost. Raises `StateUnavailable`."""
        if not self._there:
            self.reopen()
        try:
            return question()
        except Exception as error:
            if not self.driver.lost(self.raw, error):
                raise
            self.drop()
        self.reopen()
        try:
            return question()
        except Exception as error:
            if not self.driver.lost(self.raw, error):
                raise
            self.drop()
            raise StateUnavailable(f"the database was lost twice while it was asked ({error}): ask again") from error

    def values(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """The rows of a compiled question."""
        cursor = self.execute(statement, values)
        rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
        cursor.close()
        return rows
