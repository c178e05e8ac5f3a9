"""Bad days of the network between the processes of a mesh and what they use: cut, half-open, slow, one way only."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Literal

import pytest

from tests.faults.days import Days
from tests.faults.proxy import FaultProxy

pytestmark = pytest.mark.servers
HALF_OPEN_S = 12.0
"""Longer than the leases of shards."""


def test_connections_are_cut_again_and_again(days: Days) -> None:
    runs = []
    for name, proxy in [*days.proxies.items()] * 4:
        runs += days.load(2)
        days.mesh.until(proxy.cut, f"nobody is connected to {name}")
    days.finish(runs)


def test_everything_is_slow(days: Days) -> None:
    for proxy in days.proxies.values():
        proxy.delay_s = 0.05
    days.finish(days.load(10))


@pytest.mark.parametrize("names", [("kafka", "consul"), ("postgres",), ("minio",)], ids=" and ".join)
def test_connections_are_half_open_for_longer_than_a_lease(days: Days, names: tuple[str, ...]) -> None:
    runs = days.load(10, ms=200, held=True)
    days.until_begun(runs)
    for name in names:
        days.proxies[name].freeze()
    days.let_go()
    days.until_met("frozen", names)
    time.sleep(HALF_OPEN_S)
    for name in names:
        days.proxies[name].thaw()
    days.finish(runs)


@pytest.mark.parametrize("way", ["forth", "back"])
def test_what_is_sent_arrives_one_way_only(days: Days, way: Literal["forth", "back"]) -> None:
    runs = days.load(10, ms=200, held=True)
    days.until_begun(runs)
    for name in ("kafka", "postgres"):
        days.proxies[name].swallow(way)
    days.let_go()
    days.until_met("swallowed", ("kafka", "postgres"))
    time.sleep(HALF_OPEN_S)
    for name in ("kafka", "postgres"):
        days.proxies[name].heal()
    days.finish(runs)


def test_a_day_of_everything(days: Days) -> None:
    """What happens when, and to which server, is drawn from the seed."""
    runs = days.load(30, ms=100)
    dice = random.Random(days.seed)
    for _ in range(12):
        proxy = days.proxies[dice.choice(sorted(days.proxies))]
        harm: Callable[[FaultProxy], object] = dice.choice(HARM)
        harm(proxy)
        time.sleep(dice.uniform(0.2, 2.0))
        proxy.heal()
    days.finish(runs)


def _slow(proxy: FaultProxy) -> None:
    proxy.delay_s = 0.2


def _deaf(proxy: FaultProxy) -> None:
    proxy.swallow("forth")


def _mute(proxy: FaultProxy) -> None:
    proxy.swallow("back")


HARM = (FaultProxy.cut, FaultProxy.refuse, FaultProxy.freeze, _slow, _deaf, _mute)
