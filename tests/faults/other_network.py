"""A host in a network of its own, to and from which packets can be lost one way only."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Literal

from scripts.real_mesh.asked import PLUGMESH
from scripts.real_mesh.member import Member
from scripts.real_mesh.mesh import RealMesh
from tests.e2e.other_host import OtherHost, other_host

Way = Literal["out", "in"]


class OtherNetwork:
    """Processes of a mesh that run there, and the routes between there and here."""

    def __init__(self, host: OtherHost) -> None:
        self._space, self.here = host.space, host.gateway
        self.there = str(ipaddress.ip_address(host.gateway) + 1)
        self._lost: list[list[str]] = []

    def start(self, mesh: RealMesh, name: str, urls: Mapping[str, str], *command: str) -> Member:
        """Run `plugmesh` with these arguments there, as a member of the mesh."""
        inside = ["ip", "netns", "exec", self._space, sys.executable, "-P", PLUGMESH, *command]
        environment = {**mesh.environment, **urls}
        member = Member(name, "far", inside, 0, mesh.folder / f"{name}.log", environment)
        mesh.members[name] = member
        member.start()
        return member

    def lose(self, way: Way) -> None:
        """Nothing that leaves there arrives here (`out`), or the reverse (`in`); the other way everything does."""
        route = ["route", "add", "blackhole", f"{self.here if way == 'out' else self.there}/32"]
        command = ["ip", "-n", self._space, *route] if way == "out" else ["ip", *route]
        _do(command)
        self._lost.append(["del" if word == "add" else word for word in command])

    def heal(self) -> None:
        """Everything arrives again."""
        while self._lost:
            _do(self._lost.pop())


@contextmanager
def other_network() -> Iterator[OtherNetwork]:
    """Make one. Skips where this user may not."""
    with other_host(os.getpid() % 8192) as host:
        network = OtherNetwork(host)
        try:
            yield network
        finally:
            with suppress(subprocess.CalledProcessError):
                network.heal()


def _do(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
