"""One server from its start to its end: signals, the banner, and the order in which things stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import uvloop

from gateway.server import bind, is_loopback, raise_open_files, serve
from gateway.tokens import Tokens
from plugmesh.cli.exits import ExitCode
from plugmesh.cli.options import ServerOptions
from plugmesh.cli.server.banner import banner
from plugmesh.cli.server.logs import NOTICES, configure_server_logs, server_log_variables
from plugmesh.cli.server.mesh import DATABASES, RUN, Mesh, data_folder, no_room
from plugmesh.cli.server.services import Services
from plugmesh.cli.server.telemetry import telemetry_variables
from plugmesh.errors import ConfigurationError, Conflict, NotReachable, PlugmeshError, StateUnavailable, Unauthorized
from plugmesh.first_contact import OUTAGES, first_contact
from plugmesh.runtime import Runtime
from plugmesh.runtime_loader import VARIABLE, load_runtime
from plugmesh.settings.given import settings_of
from plugmesh.settings.settings import Settings, SettingsInvalid, variable
from plugmesh.urls import secret_variables
from registry.registry import MemberChange

PALETTE_S = 10.0
"""The banner waits for the server's own modules, but not longer than this: runs are accepted anyway."""
BREAK_S = 1.0
"""Requests get so long to finish when a part has failed, or after a second signal."""
STOP_S = 10.0
"""Stopping the parts must not take longer: a database that hangs must not keep the process."""
_MOST_SLOTS = 8
_OTHER_FILES = 256
"""Files that a server has open beside its connections."""
_log = logging.getLogger(__name__)
_say = logging.getLogger(NOTICES).info


Serving: TypeAlias = Callable[[Settings, Path, Runtime], Coroutine[Any, Any, int]]
"""One server, from its settings and its data folder to its exit code."""


def run_server(options: ServerOptions) -> int:
    """Serve until a signal or a failure; the exit code."""
    return run(options, _run)


def run(options: ServerOptions, serving: Serving) -> int:
    """Read the settings and run `serving` to its end; the exit code."""
    data = Path(options.data).expanduser()
    file = Path(options.settings_file).expanduser() if options.settings_file else None
    try:
        settings = settings_of(os.environ, file, data, options.given, options.assignments)
    except SettingsInvalid as error:
        print("\n".join(f"plugmesh: {problem}" for problem in error.problems), file=sys.stderr)
        return ExitCode.USAGE
    try:
        configure_server_logs(settings, options.role)
        _let_open_files(settings)
        runtime = load_runtime({VARIABLE: options.runtime})
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serving(settings, data, runtime))
    except (ConfigurationError, Conflict, Unauthorized) as error:
        print(f"plugmesh: {error}", file=sys.stderr)
        return ExitCode.USAGE
    except PlugmeshError as error:
        print(f"plugmesh: the server cannot go on: {error}", file=sys.stderr)
        return ExitCode.RUN_FAILED


async def _run(settings: Settings, folder: Path, runtime: Runtime) -> int:
    folders = _watched(settings)
    listener = bind(settings.host, settings.port)
    try:
        data = data_folder(str(folder))
        url = server_url(settings.host, listener.getsockname()[1])
        is_file = not settings.state or settings.state.startswith("sqlite")  # one that cannot be used is no outage
        outages = (NotReachable,) if is_file else OUTAGES
        mesh = await first_contact(partial(Mesh.open, data, settings, runtime, url=url), runtime, outages=outages)
        open_to_others = settings.require_token or not is_loopback(listener)
        tokens = Tokens(data, settings, runtime) if open_to_others else None
    except BaseException:
        listener.close()
        raise
    return await Server(settings, data=data, runtime=runtime, mesh=mesh, listener=listener, tokens=tokens).run(folders)


