"""One process of `plugmesh serve` from its start to its end: signals, what it says, and the order in which things stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from fastapi import FastAPI

from gateway.server import bind, is_loopback, serve
from gateway.tokens import Tokens
from plugmesh.cli.exits import ExitCode
from plugmesh.cli.options import DEFAULT_URL, ServerOptions
from plugmesh.cli.roles.gateway import GatewayRole
from plugmesh.cli.roles.parts import URL_VARIABLE, join_token_file
from plugmesh.cli.roles.places import backends_of
from plugmesh.cli.roles.scheduler import SchedulerRole
from plugmesh.cli.server.children import lone_builtins_command
from plugmesh.cli.server.logs import NOTICES, server_log_variables
from plugmesh.cli.server.mesh import data_folder
from plugmesh.cli.server.serving import BREAK_S, STOP_S, explain, run, server_url, sql_folders, withheld
from plugmesh.cli.server.telemetry import telemetry_variables
from plugmesh.errors import PlugmeshError
from plugmesh.first_contact import first_contact
from plugmesh.join import BUS_VARIABLE, DISCOVERY_VARIABLE, OBJECTS_VARIABLE
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings, variable
from plugmesh.token_file import FILE_VARIABLE, TOKEN_VARIABLE

_MOST_SLOTS = 8
_say = logging.getLogger(NOTICES).info
_log = logging.getLogger(__name__)


class Role(Protocol):
    """What such a process is."""

    def app(self, tokens: Tokens | None) -> FastAPI:
        """What it serves on its port."""
        ...

    async def start(self) -> None:
        """Begin to work."""
        ...

    async def failed(self) -> None:
        """Wait until a part ends by itself, which is an error; raises it."""
        ...

    def close_intake(self) -> None:
        """Take nothing new."""
        ...

    def close_streams(self) -> None:
        """Let everybody who waits go."""
        ...

    async def stop(self) -> None:
        """Finish what is at hand and close everything."""
        ...


def run_role(options: ServerOptions) -> int:
    """Run the process that `options.role` names to its end; the exit code."""
    return run(options, _ROLES[options.role])


async def _gateway(settings: Settings, folder: Path, runtime: Runtime) -> int:
    listener = bind(settings.host, settings.port)
    try:
        data = data_folder(str(folder))
        opening = partial(GatewayRole.open, data, settings, runtime)
        return await _serve(opening, listener, settings, name="gateway", data=data, runtime=runtime)
    finally:
        listener.close()


async def _scheduler(settings: Settings, folder: Path, runtime: Runtime) -> int:
    listener = bind(settings.host, settings.scheduler_port) if settings.scheduler_port else None
    try:
        data = data_folder(str(folder))
        url = os.environ.get(URL_VARIABLE) or DEFAULT_URL
        opening = partial(SchedulerRole.open, data, settings, runtime, url=url)
        return await _serve(opening, listener, settings, name="scheduler", data=data, runtime=runtime)
    finally:
        if listener is not None:
            listener.close()


async def _builtins(settings: Settings, folder: Path, runtime: Runtime) -> int:
    """Becomes the supervisor of the built-in modules: like that of an author's file, it is no server."""
    data = data_folder(str(folder))
    url = os.environ.get(URL_VARIABLE) or DEFAULT_URL
    given = os.environ.get(TOKEN_VARIABLE) or os.environ.get(FILE_VARIABLE)
    slots = settings.slots or min(os.cpu_count() or 1, _MOST_SLOTS)
    command = lone_builtins_command(slots, settings.drain_s, None if given else join_token_file(url, data))
    not_theirs = withheld(settings)
    environment = {
        **{name: value for name, value in os.environ.items() if name not in not_theirs},
        **telemetry_variables(settings),
        **server_log_variables(settings),
        URL_VARIABLE: url,
        variable("sql_folders"): sql_folders(data, settings),
    }
    backends = backends_of(data, settings)
    if backends.apart:
        environment |= {BUS_VARIABLE: settings.bus, DISCOVERY_VARIABLE: settings.discovery}
    if backends.apart or settings.objects:
        environment[OBJECTS_VARIABLE] = settings.objects or backends.objects
    sys.stdout.flush()
    os.execve(command[0], command, environment)  # noqa: S606  no shell


_ROLES = {"gateway": _gateway, "scheduler": _scheduler, "builtins": _builtins}


async def _serve(
    opening: Callable[[], Awaitable[Role]],
    listener: socket.socket | None,
    settings: Settings,
    *,
    name: str,
    data: Path,
    runtime: Runtime,
) -> int:
    """Until a signal or a failure; the exit code. Outages at the start are waited for. Raises what could not be started."""
    asked, web_stop = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    tokens = None
    if listener is not None and (settings.require_token or not is_loopback(listener)):
        tokens = Tokens(data, settings, runtime)
    start = runtime.spawn(first_contact(partial(_started, opening), runtime), "start")
    stop = runtime.spawn(_wait(asked), "stop signal")
    await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        start.cancel()
        await asyncio.wait({start}, timeout=STOP_S)
        if start.done() and not start.cancelled():
            start.exception()  # it does not matter any more
        _say(f"the {name} was stopped before it had begun")
        return ExitCode.OK
    role = start.result()
    failed = runtime.spawn(role.failed(), f"{name} failure")
    working = [failed]
    if listener is not None:
        app = role.app(tokens)
        web = serve(
            app, settings.host, settings.port, runtime,
            stop=web_stop, listener=listener, close_streams=role.close_streams, settings=settings,
        )  # fmt: skip
        working.append(runtime.spawn(web, "web"))
        _say(f"the {name} is running at {server_url(settings.host, listener.getsockname()[1])}")
    else:
        _say(f"the {name} is running")
    await asyncio.wait({*working, stop}, return_when=asyncio.FIRST_COMPLETED)
    return await _end(role, name, working, web_stop)


async def _started(opening: Callable[[], Awaitable[Role]]) -> Role:
    """One that works; of one that could not begin nothing is left."""
    role = await opening()
    try:
        await role.start()
    except BaseException:
        await _stopped(role)
        raise
    return role


async def _end(role: Role, name: str, working: Sequence[asyncio.Task[None]], web_stop: asyncio.Event) -> int:
    broken = next((task for task in working if task.done()), None)
    role.close_intake()
    if broken is None:
        _say(f"the {name} is stopping")
    web_stop.set()
    working[0].cancel()
    await asyncio.wait(working, timeout=STOP_S if broken is None else BREAK_S)
    for task in working:
        task.cancel()
    await _stopped(role)
    return ExitCode.OK if broken is None else explain(broken)


async def _stopped(role: Role) -> None:
    try:
        async with asyncio.timeout(STOP_S):
            await role.stop()
    except (PlugmeshError, TimeoutError) as error:
        _log.warning("not everything could be stopped: %s", str(error) or type(error).__name__)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
