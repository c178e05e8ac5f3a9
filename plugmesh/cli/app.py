"""The `plugmesh` command with all commands: one function a command in `commands/`."""

from __future__ import annotations

import typer

from plugmesh.cli.commands.artifacts import artifacts
from plugmesh.cli.commands.backup import backup, restore
from plugmesh.cli.commands.completion import completion
from plugmesh.cli.commands.control import cancel, pause, resume
from plugmesh.cli.commands.data import data_app
from plugmesh.cli.commands.db import db_app
from plugmesh.cli.commands.dlq.commands import dlq_app
from plugmesh.cli.commands.doctor.command import doctor
from plugmesh.cli.commands.events import events
from plugmesh.cli.commands.explain import explain
from plugmesh.cli.commands.files import files_app
from plugmesh.cli.commands.flows import flows_app
from plugmesh.cli.commands.instances import drain, instances
from plugmesh.cli.commands.logs import logs
from plugmesh.cli.commands.module import module_app
from plugmesh.cli.commands.modules import modules
from plugmesh.cli.commands.notifications import notifications_app
from plugmesh.cli.commands.replay import replay
from plugmesh.cli.commands.rerun import rerun
from plugmesh.cli.commands.run import pin, remove, run, unpin, validate
from plugmesh.cli.commands.runs import runs
from plugmesh.cli.commands.settings import settings_app
from plugmesh.cli.commands.show import show
from plugmesh.cli.commands.token import token_app
from plugmesh.cli.commands.up import up
from plugmesh.cli.roles.command import serve_app
from plugmesh.cli.root import root_app

GROUPS = (data_app, db_app, dlq_app, files_app, flows_app, settings_app, notifications_app, token_app)


def whole_app() -> typer.Typer:
    """The command with all that belongs to it."""
    app = root_app()
    app.command()(up)
    app.add_typer(serve_app())
    app.add_typer(module_app())
    for command in (
        run,
        validate,
        explain,
        runs,
        show,
        logs,
        artifacts,
        events,
        replay,
        rerun,
        cancel,
        pause,
        resume,
        pin,
        unpin,
        modules,
        instances,
        drain,
        doctor,
        backup,
        restore,
        completion,
    ):
        app.command()(command)
    app.command("rm")(remove)
    for make in GROUPS:
        app.add_typer(make())
    return app
