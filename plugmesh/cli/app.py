"""The `plugmesh` command with all commands: one function a command in the files beside this one."""

from __future__ import annotations

import typer

from plugmesh.cli.artifacts import artifacts
from plugmesh.cli.completion import completion
from plugmesh.cli.control import cancel, pause, resume
from plugmesh.cli.data import data_app
from plugmesh.cli.dlq.commands import dlq_app
from plugmesh.cli.doctor.command import doctor
from plugmesh.cli.events import events
from plugmesh.cli.explain import explain
from plugmesh.cli.files import files_app
from plugmesh.cli.flows import flows_app
from plugmesh.cli.instances import drain, instances
from plugmesh.cli.modules import modules
from plugmesh.cli.notifications import notifications_app
from plugmesh.cli.replay import replay
from plugmesh.cli.rerun import rerun
from plugmesh.cli.root import root_app
from plugmesh.cli.run import pin, remove, run, unpin, validate
from plugmesh.cli.runs import runs
from plugmesh.cli.serve import module_app
from plugmesh.cli.settings import settings_app
from plugmesh.cli.show import show
from plugmesh.cli.steplogs import logs
from plugmesh.cli.token import token_app
from plugmesh.cli.up import up

GROUPS = (data_app, dlq_app, files_app, flows_app, settings_app, notifications_app, token_app)


def whole_app() -> typer.Typer:
    """The command with all that belongs to it."""
    app = root_app()
    app.command()(up)
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
        completion,
    ):
        app.command()(command)
    app.command("rm")(remove)
    for make in GROUPS:
        app.add_typer(make())
    return app
