"""How each kind of fault is done to a simulated mesh."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from plugmesh.errors import StateUnavailable
from tests.sim.bus import LogBroker
from tests.sim.chaos import BUSIEST, Fault
from tests.sim.database import SimDatabase
from tests.sim.instance import Instance
from tests.sim.objects import Disk
from tests.sim.process import SimProcess
from tests.sim.server import Server

FOR_EVER_S = 1000.0


class Scene(Protocol):
    """What faults are done to."""

    servers: list[Server | None]
    instances: list[Instance | None]
    broker: LogBroker
    database: SimDatabase
    disk: Disk
    dice: random.Random
    faults: int

    def later(self, delay_s: float, function: Callable[..., Any], *args: Any) -> None:
        """Call a function of the world after a delay."""
        ...

    def note(self, who: str, what: str) -> None:
        """Add an event to the trace."""
        ...


class Strikes:
    """Carries out the faults of a plan."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def strike(self, fault: Fault) -> None:
        """Do it now, if its victim is there."""
        if fault.kind in {"sql-locked", "store-full", "servers-crash"}:
            self._everywhere(fault)
        elif fault.kind.startswith(("server", "clock")):
            server = self._server(fault)
            if server is not None and self._hits(server.process, fault):
                self._strike_server(server, fault)
        else:
            instance = self._instance(fault)
            if instance is not None and self._hits(instance.process, fault):
                self._strike_instance(instance, fault)

    def _hits(self, process: SimProcess, fault: Fault) -> bool:
        if not process.alive or process.stalled:
            return False
        self._scene.faults += 1
        self._scene.note(process.name, f"fault: {fault.kind}, {fault.seconds:.2f}")
        return True

    # -- victims -----------------------------------------------------------------------------------------------------

    def _server(self, fault: Fault) -> Server | None:
        servers = self._scene.servers
        if fault.victim != BUSIEST:
            return servers[fault.victim % len(servers)]
        there = [server for server in servers if server is not None and server.ready]
        return max(there, key=lambda server: len(server.engine.board.leases), default=None)

    def _instance(self, fault: Fault) -> Instance | None:
        if fault.victim != BUSIEST:
            return self._scene.instances[fault.victim]
        there = _living(self._scene.instances)
        return max(there, key=lambda instance: len(instance.supervisor._attempts.held), default=None)

    # -- strikes -----------------------------------------------------------------------------------------------------

    def _everywhere(self, fault: Fault) -> None:
        scene = self._scene
        scene.faults += 1
        scene.note("world", f"fault: {fault.kind}, {fault.seconds:.2f}")
        match fault.kind:
            case "sql-locked":
                server = self._server(fault)  # the one that is meant holds the lock itself; or a stranger does
                scene.database.lock(fault.seconds, "" if server is None or fault.victim > 1 else server.process.name)
            case "store-full":
                scene.disk.full = True
                scene.later(fault.seconds, self._make_room)
            case "servers-crash":
                for server in list(scene.servers):
                    if server is not None:
                        server.process.kill("kill -9, all at once")

    def _strike_server(self, server: Server, fault: Fault) -> None:
        process = server.process
        match fault.kind:
            case "server-crash":
                process.kill("kill -9")
            case "server-step":
                process.doom(int(fault.seconds))
            case "server-stall":
                self._stall(process, fault.seconds)
            case "server-restart":
                process.spawn(_restart(server), "restart")
            case "server-freeze":
                if server.link is not None:
                    server.link.freeze(fault.seconds)
            case "clock-set":
                dice = self._scene.dice
                process.runtime.set_clock(dice.choice((-1.0, 1.0)) * dice.choice((1.0, 60.0)))

    def _strike_instance(self, instance: Instance, fault: Fault) -> None:
        process, link = instance.process, instance.link
        match fault.kind:
            case "instance-crash":
                process.kill("kill -9")
            case "instance-step":
                process.doom(int(fault.seconds))
            case "instance-stall":
                self._stall(process, fault.seconds)
            case "instance-drain":
                process.spawn(instance.supervisor.drain(), "drain")
            case "instance-vanish":
                link.freeze(FOR_EVER_S)
                process.kill("its host vanishes")
            case "results-late":
                self._scene.broker.held[process.name] = process.house.loop.time() + fault.seconds
            case "link-cut":
                link.cut(fault.seconds)
            case "apart" | "apart-mute" | "apart-deaf" if len(self._scene.servers) > 1:
                self._part(instance, fault)
            case "link-freeze" | "apart":
                link.freeze(fault.seconds)
            case "link-mute" | "apart-mute":
                link.mute(fault.seconds)
            case "link-deaf" | "apart-deaf":
                link.deafen(fault.seconds)

    def _stall(self, process: SimProcess, seconds: float) -> None:
        process.stall()
        self._scene.later(seconds, process.go_on)

    def _part(self, instance: Instance, fault: Fault) -> None:
        """Between one instance and one server, whichever process that is."""
        server = self._scene.servers[self._scene.dice.randrange(len(self._scene.servers))]
        if server is None:
            return
        there, here = server.process.name, instance.process.name
        ways = {"apart": [(here, there), (there, here)], "apart-mute": [(here, there)], "apart-deaf": [(there, here)]}
        walls, pairs = self._scene.broker.walls, ways[fault.kind]
        self._scene.note(here, f"is apart from {there}")
        walls.build(pairs)
        self._scene.later(fault.seconds, walls.tear_down, pairs)

    def _make_room(self) -> None:
        self._scene.disk.full = False


def _living(instances: Sequence[Instance | None]) -> list[Instance]:
    return [instance for instance in instances if instance is not None and instance.process.alive]


async def _restart(server: Server) -> None:
    try:
        if server.ready:
            await server.stop()
    except (sqlite3.OperationalError, StateUnavailable) as error:
        server.process.kill(f"stopped, but {error}")
    server.process.kill("stopped in order")
