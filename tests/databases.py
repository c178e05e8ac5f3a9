"""Databases for tests: at today's schema from the start, because bringing one there takes longer than most tests."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from plugmesh.state.database import Database
from plugmesh.state.migrate import upgrade
from plugmesh.state.schema import metadata
from scripts.real_servers.rooms import mariadb_database, postgres_database
from tests.servers import address_of

_ROOMS = {"postgres": postgres_database, "mariadb": mariadb_database}
SERVERS = tuple(pytest.param(name, marks=pytest.mark.servers) for name in ("postgres", "mariadb"))
DATABASES = ("sqlite", *SERVERS)
"""What a mesh can keep its state in; a server's are tested with --all."""


@pytest.fixture(scope="session")
def kept_databases() -> Iterator[Callable[[str], str]]:
    """The URL of a database with today's schema on a server; one for all tests, each of which clears its rows away."""
    with ExitStack() as stack:
        urls: dict[str, str] = {}

        def url(kind: str) -> str:
            if kind not in urls:
                made = _ROOMS[kind](address_of(kind), f"test_{secrets.token_hex(6)}")
                urls[kind] = stack.enter_context(made)
                migrated(urls[kind]).close()
            return urls[kind]

        yield url


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without rows: once of each kind."""
    if request.param == "sqlite":
        yield new_database(tmp_path)
        return
    url = request.getfixturevalue("kept_databases")(request.param)
    yield url
    _clear(url)


def _clear(url: str) -> None:
    database = Database(url)
    with database.connect() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    database.close()


@pytest.fixture(params=SERVERS)
def server_url(request: pytest.FixtureRequest) -> str:
    """A database on a server, without tables."""
    return str(request.getfixturevalue(f"{request.param}_url"))


def migrated(url: str) -> Database:
    """The database, with today's schema."""
    database = Database(url)
    with database.connect_patiently() as connection:
        upgrade(connection)
    return database


def new_database(folder: Path) -> str:
    """The URL of the database `state.db` in `folder`: one without rows, unless it is there."""
    path = folder / "state.db"
    if not path.exists():
        path.write_bytes(_without_rows())
    return f"sqlite:///{path}"


@cache
def _without_rows() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "state.db")
        migrated(f"sqlite:///{path}").close()
        return path.read_bytes()
