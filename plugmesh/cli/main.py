"""The `plugmesh` command: one function a command in the files beside this one, put together here."""

from __future__ import annotations

from typing import Annotated

import typer

from plugmesh import __version__
from plugmesh.cli.look import instances, logs, modules, runs, show
from plugmesh.cli.run import cancel, run, validate
from plugmesh.cli.serve import module_app
from plugmesh.cli.up import up


def _version(asked: bool) -> None:
    if asked:
        print(f"plugmesh {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A mesh of hot-pluggable compute modules for data work."""


def make_app() -> typer.Typer:
    """The command with all that belongs to it."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    app.command()(up)
    app.add_typer(module_app())
    for command in (run, validate, runs, show, logs, cancel, modules, instances):
        app.command()(command)
    return app


def main() -> None:
    """Entry point of the console script."""
    make_app()(prog_name="plugmesh")
