"""Bad days of the registry: runs go on with the last known list."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from scripts.real_mesh import new_servers
from tests.faults.days import Days
from tests.faults.urls import place_of

pytestmark = pytest.mark.servers
DOWN_S = float(os.environ.get("PLUGMESH_TEST_REGISTRY_DOWN_S", "90"))
"""docs/reliability.md tells of ten minutes."""
LOADS = 6


def test_a_registry_that_is_down_for_long_stops_no_run(days: Days) -> None:
    days.servers["consul"].kill()
    ends_at = time.monotonic() + DOWN_S
    late = days.modules()  # it can only be used afterwards
    for _ in range(LOADS):
        begun = time.monotonic()
        days.finish(days.load(10))
        time.sleep(max(0.0, DOWN_S / LOADS - (time.monotonic() - begun)))
    time.sleep(max(0.0, ends_at - time.monotonic()))
    days.servers["consul"].start()
    days.mesh.until(lambda: "is offered to the mesh" in late.log.read_text(), "the late process never registered")
    days.finish(days.load(10))
    assert late.stop() == 0


def test_a_registry_that_comes_and_goes(days: Days) -> None:
    runs = []
    for _ in range(4):
        runs += days.load(6)
        days.servers["consul"].kill()
        time.sleep(1)
        days.servers["consul"].start()
    days.finish(runs)


def test_a_registry_that_has_forgotten_everything(days: Days, tmp_path: Path) -> None:
    runs = days.load(15, ms=200)
    proxy = days.proxies["consul"]
    before = proxy.target
    with new_servers(tmp_path, ("consul",)) as servers:
        proxy.target = place_of(servers["consul"].address)
        proxy.cut()
        days.finish(runs + days.load(10))
        proxy.target = before
        proxy.cut()
        days.finish(days.load(10))