def _let_open_files(settings: Settings) -> None:
    wanted = settings.connections + settings.connections_for_modules + _OTHER_FILES
    allowed = raise_open_files()
    if allowed < wanted:
        _log.warning(
            "this process may have %d files open, and %d connections need %d: raise the limit (ulimit -Hn), or lower the "
            "settings connections and connections_for_modules",
            allowed,
            settings.connections + settings.connections_for_modules,
            wanted,
        )


class Server:
    """A mesh behind a listening socket, with the processes that belong to it."""

    def __init__(
        self,
        settings: Settings,
        *,
        data: Path,
        runtime: Runtime,
        mesh: Mesh,
        listener: socket.socket,
        tokens: Tokens | None,
    ) -> None:
        self._settings = settings
        self._data = data
        self._tokens = tokens
        self._runtime = runtime
        self._mesh = mesh
        self._listener = listener
        self._asked = asyncio.Event()
        self._signals = 0
        self._web_stop = asyncio.Event()
        self._ready_by = runtime.now() + PALETTE_S
        self._was_settled = False
        self._no_room = no_room(data)
        self.url = server_url(settings.host, listener.getsockname()[1])
        self._services = Services(
            data / RUN,
            url=self.url,
            slots=settings.slots or min(os.cpu_count() or 1, _MOST_SLOTS),
            runtime=runtime,
            has_joined=self._has_joined,
            say=_say,
            drain_s=settings.drain_s,
            token_file=tokens.join_file if tokens is not None else None,
            environment={variable("sql_folders"): sql_folders(data, settings)},
            told={**telemetry_variables(settings), **server_log_variables(settings)},
            withheld=withheld(settings),
        )

    async def run(self, folders: list[Path]) -> int:
        """Serve to the end; the exit code. Raises what broke."""
        self._handle_signals()
        if self._no_room is not None:
            _say(self._no_room)
        self._services.start(folders, builtins=self._settings.builtins)  # they need longer to start than the rest
        self._mesh.registry.watch(self._members_changed)
        await self._mesh.start()
        web = self._runtime.spawn(self._web(), "web")
        welcome = self._runtime.spawn(self._welcome(folders), "banner")
        failed = self._runtime.spawn(self._mesh.failed(), "engine failure")
        asked = self._runtime.spawn(_wait(self._asked), "stop signal")
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        await asyncio.wait({web, failed, asked}, return_when=asyncio.FIRST_COMPLETED)
        welcome.cancel()
        broken = next((task for task in (failed, web) if task.done()), None)
        if broken is None:
            failed.cancel()
            await self._stop(web)
            return ExitCode.OK
        asked.cancel()
        await self._break_off(web)
        return explain(broken)

    # -- ends --------------------------------------------------------------------------------------------------------

    async def _stop(self, web: asyncio.Task[None]) -> None:
        """Take no more runs, let modules and requests finish, write what is left, give the shards back."""
        if self._signals < 2:  # two that came at once are two
            self._asked.clear()
        self._mesh.intake.close()
        _say(f"stopping: steps at work have {self._settings.drain_s:g} s to finish (once more to stop at once)")
        hurry = self._runtime.spawn(self._hurry(web), "second signal")
        await self._services.stop()
        self._web_stop.set()
        await asyncio.wait({web})
        hurry.cancel()
        if not web.cancelled():
            web.result()
        try:
            async with asyncio.timeout(STOP_S):
                await self._mesh.stop()
        except TimeoutError:
            raise StateUnavailable(f"the parts of the server did not stop within {STOP_S:g} s") from None

    async def _hurry(self, web: asyncio.Task[None]) -> None:
        """After a second signal nobody is waited for any longer, but for what is written just now."""
        await self._asked.wait()
        await self._services.stop()
        self._web_stop.set()
        await asyncio.wait({web}, timeout=BREAK_S)
        web.cancel()

    async def _break_off(self, web: asyncio.Task[None]) -> None:
        """Stop without trust in any part; the modules go on and find the next server."""
        await self._services.abandon()
        self._web_stop.set()
        await asyncio.wait({web}, timeout=BREAK_S)  # who waits for the part that failed waits in vain
        web.cancel()
        try:
            async with asyncio.timeout(STOP_S):
                await self._mesh.stop()
        except Exception as error:  # noqa: BLE001  the process ends because of another error, which is told
            _log.warning("not everything could be stopped: %s", str(error) or type(error).__name__)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)

    def _signalled(self) -> None:
        self._signals += 1
        self._asked.set()

    # -- parts -------------------------------------------------------------------------------------------------------

    async def _web(self) -> None:
        await serve(
            self._mesh.app(self._palette, self._tokens, self._services.unplugged),
            self._settings.host,
            self._settings.port,
            self._runtime,
            stop=self._web_stop,
            listener=self._listener,
            close_streams=self._mesh.gateway.close_streams,
            settings=self._settings,
        )

    async def _palette(self) -> str | None:
        """Not ready until the server's own modules were there once; then each run says what it waits for."""
        self._was_settled = self._was_settled or self._services.settled
        return None if self._was_settled else "the server's own modules are not there yet: see its log"

    async def _welcome(self, folders: list[Path]) -> None:
        ready_by = self._ready_by if self._no_room is None else 0.0  # no module can join: nothing to wait for
        while await self._palette() and self._runtime.now() < ready_by:
            await self._runtime.sleep(0.02)
        modules = [contract.name for contract in self._mesh.registry.modules()]
        live = sorted({name for name in modules if self._mesh.registry.live_versions(name)})
        if self._settings.log_format == "json":
            _say(f"running at {self.url} with {len(live)} modules")
        else:
            tokens = self._data if self._tokens is not None else None
            print(banner(self.url, self._data, live, folders, tokens), flush=True)

    def _has_joined(self, pid: int) -> bool:
        here = socket.gethostname()
        return any(
            member.registration.pid == pid and member.registration.host == here and member.connected and member.offers
            for member in self._mesh.registry.members().values()
        )

    def _members_changed(self, change: MemberChange) -> None:
        before, after = change.before, change.after
        if before is None or after is None or before.connected != after.connected or change.modules_changed:
            self._services.wake()


