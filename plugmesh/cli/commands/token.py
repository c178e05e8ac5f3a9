"""`plugmesh token …`: the tokens of a mesh, on the machine that it runs on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from plugmesh.cli.exits import ExitCode
from plugmesh.cli.options import DEFAULT_DATA
from plugmesh.cli.root import group
from plugmesh.errors import ConfigurationError
from plugmesh.token_file import JOIN_TOKEN, TOKEN, ensure_token, replace_token

Data = Annotated[Path, typer.Option(metavar="DIR", envvar="PLUGMESH_DATA", help="The data folder of `plugmesh up`.")]
Join = Annotated[bool, typer.Option("--join", help="The token with which modules join, and nothing else can be done.")]
HERE = Path(DEFAULT_DATA)


def token_app() -> typer.Typer:
    """The commands about tokens."""
    app = group("token", "See and replace the tokens that an open mesh asks for.")
    app.command("show")(show)
    app.command("rotate")(rotate)
    return app


def show(join: Join = False, data: Data = HERE) -> None:
    """Print the token, which is made where there is none yet. Whoever has it may do everything."""
    path = _path(data, join)
    try:
        print(ensure_token(path))
    except ConfigurationError as error:
        raise _failed(error) from None


def rotate(join: Join = False, data: Data = HERE) -> None:
    """Replace the token and print the new one. A running mesh takes it up within seconds, and ends all sessions.

    Modules that are connected stay so; they need a new join token when they connect again.
    """
    path = _path(data, join)
    try:
        print(replace_token(path))
    except ConfigurationError as error:
        raise _failed(error) from None


def _path(data: Path, join: bool) -> Path:
    folder = data.expanduser()
    if not folder.is_dir():
        raise _failed(ConfigurationError(f"there is no data folder {folder}: name that of `plugmesh up` with --data"))
    return folder / (JOIN_TOKEN if join else TOKEN)


def _failed(error: ConfigurationError) -> typer.Exit:
    print(f"plugmesh: {error}", file=sys.stderr)
    return typer.Exit(ExitCode.USAGE)
