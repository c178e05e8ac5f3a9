"""Checking the mesh of a data folder (`plugmesh up --data`), while it runs or after it has stopped."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from plugmesh.errors import ConfigurationError, NotFound
from plugmesh.objects.local import LocalStore
from scheduler.invariants.check import check
from scheduler.invariants.violation import Report

DATABASE, OBJECTS = "state.db", "objects"


def check_folder(
    folder: Path,
    *,
    hashes: bool = True,
    submitted: Collection[str] = (),
    effects: Collection[str] = (),
    lost_allowed: int | None = None,
    progress: Callable[[int, int], None] = lambda done, whole: None,
) -> Report:
    """See `check`. Nothing in the folder is changed. Raises `NotFound` if there is no database, `ConfigurationError` if it
    cannot be read."""
    store = LocalStore(folder / OBJECTS, read_only=True)
    with open_database(folder) as connection:
        return check(
            connection,
            store,
            hashes=hashes,
            submitted=submitted,
            effects=effects,
            lost_allowed=lost_allowed,
            progress=progress,
        )


@contextmanager
def open_database(folder: Path) -> Iterator[sa.Connection]:
    """The database of a data folder, to be read only. Raises `NotFound`, `ConfigurationError`, also while it is read."""
    path = folder.resolve() / DATABASE
    if not path.is_file():
        raise NotFound(f"there is no {DATABASE} in {folder}: give the data folder of a mesh")
    engine = sa.create_engine("sqlite+pysqlite://", creator=lambda: _open(path), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        raise ConfigurationError(
            f"the database {path} cannot be read: {error.orig}. `plugmesh doctor` says whether it is whole; one of an older "
            "version must be brought up to date first: start the mesh once with this version"
        ) from error
    finally:
        engine.dispose()


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=10.0
    )