def explain(broken: asyncio.Task[None]) -> int:
    """Say that a part of the server has ended by itself; the exit code."""
    error = None if broken.cancelled() else broken.exception()
    if isinstance(error, ConfigurationError):  # as if it had been found at the start
        print(f"plugmesh: {error}", file=sys.stderr)
        return ExitCode.USAGE
    _log.error("%s ended: %s", broken.get_name(), error or "nobody knows why", exc_info=error)
    print(
        f"plugmesh: the server ended because a part of it failed ({error}). Nothing that was accepted is lost: "
        "start it again, and open runs go on",
        file=sys.stderr,
    )
    return ExitCode.RUN_FAILED


def _watched(settings: Settings) -> list[Path]:
    folders = [Path(folder).expanduser().resolve() for folder in settings.modules]
    for folder in folders:
        if not folder.is_dir():
            raise ConfigurationError(f"--modules {folder} is no folder: make it, or name another one")
    return folders


def withheld(settings: Settings) -> frozenset[str]:
    """The variables that nothing but the database's URL names: modules never see the database."""
    used = secret_variables(" ".join((settings.bus, settings.discovery, settings.objects)))
    return secret_variables(settings.state) - used


def sql_folders(data: Path, settings: Settings) -> str:
    """Where `sql.write` may write: folders, joined as those of PATH are; the first one is for relative paths."""
    own = data / DATABASES
    own.mkdir(mode=0o700, exist_ok=True)
    others = (Path(folder).expanduser().resolve() for folder in settings.sql_folders)
    return os.pathsep.join(str(folder) for folder in (own, *others))


def server_url(host: str, port: int) -> str:
    """Where a server that listens there is reached from its own machine."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  only compared
    return f"http://[{name}]:{port}" if ":" in name and not name.startswith("[") else f"http://{name}:{port}"


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
