"""A supervisor process from its launch to its end. The only place that wires a supervisor."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from module_sdk.family import become_subreaper, end_children
from module_sdk.launch import Launch, sources_of
from module_sdk.supervisor.processes import Processes
from module_sdk.supervisor.settings import Settings
from module_sdk.supervisor.signals import Signals
from module_sdk.supervisor.supervisor import Supervisor
from module_sdk.supervisor.tickets import Tickets
from plugmesh.bus.failure import bus_failed
from plugmesh.bus.port import Bus
from plugmesh.contracts.instance import Offer, Registration, dispatch_partition
from plugmesh.errors import ConfigurationError, NotReachable, PlugmeshError
from plugmesh.first_contact import check_services, first_contact
from plugmesh.hub.link import HubLink
from plugmesh.join import Backends, Joined, join
from plugmesh.logs.config import NOTICES, Lines, add_to_lines, configure_logs, is_json, log_settings
from plugmesh.objects.open import open_store
from plugmesh.objects.port import ObjectStore, check_store
from plugmesh.runtime import Runtime
from plugmesh.runtime_loader import load_runtime
from plugmesh.telemetry.config import telemetry_config
from plugmesh.telemetry.open import open_telemetry
from plugmesh.telemetry.port import Telemetry
from plugmesh.telemetry.span import decode_spans
from plugmesh.token_file import read_token
from plugmesh.urls import hidden

WRONG_SETTING = 2
"""Exit code when a setting must be changed before this process can work."""
REFUSED = 1
"""Exit code when the mesh refuses this process."""
FAILED = 1
"""Exit code when a part of this process has failed."""
HURRIED = 130
"""Exit code after a second signal, or one that came before the mesh was joined."""

PATIENCE_S = 2.0
"""After that long without a mesh, its user is told what this waits for."""

_log = logging.getLogger("plugmesh")
_T = TypeVar("_T")


def main() -> None:
    """Serve until drained; the exit code says how it ended."""
    with open(int(sys.argv[1]), "rb") as file:
        launch = Launch.decode(file.read())
    os.set_blocking(sys.stdout.fileno(), True)
    lines = _log_as_told(launch)
    become_subreaper()
    try:
        code = _run(launch, load_runtime(), lines)
    except ConfigurationError as error:
        _notice(f"plugmesh: {error}")
        sys.exit(WRONG_SETTING)
    except PlugmeshError as error:
        sys.exit(f"plugmesh: {error}")
    except KeyboardInterrupt:  # before the mesh was there
        sys.exit(HURRIED)
    end_children()  # what attempts started, if it is not gone yet
    sys.exit(code)


def _log_as_told(launch: Launch) -> Lines:
    """By the variables that servers understand, too. Ends the process if one of them is wrong."""
    try:
        logs = log_settings(os.environ, default_level="info")
        return configure_logs(logs, "module", launch.backends, (launch.token,), notices=sys.stdout)
    except ConfigurationError as error:
        sys.stdout.write(f"plugmesh: {error}\n")
        sys.exit(WRONG_SETTING)


def _run(launch: Launch, runtime: Runtime, lines: Lines) -> int:
    try:
        import uvloop  # not there in the base install
    except ImportError:
        return asyncio.run(_serve(launch, runtime, lines))
    return uvloop.run(_serve(launch, runtime, lines))


async def _serve(launch: Launch, runtime: Runtime, lines: Lines) -> int:
    signals = Signals(_end_at_once)
    signals.listen(asyncio.get_running_loop())
    entered = await _unless(signals.asked, _enter(launch, runtime), runtime)
    if entered is None:
        return HURRIED  # nothing was begun
    joined, store = entered
    instance = runtime.new_id("inst")
    add_to_lines(lines, instance=instance)
    tickets = Tickets(runtime, store, instance, joined.objects_url)
    await _unless(signals.asked, tickets.start(), runtime)
    telemetry = _telemetry(launch, runtime)
    supervisor = _supervisor(launch, runtime, joined, store, tickets, telemetry)
    draining = runtime.spawn(_drain_when(signals.asked, supervisor), "drain")
    watching = runtime.spawn(_end_with(joined.bus, supervisor), "bus failure")
    if (link := joined.link) is not None:
        link.listen(lambda up: _link_changed(supervisor, link, up))
    if await _unless(supervisor.ended, _start(supervisor), runtime):
        _greet(launch, supervisor)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    await supervisor.ended.wait()
    draining.cancel()
    watching.cancel()
    await supervisor.stop()
    await telemetry.close()
    await tickets.close()
    await joined.close()
    return supervisor.exit_code


async def _drain_when(asked: asyncio.Event, supervisor: Supervisor) -> None:
    await asked.wait()
    _notice("draining: what has started is finished first; press Ctrl-C again to end at once")
    try:
        await supervisor.drain()
    finally:
        supervisor.ended.set()


async def _end_with(bus: Bus, supervisor: Supervisor) -> None:
    """End when the bus has failed for good: nothing would be heard here, while the instance stays in the phone book."""
    try:
        await bus_failed(bus)
    except PlugmeshError as error:
        _notice(f"plugmesh: {error}")
        supervisor.exit_code = FAILED
        supervisor.ended.set()


def _end_at_once() -> None:
    _notice("ending at once")
    end_children()
    os._exit(HURRIED)


async def _start(supervisor: Supervisor) -> bool:
    await supervisor.start()
    return True


def _greet(launch: Launch, supervisor: Supervisor) -> None:
    for item in launch.served:
        if not supervisor.is_refused(item.contract):
            mesh = hidden(launch.backends[0]) if Backends(*launch.backends).apart else launch.url
            _notice(f"{item.contract.ref} is offered to the mesh {mesh}")  # which may refuse it still


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, _T], runtime: Runtime) -> _T | None:
    """What `work` returns, or `None` if `event` is set before it has ended."""
    working = runtime.spawn(work, "start")
    watching = runtime.spawn(_wait(event), "end of start")
    await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
    watching.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait({working})
    return None if working.cancelled() else working.result()


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _join(launch: Launch, runtime: Runtime) -> Joined:
    """The mesh, for which this waits as long as it takes; what a server started, no longer than without that server."""
    token = _token(launch)
    joining = partial(join, launch.url, runtime, token=token, backends=Backends(*launch.backends))
    try:
        return await joining(timeout_s=min(PATIENCE_S, launch.orphan_exit_s or PATIENCE_S))
    except NotReachable as error:
        _notice(f"waiting for the mesh at {launch.url}: {error}")
        return await joining(timeout_s=launch.orphan_exit_s)


async def _enter(launch: Launch, runtime: Runtime) -> tuple[Joined, ObjectStore]:
    """The mesh and its objects, once both answer."""
    if Backends(*launch.backends).apart:
        return await first_contact(partial(_open_services, launch, runtime), runtime, say=_notice)
    joined = await _join(launch, runtime)
    store = open_store(joined.objects_url, runtime, _token(launch))
    await first_contact(partial(check_store, store, runtime), runtime, say=_notice)
    return joined, store


async def _open_services(launch: Launch, runtime: Runtime) -> tuple[Joined, ObjectStore]:
    joined = await _join(launch, runtime)
    try:
        store = open_store(joined.objects_url, runtime, _token(launch))
        await check_store(store, runtime)
        await check_services(joined.bus, joined.discovery)
    except BaseException:
        await joined.close()
        raise
    return joined, store


def _token(launch: Launch) -> Callable[[], str]:
    return partial(read_token, Path(launch.token_file)) if launch.token_file else lambda: launch.token


def _telemetry(launch: Launch, runtime: Runtime) -> Telemetry:
    """Where spans of executors go. Without the packages for it modules work all the same."""
    config = telemetry_config(os.environ, headers=launch.otlp_headers)
    return open_telemetry(config, runtime, required=False)


def _supervisor(  # noqa: PLR0917  everything it touches is given to it
    launch: Launch,
    runtime: Runtime,
    joined: Joined,
    store: ObjectStore,
    tickets: Tickets,
    telemetry: Telemetry,
) -> Supervisor:
    instance = tickets.instance
    registration = Registration(
        instance=instance,
        host=socket.gethostname(),
        pid=os.getpid(),
        slots=launch.slots,
        prefetch=launch.ahead * launch.slots,
        partition=dispatch_partition(instance),
        labels=launch.labels,
        offers=tuple(
            Offer(name=item.contract.name, version=item.contract.version, digest=item.contract.digest)
            for item in launch.served
        ),
        started_at=runtime.wall(),
        sdk=f"python/{_sdk_version()}",
    )
    return Supervisor(
        runtime,
        bus=joined.bus,
        discovery=joined.discovery,
        objects=store,
        registration=registration,
        contracts=[item.contract for item in launch.served],
        executors=Processes(
            tickets.url,
            launch.path,
            sources_of(launch.served),
            subreaper=True,
            traces=telemetry.on,
            tells=is_json(logging.getLogger()),
        ),
        settings=Settings(idle_s=launch.idle_s, drain_s=launch.drain_s, orphan_exit_s=launch.orphan_exit_s),
        notice=_notice,
        on_spans=partial(_export, telemetry),
    )


def _export(telemetry: Telemetry, payload: bytes) -> None:
    """Send on what an executor traced."""
    try:
        for span in decode_spans(payload):
            telemetry.export(span)
    except ValueError as error:
        _log.debug("spans of an executor are dropped: %s", error)


def _link_changed(supervisor: Supervisor, link: HubLink, up: bool) -> None:
    supervisor.link_changed(up)
    if supervisor.ended.is_set():
        return
    if link.failure is not None:  # it will not come back: the mesh refuses this process
        _notice(f"plugmesh: {link.failure}")
        supervisor.exit_code = REFUSED
        supervisor.ended.set()
        return
    _log.info(
        "connected to the mesh" if up else "the mesh cannot be reached; work goes on, and so do attempts to reconnect"
    )


def _notice(text: str) -> None:
    """A line for who started the process."""
    logging.getLogger(NOTICES).info("%s", text)


def _sdk_version() -> str:
    try:
        return version("plugmesh")
    except PackageNotFoundError:
        return "source"
