"""`plugmesh module …`: what module authors use."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from plugmesh.cli.arguments import HERE, Url
from plugmesh.cli.children import serve_command
from plugmesh.cli.exits import ExitCode


def serve(
    file: Annotated[Path, typer.Argument(metavar="FILE.py", help="A Python file with decorated functions.")],
    slots: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Steps that it runs at a time. [default: one a processor]")
    ] = None,
    url: Url = HERE,
) -> None:
    """Plug the modules of a file into the mesh, and serve them until Ctrl-C.

    The mesh need not be there yet, and may come and go: the process joins it again by itself.
    """
    if not file.is_file():
        print(f"plugmesh: there is no file {file}", file=sys.stderr)
        raise typer.Exit(ExitCode.NOT_FOUND)
    command = serve_command(file.resolve(), slots)
    os.execve(command[0], command, {**os.environ, "PLUGMESH_URL": url})  # noqa: S606  no shell


def module_app() -> typer.Typer:
    """The commands about modules."""
    app = typer.Typer(name="module", help="Plug modules in.", no_args_is_help=True)
    app.callback()(lambda: None)
    app.command()(serve)
    return app
