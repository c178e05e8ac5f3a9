"""Which databases this version works with, what it says of others, and that older processes can go on beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from plugmesh.errors import ConfigurationError
from plugmesh.state.database import Database
from plugmesh.state.migrate import HEAD, missing, prepare, upgrade
from plugmesh.state.schema_version import OLDEST_TABLE, REVISION_TABLE, SchemaVersion
from tests.databases import new_database
from tests.schemas import check_schema

BEFORE = Path(__file__).resolve().parents[2] / "upgrade" / "dumps" / "v0.1.0.sql"
BEFORE_HEAD = "0004"


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Database]:
    """A database of the version before, with rows."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(BEFORE.read_text())
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Database]:
    """One of this version."""
    database = Database(new_database(tmp_path))
    yield database
    database.close()


def put(connection: sa.Connection, table: str, value: str) -> None:
    connection.exec_driver_sql(f"UPDATE {table} SET version_num = '{value}'")


def test_a_database_of_the_version_before_is_brought_up_to_date_and_stays_open_to_it(old: Database) -> None:
    with old.connect() as connection:
        assert SchemaVersion.of(connection) == SchemaVersion(BEFORE_HEAD, BEFORE_HEAD)
        done = upgrade(connection)
        assert [one.revision for one in done] == [HEAD]
        found = SchemaVersion.of(connection)
        assert (found.revision, found.oldest) == (HEAD, BEFORE_HEAD)
        assert found.lets(BEFORE_HEAD)
        assert found.lets(HEAD)
        # What version 0.1.0 asks when it starts: it goes on if this is the schema that it knows, and only then.
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [BEFORE_HEAD]
        assert upgrade(connection) == []


def test_an_upgraded_database_has_the_tables_of_a_new_one(old: Database) -> None:
    with old.connect() as connection:
        upgrade(connection)
        check_schema(connection)


def test_an_upgrade_leaves_what_the_version_before_knows_as_it_was(old: Database) -> None:
    with old.connect() as connection:
        before = described(connection)
        rows = counted(connection, before)
        upgrade(connection)
        after = described(connection)
        assert counted(connection, before) == rows
    for table, (columns, constraints) in before.items():
        now, constraints_now = after[table]
        assert {name: now[name] for name in columns} == columns, table
        assert constraints_now == constraints, f"{table}: the version before does not know what it must not write"
        for name in now.keys() - columns.keys():
            _, nullable, default = now[name]
            assert nullable or default is not None, f"{table}.{name}: the version before writes rows without it"


Columns = dict[str, tuple[str, bool, object]]


def described(connection: sa.Connection) -> dict[str, tuple[Columns, set[str]]]:
    """Columns and what rows must comply with, of each table."""
    look = sa.inspect(connection)
    found: dict[str, tuple[Columns, set[str]]] = {}
    for table in look.get_table_names():
        if table in (OLDEST_TABLE, REVISION_TABLE):
            continue
        columns: Columns = {
            str(c["name"]): (str(c["type"]), bool(c["nullable"]), c["default"]) for c in look.get_columns(table)
        }
        unique = [str(sorted(one["column_names"])) for one in look.get_unique_constraints(table)]
        unique += [str(one["column_names"]) for one in look.get_indexes(table) if one["unique"]]
        foreign = [f"{one['constrained_columns']} in {one['referred_table']}" for one in look.get_foreign_keys(table)]
        key = str(look.get_pk_constraint(table)["constrained_columns"])
        found[table] = (columns, {key, *unique, *foreign})
    return found


def counted(connection: sa.Connection, tables: Iterable[str]) -> dict[str, int]:
    return {table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables}


def test_a_database_that_a_newer_version_has_added_to_is_worked_with(new: Database) -> None:
    with new.connect() as connection:
        put(connection, REVISION_TABLE, "9999")
        prepare(connection, exclusive=False)
        assert upgrade(connection) == []
        assert SchemaVersion.of(connection).revision == "9999"


def test_a_database_that_is_for_newer_processes_only_is_refused(new: Database) -> None:
    with new.connect() as connection:
        put(connection, REVISION_TABLE, "9999")
        put(connection, OLDEST_TABLE, "9998")
        for refused in (upgrade, lambda one: prepare(one, exclusive=True)):
            with pytest.raises(ConfigurationError, match=r"schema 9999, for processes that know 9998 .* newer version"):
                refused(connection)


def test_where_others_may_work_with_a_database_somebody_must_ask_for_its_upgrade(old: Database) -> None:
    with old.connect() as connection:
        with pytest.raises(
            ConfigurationError, match=f"schema {BEFORE_HEAD}, this Plugmesh needs {HEAD}: run `plugmesh db"
        ):
            prepare(connection, exclusive=False)
        assert SchemaVersion.of(connection).revision == BEFORE_HEAD
        prepare(connection, exclusive=True)
        assert SchemaVersion.of(connection).lets(HEAD)


def test_tables_that_were_never_finished_are_finished_by_whoever_starts(new: Database) -> None:
    with new.connect() as connection:
        connection.exec_driver_sql(f"DELETE FROM {OLDEST_TABLE}")
        assert SchemaVersion.of(connection).is_empty
        prepare(connection, exclusive=False)
        assert SchemaVersion.of(connection).lets(HEAD)


def test_the_missing_migrations_say_what_they_are_and_beside_whom_they_may_run() -> None:
    found = missing(SchemaVersion(None, None))
    assert found[-1].revision == HEAD
    assert found[-1].beside == BEFORE_HEAD
    assert all(one.says for one in found)
    assert [one.revision for one in missing(SchemaVersion(BEFORE_HEAD, BEFORE_HEAD))] == [HEAD]
