"""Discovery, tried: an instance without modules enters itself, is seen, and leaves."""

from __future__ import annotations

import asyncio
import os
import socket

from plugmesh.cli.commands.doctor.trial import Doubt
from plugmesh.contracts.instance import Registration, dispatch_partition
from plugmesh.discovery.open import open_discovery
from plugmesh.discovery.port import Discovery, Entry
from plugmesh.errors import NotReachable
from plugmesh.runtime import Runtime

SEEN_S = 10.0
PREFIX = "doctor"
_LOOK_S = 0.01


async def try_url(url: str, runtime: Runtime, known: int) -> str:
    """Open discovery at `url` as a process does, and try it; `known` as for `try_discovery`."""
    discovery = open_discovery(url, runtime)
    try:
        await discovery.check()
        return await try_discovery(discovery, runtime, known)
    finally:
        await discovery.close()


async def try_discovery(discovery: Discovery, runtime: Runtime, known: int) -> str:
    """Enter an instance that serves nothing, so that nobody gives it work, and strike it out. `known` is how many instances the
    gateway knows. Raises `Doubt` if none of them stands there, `ConfigurationError`, `Unauthorized`, `NotReachable`."""
    seen: dict[str, Entry] = {}
    watch = discovery.watch(lambda name, entry: _note(seen, name, entry))
    instance = runtime.new_id(PREFIX)
    begun = runtime.now()
    try:
        await discovery.register(_registration(instance, runtime))
        await _until(seen, instance, True, runtime)
        entered_s, begun = runtime.now() - begun, runtime.now()
        await discovery.deregister(instance)
        await _until(seen, instance, False, runtime)
    finally:
        await discovery.deregister(instance)
        watch.close()
    others = [name for name in seen if not name.startswith(f"{PREFIX}-")]
    if known and not others:
        raise Doubt(
            f"an instance can enter itself, and of the {known} that the gateway knows none stands there",
            "the name of the mesh in the setting `discovery` is not the one that its processes have",
        )
    left_ms = (runtime.now() - begun) * 1000
    return f"an instance was seen after {entered_s * 1000:.0f} ms and gone after {left_ms:.0f} ms; {len(others)} others are there"


def _note(seen: dict[str, Entry], instance: str, entry: Entry | None) -> None:
    if entry is None:
        seen.pop(instance, None)
    else:
        seen[instance] = entry


def _registration(instance: str, runtime: Runtime) -> Registration:
    return Registration(
        instance=instance,
        host=socket.gethostname(),
        pid=os.getpid(),
        partition=dispatch_partition(instance),
        offers=(),
        started_at=runtime.wall(),
        sdk="doctor",
    )


async def _until(seen: dict[str, Entry], instance: str, there: bool, runtime: Runtime) -> None:
    try:
        async with asyncio.timeout(SEEN_S):
            while (instance in seen) is not there:
                await runtime.sleep(_LOOK_S)
    except TimeoutError:
        word = "entered itself and was not seen" if there else "left and was still seen"
        raise NotReachable(f"an instance {word} for {SEEN_S:g} s: look at the log of the service registry") from None
