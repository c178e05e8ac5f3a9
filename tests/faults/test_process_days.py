"""Bad days of the mesh's own processes, with all services apart."""

from __future__ import annotations

import time

import pytest

from module_sdk.launch import DRAIN_S
from tests.faults.days import Days
from tests.faults.work import NAMES

pytestmark = pytest.mark.servers
GIVES_UP = ("has another owner now", "is no longer owned by")
"""What a scheduler logs when it cannot renew a shard, and when the database refuses what it writes for one."""


def test_a_scheduler_that_stood_still_for_longer_than_its_lease_writes_nothing_gives_up_and_begins_again(
    days: Days,
) -> None:
    stopped, other = days.mesh.of("scheduler")
    runs = days.load(30, ms=200)
    stopped.pause()
    days.mesh.until(lambda: days.mesh.shards(other) == 32, "nobody took the shards over")
    runs += days.load(10)
    asleep = stopped.log_size
    stopped.resume()
    days.mesh.until(lambda: any(sign in stopped.said(asleep) for sign in GIVES_UP), "it did not give its shards up")
    days.mesh.until(days.mesh.shared_out, "the one that stood still did not take its share again")
    days.finish(runs + days.load(10))


def test_two_schedulers_that_take_a_shard_from_each_other_again_and_again(days: Days) -> None:
    runs = []
    for _ in range(3):
        for scheduler in days.mesh.of("scheduler"):
            runs += days.load(5)
            scheduler.kill()
            scheduler.start()
            time.sleep(1)
    days.finish(runs)


def test_module_processes_that_drain_under_load_lose_no_attempt(days: Days) -> None:
    runs = days.load(40, ms=200)
    for member in days.mesh.of("modules"):
        begun = time.monotonic()
        assert member.stop() == 0
        assert time.monotonic() - begun < DRAIN_S, "it was still at work when its time to drain was over"
        member.start()
        days.mesh.until(lambda: days.mesh.palette() >= set(NAMES), "nobody serves the modules")
    days.finish(runs)
    for run in runs:
        lost = [(step["id"], step["losses"]) for step in days.mesh.show(run)["steps"] if step["losses"]]
        assert not lost, f"{run}: {lost}"
