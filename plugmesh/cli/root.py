"""The root of the `plugmesh` command, which all its commands hang from."""

from __future__ import annotations

from typing import Annotated

import typer

from plugmesh import __version__


def root_app() -> typer.Typer:
    """The command without its commands."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    return app


def group(name: str, help: str) -> typer.Typer:
    """Commands about one thing: `plugmesh NAME …`."""
    app = typer.Typer(name=name, help=help, no_args_is_help=True)
    app.callback()(lambda: None)
    return app


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
