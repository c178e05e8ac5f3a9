"""`plugmesh db …`: the database of a mesh, which schema it has, and who works with it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from plugmesh import __version__
from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson
from plugmesh.cli.commands.db_copy import copy
from plugmesh.cli.commands.doctor.server_part import server_part
from plugmesh.cli.commands.doctor.storage import holder_of
from plugmesh.cli.display.console import cells, facts, table
from plugmesh.cli.display.terminal_text import one_line
from plugmesh.cli.options import DEFAULT_DATA
from plugmesh.cli.root import group
from plugmesh.errors import ConfigurationError, NotFound
from plugmesh.urls import hidden

if TYPE_CHECKING:
    from plugmesh.state.migrate import Migration
    from plugmesh.state.standing import Standing

Data = Annotated[
    Path, typer.Option(metavar="DIR", envvar="PLUGMESH_DATA", help="The mesh's data folder, with plugmesh.toml.")
]
SettingsFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="File with settings. [default: plugmesh.toml in the data folder]")
]
THERE = Path(DEFAULT_DATA)
_DOING = "the database is looked at"


def db_app() -> typer.Typer:
    """The commands about the database."""
    app = group("db", "See, upgrade and copy the database of a mesh.")
    app.command("status")(status)
    app.command("upgrade")(upgrade)
    app.command("copy")(copy)
    return app


def database_url(data: Path, settings: Path | None) -> str:
    """The database that the settings name: the one of the data folder, or that of PLUGMESH_STATE. Raises
    `ConfigurationError`."""
    from plugmesh.cli.roles.places import state_url  # noqa: PLC0415  takes the bus along
    from plugmesh.settings.given import settings_of  # noqa: PLC0415  most commands need no settings
    from plugmesh.settings.settings import SettingsInvalid  # noqa: PLC0415  as above

    folder = data.expanduser().resolve()
    try:
        return state_url(folder, settings_of(os.environ, settings, folder, {}))
    except SettingsInvalid as error:
        raise ConfigurationError(str(error)) from None


def status(data: Data = THERE, settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Say which schema the database has, what an upgrade would do, and which processes work with it. Nothing is changed.

    The database is that of the data folder, or the one that PLUGMESH_STATE names.
    """
    with Session(HERE, as_json) as session, server_part(_DOING):
        from plugmesh.state.standing import standing  # noqa: PLC0415  a server's part: its libraries may not be there

        url = database_url(data, settings)
        found = standing(url)
        session.answer(document(url, found), lambda: session.console.print(shown(url, found)))


def upgrade(data: Data = THERE, settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Bring the database to the schema of this Plugmesh, while runs go on.

    Processes of the version before need not be stopped; older ones must be, and this says which. A database of SQLite needs no
    such command: the next `plugmesh up` upgrades it.
    """
    with Session(HERE, as_json) as session, server_part("the database is upgraded"):
        from plugmesh.state.database import sqlite_file  # noqa: PLC0415  as above
        from plugmesh.state.migrate import HEAD  # noqa: PLC0415  as above
        from plugmesh.state.upgrading import upgraded  # noqa: PLC0415  as above

        url = database_url(data, settings)
        if (file := sqlite_file(url)) is not None and not file.exists():
            raise NotFound(
                f"there is no database {file}: name the data folder with --data; the first `plugmesh up` makes one"
            )
        done = upgraded(url, time.sleep)
        said = {"schema": HEAD, "done": [asdict(one) for one in done]}
        session.answer(said, lambda: session.console.print(_upgraded(HEAD, done)))


def document(url: str, found: Standing) -> dict[str, Any]:
    """The database as JSON."""
    from plugmesh.state.migrate import HEAD  # noqa: PLC0415  as above

    after = found.oldest_after
    return {
        "database": hidden(url),
        "inUseBy": _holder(url),
        "schema": found.version.revision,
        "oldest": found.version.oldest,
        "knows": HEAD,
        "works": found.works,
        "missing": [asdict(one) for one in found.missing],
        "oldestAfter": after,
        "processes": [{**asdict(one), "goesOn": one.knows >= after} for one in found.processes],
        "todo": _todo(url, found),
    }


def shown(url: str, found: Standing) -> RenderableType:
    """The database for people."""
    parts: list[RenderableType] = [facts(_facts(url, found))]
    if found.processes:
        made = table(
            "PROCESS", "HOST", "PID", "VERSION", "SCHEMA", "AFTER AN UPGRADE", right=("PID",), whole=("PROCESS",)
        )
        for one in found.processes:
            after = "goes on" if one.knows >= found.oldest_after else "must be replaced before"
            made.add_row(*cells(one.role, one.host, one.pid, one.version, one.knows, after))
        parts += [Text(), made]
    return Group(*parts, Text(), Text(one_line(f"→ {_todo(url, found)}")))


def _facts(url: str, found: Standing) -> Iterator[tuple[str, str]]:
    from plugmesh.state.migrate import HEAD  # noqa: PLC0415  as above

    holder = _holder(url)
    yield "database", hidden(url) + (f", in use by process {holder}" if holder else "")
    yield "schema", f"{found.version.revision or 'none'}; this Plugmesh, {__version__}, knows {HEAD}"
    if found.version.oldest is not None:
        yield "open to", f"processes that know {found.version.oldest} or more"
    for one in found.missing:
        yield "missing", _line(one)


def _line(one: Migration) -> str:
    says = one.says.rstrip(".")
    return f"{one.revision} {says}" + (
        f" (beside processes that know {one.beside})" if one.beside < one.revision else ""
    )


def _todo(url: str, found: Standing) -> str:
    if not found.works and found.is_newer:
        return "a newer Plugmesh has upgraded it: use that version"
    if not found.missing:
        return "nothing to do"
    if found.version.is_empty:
        return "nothing to do: the first server makes the tables"
    if _is_file(url):
        return "the next `plugmesh up` upgrades it"
    if found.in_the_way:
        return "replace the processes that cannot go on, then run `plugmesh db upgrade`"
    return "run `plugmesh db upgrade`: all processes go on meanwhile"


def _upgraded(head: str, done: list[Migration]) -> RenderableType:
    if not done:
        return Text(f"the database has schema {head} already")
    return Group(*(Text(one_line(_line(one))) for one in done), Text(f"the database has schema {head} now"))


def _is_file(url: str) -> bool:
    return url.startswith("sqlite")


def _holder(url: str) -> str:
    from plugmesh.state.database import sqlite_file  # noqa: PLC0415  as above

    file = sqlite_file(url)
    return "" if file is None else holder_of(file.with_name(f"{file.name}.lock"))
