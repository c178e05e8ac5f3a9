"""Taking all rows of a mesh from one database to another, of whatever kind: all of them or none.

What is copied is one snapshot, and it is written in one transaction; so who is killed in the middle leaves an empty database
and begins again. Every row is read back before that transaction ends, and compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
import xxhash

from plugmesh.errors import ConfigurationError, Conflict, StateUnavailable
from plugmesh.state.database import Database
from plugmesh.state.migrate import upgrade
from plugmesh.state.processes import processes
from plugmesh.state.schema import metadata, shard
from plugmesh.state.snapshot import LEFT_OUT, be_patient, check_schema, line_of, rows_of, snapshot, unused
from plugmesh.state.trouble import explained, lost_in_commit

Told: TypeAlias = Callable[[str, int], None]
"""Hears how many rows of a table were copied until now."""

TABLES: tuple[sa.Table, ...] = tuple(one for one in metadata.sorted_tables if one.name not in LEFT_OUT)
"""What is copied, in an order in which no row refers to one that is still to come."""
_BEGIN = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN", "mysql": "BEGIN"}
_SUMS = 2**128


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """How many rows a table has, and a sum over all of them, in whatever order they come (32 hex digits)."""

    name: str
    rows: int
    checksum: str


class Summed:
    """Adds rows up."""

    def __init__(self, table: sa.Table) -> None:
        self._table = table
        self._rows = self._sum = 0

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Count these, too."""
        self._rows += len(rows)
        for row in rows:
            text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
            self._sum += xxhash.xxh3_128_intdigest(text.encode("utf-8", "surrogatepass"))

    def result(self) -> CopiedTable:
        """All that were counted."""
        return CopiedTable(self._table.name, self._rows, f"{self._sum % _SUMS:032x}")


def copy_state(source: str, target: str, told: Told = lambda table, rows: None) -> list[CopiedTable]:
    """Copy the rows of a mesh that is stopped into an empty database; both are URLs.

    Raises `Conflict` if somebody works with one of them, `NotFound`, and as `copy_rows` and `empty_target`.
    """
    with empty_target(target) as empty, unused(source), snapshot(source) as rows:  # in this order: see `unused`
        return copy_rows(rows, empty, told)


def summed(connection: sa.Connection) -> list[CopiedTable]:
    """What the tables of a database have, as it is."""
    found = []
    for table in TABLES:
        sums = Summed(table)
        for part in rows_of(connection, table):
            sums.add(part)
        found.append(sums.result())
    return found


@contextmanager
def empty_target(url: str) -> Iterator[sa.Connection]:
    """A connection to a database without rows, in a transaction that is committed at the end; the tables are made where there
    are none. Raises `Conflict` for one that is used, or has rows, `ConfigurationError`, `StateUnavailable`, `StoreFull`."""
    database = Database(url)
    try:
        with database.connect_patiently() as connection:
            upgrade(connection)
            be_patient(connection)
            check_schema(connection, url)
            connection.exec_driver_sql(_BEGIN[connection.dialect.name])
            _check_empty(connection, database.shown)
            yield connection
            try:
                connection.exec_driver_sql("COMMIT")
            except sa.exc.DBAPIError as error:
                if database.driver.lost(connection.connection.driver_connection, error):
                    raise lost_in_commit(error) from error
                raise
    except sa.exc.IntegrityError as error:
        raise Conflict(
            f"the database {database.shown} is not empty any more ({line_of(error)}): somebody else writes into it, and "
            "nothing was copied"
        ) from error
    except sa.exc.DBAPIError as error:
        raise explained(error) or StateUnavailable(
            f"the database {database.shown} did not take the rows ({line_of(error)}): nothing was copied"
        ) from error
    finally:
        database.close()  # undoes what was not committed


def copy_rows(source: sa.Connection, target: sa.Connection, told: Told = lambda table, rows: None) -> list[CopiedTable]:
    """Copy all rows, number what comes next behind them, and compare what is there with what was read.

    Raises `ConfigurationError` for a text that the target has no room for, `StateUnavailable` if something else was kept than
    was written.
    """
    copied = []
    for table in TABLES:
        sums, done = Summed(table), 0
        for part in rows_of(source, table):
            rows = [_fitting(table, row, target.dialect.name) for row in part]
            target.execute(sa.insert(table), [dict(zip(table.columns.keys(), row, strict=True)) for row in rows])
            sums.add(rows)
            done += len(rows)
            told(table.name, done)
        copied.append(sums.result())
        _number_on(target, table)
    there = summed(target)
    if wrong := [one.name for one, other in zip(copied, there, strict=True) if one != other]:
        raise StateUnavailable(
            f"the tables {', '.join(wrong)} read back otherwise than they were written: nothing was copied. See whether the "
            "database changes texts or numbers (its character set must be able to hold all of Unicode)"
        )
    return copied


def _fitting(table: sa.Table, row: tuple[Any, ...], kind: str) -> tuple[Any, ...]:
    """The row as the target will have it: shards are nobody's there."""
    values: Mapping[str, Any] = dict(zip(table.columns.keys(), row, strict=True))
    if table is shard:
        values = {**values, shard.c.owner.name: None, shard.c.lease_until.name: 0.0}
    return tuple(_value(table.columns[name], value, kind) for name, value in values.items())


def _value(column: sa.Column[Any], value: Any, kind: str) -> Any:
    if not isinstance(value, str):
        return value
    if kind == "postgresql" and "\0" in value:
        value = value.replace("\0", "\N{REPLACEMENT CHARACTER}")  # as all that is written there
    longest = getattr(column.type, "length", None)
    if kind != "sqlite" and longest is not None and len(value) > longest:
        raise ConfigurationError(
            f"table {column.table.name} has a {column.name} of {len(value)} characters, {value[:60]!r}…; a database server has "
            f"room for {longest}: take what it belongs to out of the mesh, then copy again. Nothing was copied"
        )
    return value


def _number_on(target: sa.Connection, table: sa.Table) -> None:
    """The next row that the database numbers comes behind those that are there; only PostgreSQL must be told."""
    numbered = table.autoincrement_column
    if target.dialect.name != "postgresql" or numbered is None:
        return
    highest = target.execute(sa.select(sa.func.max(numbered))).scalar()
    if highest is not None:
        sequence = sa.func.pg_get_serial_sequence(target.dialect.identifier_preparer.format_table(table), numbered.name)
        target.execute(sa.select(sa.func.setval(sequence, highest)))


def _check_empty(connection: sa.Connection, shown: str) -> None:
    if at_work := processes(connection):
        one = at_work[0]
        raise Conflict(
            f"the database {shown} is in use: {one.role} on {one.host} (process {one.pid}). Name an empty one"
        )
    for table in TABLES:
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            raise Conflict(f"the database {shown} is not empty (table {table.name} has rows): name an empty one")
