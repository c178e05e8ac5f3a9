"""Databases for tests: at today's schema from the start, because bringing one there takes longer than most tests."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from plugmesh.state.database import Database
from plugmesh.state.migrate import upgrade


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
        database = Database(f"sqlite:///{path}")
        with database.connect() as connection:
            upgrade(connection)
        database.close()
        return path.read_bytes()
