"""`sql.write` into a SQLite file. It stays as it is: its journal mode is its owner's, and only what is asked for changes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any

from module_sdk import DataError, FatalError, TransientError
from modules.names import listing
from modules.sql_target import Destination, Effect
from modules.sql_values import Kind, columns_of, kind_of

if TYPE_CHECKING:
    import pyarrow as pa

WAIT_S = 30.0
"""Somebody else who writes to the file is waited for so long."""
_ONE_WAIT_S = 0.5
"""In pieces of this length, so that a cancel is heard."""

_MAKE_EFFECTS = (
    "CREATE TABLE IF NOT EXISTS _plugmesh_effects (key TEXT PRIMARY KEY NOT NULL, run TEXT NOT NULL, "
    "step TEXT NOT NULL, target TEXT NOT NULL, rows INTEGER NOT NULL, at TEXT NOT NULL)"
)
_DONE = "SELECT rows FROM _plugmesh_effects WHERE key = ?"
_NOTE_EFFECT = (
    "INSERT INTO _plugmesh_effects (key, run, step, target, rows, at) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET rows = excluded.rows, at = excluded.at"
)
_TYPES = {
    Kind.INTEGER: "INTEGER",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.FLOAT: "REAL",
    Kind.TEXT: "TEXT",
    Kind.BYTES: "BLOB",
}
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_OF_DATA = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG})
_WHY = {
    sqlite3.SQLITE_READONLY: "it may only be read: let this process write to the file and to its folder",
    sqlite3.SQLITE_PERM: "it may only be read: let this process write to the file and to its folder",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database: name another file, or move this one away",
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore it from a copy",
}


class SqliteTarget:
    """One open file (see `Target`)."""

    def __init__(
        self,
        path: Path,
        destination: Destination,
        *,
        wait_s: float = WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._to, self._wait_s, self._clock = path, destination, wait_s, clock
        self._insert = ""
        _check_place(path)
        with self._plainly():
            self._connection = sqlite3.connect(path, timeout=min(_ONE_WAIT_S, wait_s), isolation_level=None)

    def close(self) -> None:
        self._connection.close()

    # -- the table -----------------------------------------------------------------------------------------------------

    def prepare(self, schema: pa.Schema) -> None:
        fields = {field.name: kind_of(field) for field in schema}
        _check_columns(schema.names, self._to.key)
        with self._transaction():
            there = self._columns()
            if there:
                self._check_fits(fields, there)
            elif self._to.create:
                self._create(fields)
            else:
                raise FatalError(
                    f"there is no table {self._to.table!r} in {self._path}, and create is false: make it, or set create"
                )
            self._execute(_MAKE_EFFECTS)
        self._insert = insert(self._to, schema.names)

    def _columns(self) -> dict[str, sqlite3.Row]:
        """The table's columns by their folded names."""
        cursor = self._execute(f"PRAGMA table_info({quoted(self._to.table)})")
        cursor.row_factory = sqlite3.Row
        return {folded(str(row["name"])): row for row in cursor}

    def _create(self, fields: dict[str, Kind]) -> None:
        parts = [f"{quoted(name)} {_TYPES[kind]}" for name, kind in fields.items()]
        if self._to.key:
            parts.append(f"PRIMARY KEY ({', '.join(map(quoted, self._to.key))})")
        self._execute(f"CREATE TABLE {quoted(self._to.table)} ({', '.join(parts)})")

    def _check_fits(self, fields: Iterable[str], there: dict[str, sqlite3.Row]) -> None:
        table, ours = f"the table {self._to.table!r} in {self._path}", {folded(name) for name in fields}
        for name in fields:
            if folded(name) not in there:
                known = listing([str(row["name"]) for row in there.values()])
                raise DataError(f"{table} has no column {name!r}: add it, or do not write it; it has {known}")
        for name, row in there.items():
            if row["notnull"] and row["dflt_value"] is None and name not in ours and not row["pk"]:
                raise DataError(f"{table} needs a value for {row['name']!r}, and the input has no such column")
        if self._to.key and not self._is_unique(there):
            columns = ", ".join(self._to.key)
            raise FatalError(
                f"{table} has no unique index on exactly ({columns}), by which rows could be replaced: make one "
                f"(CREATE UNIQUE INDEX … ON … ({columns})), or let another table be created"
            )

    def _is_unique(self, there: dict[str, sqlite3.Row]) -> bool:
        wanted = {folded(name) for name in self._to.key}
        if wanted == {name for name, row in there.items() if row["pk"]}:
            return True
        indexes = self._execute(f"PRAGMA index_list({quoted(self._to.table)})").fetchall()
        for _, name, unique, _, partial in indexes:
            found = {folded(str(row[2])) for row in self._execute(f"PRAGMA index_info({quoted(name)})")}
            if unique and not partial and found == wanted:
                return True
        return False

    # -- rows ----------------------------------------------------------------------------------------------------------

    def apply(self, effect: Effect, first: int, batch: pa.RecordBatch) -> int:
        with self._transaction():
            last, done = first + batch.num_rows, self._done(effect)
            if done >= last:
                return 0
            fresh = batch.slice(max(0, done - first))
            columns = columns_of(fresh)
            _check_key(columns, self._to.key)
            with self._plainly():
                self._connection.executemany(self._insert, zip(*columns.values(), strict=True))
            at = datetime.now(UTC).isoformat()
            self._execute(_NOTE_EFFECT, (effect.key, effect.run, effect.step, self._to.table, last, at))
            return int(fresh.num_rows)

    def _done(self, effect: Effect) -> int:
        """How many rows of it are written."""
        found = self._execute(_DONE, (effect.key,)).fetchone()
        return 0 if found is None else int(found[0])

    # -- the database --------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._patiently("BEGIN IMMEDIATE")
        try:
            yield
            self._patiently("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # some errors have ended the transaction already
                self._connection.execute("ROLLBACK")
            raise

    def _patiently(self, statement: str) -> None:
        """Begin or end a transaction, which others may hold up."""
        deadline = self._clock() + self._wait_s
        while True:
            try:
                self._connection.execute(statement)
                return
            except sqlite3.Error as error:
                if _code(error) not in _BUSY or self._clock() >= deadline:
                    raise self._told(error) from None

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        with self._plainly():
            return self._connection.execute(statement, values)

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        """Turn errors of SQLite into those of a module."""
        try:
            yield
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise self._told(error) from None

    def _told(self, error: Exception) -> Exception:
        code, where = _code(error), f"{self._path}, table {self._to.table!r}"
        if code in _BUSY:
            return TransientError(f"{where}: others are writing to it and did not let go within {self._wait_s:g} s")
        if code == sqlite3.SQLITE_FULL:
            return TransientError(f"{where}: the disk is full: make room there")
        if code == sqlite3.SQLITE_IOERR:
            return TransientError(f"{where}: it cannot be read or written just now ({error}): look at the disk")
        if code in _OF_DATA or isinstance(error, OverflowError | UnicodeEncodeError):
            return DataError(f"{where}: a row was refused ({error}); no row of its batch is written")
        if code == sqlite3.SQLITE_CANTOPEN:
            return FatalError(f"{where}: it cannot be opened: let this process write to the file and to its folder")
        return FatalError(f"{where}: {_WHY.get(code, error)}")


def insert(to: Destination, columns: Sequence[str]) -> str:
    """The statement that writes one row."""
    names, marks = ", ".join(map(quoted, columns)), ", ".join("?" * len(columns))
    statement = f"INSERT INTO {quoted(to.table)} ({names}) VALUES ({marks})"  # noqa: S608  names are quoted
    if not to.key:
        return statement
    keys = {folded(name) for name in to.key}
    changed = [quoted(name) for name in columns if folded(name) not in keys]
    then = "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in changed) if changed else "NOTHING"
    return f"{statement} ON CONFLICT ({', '.join(map(quoted, to.key))}) DO {then}"


def quoted(name: str) -> str:
    """A name as SQL has it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def folded(name: str) -> str:
    """A name as SQLite compares it: it does not tell cases apart, but only of the letters A to Z."""
    return name.translate(_LOWER)


def _check_place(path: Path) -> None:
    try:
        if path.is_dir():
            raise FatalError(f"{path} is a folder: name a file in it")
        if not path.parent.is_dir():
            raise FatalError(f"{path}: there is no folder {path.parent}: make it first")
    except OSError as error:
        raise FatalError(f"{path} cannot be used: {error.strerror}") from None


def _check_columns(names: Sequence[str], key: Sequence[str]) -> None:
    """Raise `DataError` for columns that SQLite could not tell apart, or that are not there."""
    if not names:
        raise DataError("the input has no columns, so there is nothing to write")
    seen: dict[str, str] = {}
    for name in names:
        if "\x00" in name or not name:
            raise DataError(f"the column {name!r} has a name that a database cannot have: rename it")
        if folded(name) in seen:
            raise DataError(f"the columns {seen[folded(name)]!r} and {name!r} are one for SQLite: rename one of them")
        seen[folded(name)] = name
    for name in key:
        if name not in names:
            raise DataError(f"key: the input 'rows' has no column {name!r}; it has {listing(names)}")


def _check_key(columns: Mapping[str, Sequence[Any]], key: Sequence[str]) -> None:
    """SQLite takes nulls for different from each other, and NaN for null: rows with them would never be replaced."""
    for name in key:
        if any(value is None or value != value for value in columns[name]):  # noqa: PLR0124  only NaN is unlike itself
            raise DataError(f"key: the column {name!r} has nulls, and a row is known again by its value")


def _code(error: Exception) -> int:
    """SQLite's primary code of an error."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
