"""The `plugmesh` command with all commands: one function a command in the files beside this one."""

from __future__ import annotations

import typer

from plugmesh.cli.look import instances, logs, modules, runs, show
from plugmesh.cli.root import root_app
from plugmesh.cli.run import cancel, run, validate
from plugmesh.cli.serve import module_app
from plugmesh.cli.up import up


def whole_app() -> typer.Typer:
    """The command with all that belongs to it."""
    app = root_app()
    app.command()(up)
    app.add_typer(module_app())
    for command in (run, validate, runs, show, logs, cancel, modules, instances):
        app.command()(command)
    return app
