"""`plugmesh db copy`: the state of a mesh from one database to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson
from plugmesh.cli.commands.doctor.server_part import server_part
from plugmesh.cli.display.console import cells, table
from plugmesh.errors import ConfigurationError
from plugmesh.urls import hidden

if TYPE_CHECKING:
    from plugmesh.state.copying import CopiedTable

_FORMS = "sqlite:///FILE, postgresql://USER@HOST/NAME or mysql://USER@HOST/NAME"


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help=f"The database with the rows: {_FORMS}.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="An empty database, of whatever kind.")],
    as_json: AsJson = False,
) -> None:
    """Copy the state of a mesh that is stopped into an empty database, all of it or nothing.

    Every row is read back and compared before anything counts. Runs that are under way go on when servers are started with the
    new database (setting `state`) and the same object store (setting `objects`). A password may stand in a file:
    `?password_file=FILE` in the URL.
    """
    with Session(HERE, as_json) as session, server_part("the database is copied"):
        from plugmesh.state.copying import copy_state  # noqa: PLC0415  a server's part: its libraries may not be there

        source, target = _database(source), _database(target)
        if source == target:
            raise ConfigurationError(f"FROM and TO are the same database ({hidden(source)}): name an empty one")
        copied = copy_state(source, target)
        document = {"from": hidden(source), "to": hidden(target), "tables": [asdict(one) for one in copied]}
        session.answer(document, lambda: session.console.print(_shown(copied)))
        session.say(f"all rows are in {hidden(target)}: start the servers with it (setting `state`)")


def _database(url: str) -> str:
    """The URL; `sqlite:FILE` is one, too."""
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest and not rest.startswith("//"):
        return f"sqlite:///{rest}"
    return url


def _shown(copied: Sequence[CopiedTable]) -> RenderableType:
    if not any(one.rows for one in copied):
        return Text("there were no rows")
    made = table("TABLE", "ROWS", "CHECKSUM", right=("ROWS",))
    for one in copied:
        if one.rows:
            made.add_row(*cells(one.name, f"{one.rows:,}", one.checksum))
    return made
