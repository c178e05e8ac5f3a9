"""The schema is made whole or not at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from plugmesh.state.database import Database
from plugmesh.state.migrate import HEAD, upgrade
from plugmesh.state.schema_version import SchemaVersion


class Killed(Exception):
    """Stands for `kill -9`."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'state.db'}")
    yield database
    database.close()


def tables(database: Database) -> list[str]:
    with database.connect() as connection:
        return sa.inspect(connection).get_table_names()


@pytest.mark.parametrize("after", [1, 4, 8])
def test_a_process_that_is_killed_while_it_makes_the_schema_leaves_nothing(database: Database, after: int) -> None:
    seen = 0

    def count(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        nonlocal seen
        seen += statement.lstrip().startswith("CREATE TABLE")
        if seen > after:
            raise Killed

    sa.event.listen(database.engine, "before_cursor_execute", count)
    with database.connect() as connection, pytest.raises(Killed):
        upgrade(connection)
    sa.event.remove(database.engine, "before_cursor_execute", count)
    assert tables(database) == []
    with database.connect() as connection:
        upgrade(connection)
    assert "run" in tables(database)


def test_a_schema_that_is_there_is_left_alone(database: Database) -> None:
    for _ in range(2):
        with database.connect() as connection:
            upgrade(connection)
    with database.connect() as connection:
        assert SchemaVersion.of(connection).lets(HEAD)
