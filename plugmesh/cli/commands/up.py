"""`plugmesh up`: becomes a clean server process."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from plugmesh.cli.options import DEFAULT_DATA, become_server
from plugmesh.runtime_loader import VARIABLE


class Synchronous(StrEnum):
    """How the database writes."""

    FULL = "full"
    NORMAL = "normal"


class LogLevel(StrEnum):
    """How much the server logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """What the server's log looks like."""

    TEXT = "text"
    JSON = "json"


def up(
    *,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: any free one. [default: 8720]")] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; others than this machine's own need a token. [default: 127.0.0.1]"),
    ] = None,
    data: Annotated[
        Path, typer.Option(metavar="DIR", envvar="PLUGMESH_DATA", help="Folder for everything that is kept.")
    ] = Path(DEFAULT_DATA),
    settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with settings. [default: plugmesh.toml in the data folder]"),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting; may be given several times."),
    ] = None,
    modules: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Folder whose module files are plugged in; may be given several times."),
    ] = None,
    slots: Annotated[
        int | None, typer.Option(help="Steps that the built-in modules run at a time. [default: one a processor]")
    ] = None,
    drain_s: Annotated[
        float | None,
        typer.Option(help="Seconds that steps at work have to finish when the mesh is stopped. [default: 10]"),
    ] = None,
    synchronous: Annotated[
        Synchronous | None,
        typer.Option(
            help="full: what was accepted survives power loss; normal: it survives any crash. [default: full]"
        ),
    ] = None,
    builtins: Annotated[
        bool | None, typer.Option("--builtins/--no-builtins", help="Serve the built-in modules. [default: builtins]")
    ] = None,
    require_token: Annotated[
        bool | None,
        typer.Option("--require-token/--no-require-token", help="Ask for a token on this machine's own address too."),
    ] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="How much the server logs. [default: warning]")] = None,
    log_format: Annotated[
        LogFormat | None, typer.Option(help="text: lines for people; json: an object a line. [default: text]")
    ] = None,
    runtime: Annotated[str, typer.Option(envvar=VARIABLE, hidden=True)] = "",
) -> None:
    """Start a mesh on this machine and leave it running.

    Stop it with Ctrl-C: steps at work may finish, and open runs go on at the next start. Exits with 0 when it was
    stopped, 1 when a part of it failed, 2 when a setting, the port or the data folder cannot be used.
    """
    given = {
        "port": port,
        "host": host,
        "modules": [str(folder) for folder in modules] if modules else None,
        "slots": slots,
        "drain_s": drain_s,
        "synchronous": synchronous and synchronous.value,
        "builtins": builtins,
        "require_token": require_token,
        "log_level": log_level and log_level.value,
        "log_format": log_format and log_format.value,
    }
    become_server(given, data, settings, assignments, runtime)
