"""A one-way partition: a scheduler and a module process in a network of their own can be heard, or can hear, but not both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Literal

import pytest

from scheduler.shards import SHARD_LEASE_S
from scripts.real_mesh import Member
from tests.faults.days import PROXIES, SETTINGS, Days
from tests.faults.other_network import OtherNetwork, other_network
from tests.faults.urls import through

pytestmark = pytest.mark.servers
LOST_S = SHARD_LEASE_S + 5


@pytest.fixture
def network(days: Days) -> Iterator[OtherNetwork]:
    """With a scheduler and a module process there, which reach every server by proxies at this host's address."""
    with ExitStack() as stack:
        network = stack.enter_context(other_network())
        urls = days.real.environment()
        for number, name in enumerate(SETTINGS):
            target = days.proxies[name].target
            proxy = stack.enter_context(PROXIES[name](target, seed=number, host=network.here))
            variable = f"PLUGMESH_{SETTINGS[name].upper()}"
            urls[variable] = through(urls[variable], proxy)
        folder = str(days.mesh.data)
        far = [
            network.start(days.mesh, "far-scheduler", urls, "serve", "scheduler", "--data", folder),
            network.start(days.mesh, "far-modules", urls, "module", "serve", str(days.mesh.folder / "days.py")),
        ]
        days.mesh.until(lambda: "the scheduler is running" in far[0].said(), "no far scheduler")
        days.mesh.until(lambda: "is offered to the mesh" in far[1].said(), "no far modules")
        days.mesh.until(lambda: _of_near(days) <= 24, "the far scheduler has no share of the shards")
        yield network
        network.heal()
        _end(days, far)


@pytest.mark.parametrize("way", ["out", "in"])
def test_a_host_that_is_lost_one_way_loses_its_work_to_others_and_comes_back(
    days: Days, network: OtherNetwork, way: Literal["out", "in"]
) -> None:
    runs = days.load(20, ms=200)
    network.lose(way)
    days.mesh.until(lambda: _of_near(days) == 32, "nobody took the shards over")
    time.sleep(LOST_S - SHARD_LEASE_S)
    runs += days.load(10)
    network.heal()
    days.finish(runs)
    days.mesh.until(lambda: _of_near(days) <= 24, "the far scheduler did not take its share again")
    days.finish(days.load(10))


def _of_near(days: Days) -> int:
    return sum(days.mesh.shards(one) for one in days.mesh.of("scheduler"))


def _end(days: Days, far: list[Member]) -> None:
    for member in reversed(far):
        assert member.stop() == 0, member.last_words()
        del days.mesh.members[member.name]
