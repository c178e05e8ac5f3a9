"""An upgrade of a database that others work with: it gives way to long questions, and comes back."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from plugmesh.errors import StateUnavailable
from plugmesh.state.database import Database
from plugmesh.state.migrate import Migration, upgrade
from plugmesh.state.trouble import explained, in_the_way

TRIES, PAUSE_S = 10, 2.0


def upgraded(url: str, pause: Callable[[float], None]) -> list[Migration]:
    """Bring the database at a URL to the newest schema; the migrations that ran. `pause` waits some seconds. Raises as
    `upgrade`, and `StateUnavailable` when somebody reads a table all the time that is to be changed."""
    database = Database(url)
    tried = 0
    try:
        while True:
            tried += 1
            try:
                with database.connect_patiently() as connection:
                    return upgrade(connection)
            except DBAPIError as error:
                if tried == TRIES or not in_the_way(error):
                    reason = " ".join(str(error.orig).split())
                    said = f"the database {database.shown} could not be upgraded: {reason}"
                    raise explained(error) or StateUnavailable(said) from error
            pause(PAUSE_S)
    finally:
        database.close()
