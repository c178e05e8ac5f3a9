"""A supervisor process from its launch to its end. The only place that wires a supervisor."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Coroutine
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
from plugmesh.contracts.instance import Offer, Registration, dispatch_partition
from plugmesh.errors import NotReachable, PlugmeshError
from plugmesh.join import Joined, join
from plugmesh.objects.open import open_store
from plugmesh.runtime import Runtime
from plugmesh.runtime_loader import load_runtime
from plugmesh.token_file import read_token

REFUSED = 1
"""Exit code when the mesh refuses this process."""
HURRIED = 130
"""Exit code after a second signal, or one that came before the mesh was joined."""

PATIENCE_S = 2.0
"""After that long without a mesh, its user is told what this waits for."""

_log = logging.getLogger("plugmesh")
_T = TypeVar("_T")


def main() -> None:
    """Serve until drained; the exit code says how it ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    with open(int(sys.argv[1]), "rb") as file:
        launch = Launch.decode(file.read())
    os.set_blocking(sys.stdout.fileno(), True)
    become_subreaper()
    try:
        code = _run(launch, load_runtime())
    except PlugmeshError as error:
        sys.exit(f"plugmesh: {error}")
    except KeyboardInterrupt:  # before the mesh was there
        sys.exit(HURRIED)
    end_children()  # what attempts started, if it is not gone yet
    sys.exit(code)


def _run(launch: Launch, runtime: Runtime) -> int:
    try:
        import uvloop  # not there in the base install
    except ImportError:
        return asyncio.run(_serve(launch, runtime))
    return uvloop.run(_serve(launch, runtime))


async def _serve(launch: Launch, runtime: Runtime) -> int:
    signals = Signals(_end_at_once)
    signals.listen(asyncio.get_running_loop())
    joined = await _unless(signals.asked, _join(launch, runtime), runtime)
    if joined is None:
        return HURRIED  # nothing was begun
    supervisor = _supervisor(launch, runtime, joined)
    draining = runtime.spawn(_drain_when(signals.asked, supervisor), "drain")
    joined.link.listen(lambda up: _link_changed(supervisor, joined, up))
    if await _unless(supervisor.ended, _start(supervisor), runtime):
        _greet(launch, supervisor)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    await supervisor.ended.wait()
    draining.cancel()
    await supervisor.stop()
    await joined.close()
    return supervisor.exit_code


async def _drain_when(asked: asyncio.Event, supervisor: Supervisor) -> None:
    await asked.wait()
    _notice("draining: what has started is finished first; press Ctrl-C again to end at once")
    try:
        await supervisor.drain()
    finally:
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
            _notice(f"{item.contract.ref} is offered to the mesh {launch.url}")  # which may refuse it still


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
    token = partial(read_token, Path(launch.token_file)) if launch.token_file else lambda: launch.token
    try:
        return await join(
            launch.url, runtime, timeout_s=min(PATIENCE_S, launch.orphan_exit_s or PATIENCE_S), token=token
        )
    except NotReachable as error:
        _notice(f"waiting for the mesh at {launch.url}: {error}")
        return await join(launch.url, runtime, timeout_s=launch.orphan_exit_s, token=token)


def _supervisor(launch: Launch, runtime: Runtime, joined: Joined) -> Supervisor:
    instance = runtime.new_id("inst")
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
        objects=open_store(joined.objects_url, runtime),
        registration=registration,
        contracts=[item.contract for item in launch.served],
        executors=Processes(joined.objects_url, launch.path, sources_of(launch.served), subreaper=True),
        settings=Settings(idle_s=launch.idle_s, drain_s=launch.drain_s, orphan_exit_s=launch.orphan_exit_s),
        notice=_notice,
    )


def _link_changed(supervisor: Supervisor, joined: Joined, up: bool) -> None:
    supervisor.link_changed(up)
    if supervisor.ended.is_set():
        return
    if joined.link.failure is not None:  # it will not come back: the mesh refuses this process
        _notice(f"plugmesh: {joined.link.failure}")
        supervisor.exit_code = REFUSED
        supervisor.ended.set()
        return
    _log.info(
        "connected to the mesh" if up else "the mesh cannot be reached; work goes on, and so do attempts to reconnect"
    )


def _notice(text: str) -> None:
    """A line for who started the process."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _sdk_version() -> str:
    try:
        return version("plugmesh")
    except PackageNotFoundError:
        return "source"
