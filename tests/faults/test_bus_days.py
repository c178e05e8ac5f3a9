"""Bad days of the message broker."""

from __future__ import annotations

import os
import time
from urllib.parse import urlsplit

import pytest

from tests.faults.days import Days
from tests.faults.results import Results

pytestmark = pytest.mark.servers
DOWN_S = float(os.environ.get("PLUGMESH_TEST_BROKER_DOWN_S", "60"))
ACTIVE = 100


def test_a_broker_that_is_killed_and_down_for_a_while_with_a_hundred_runs_active(days: Days) -> None:
    runs = days.load(ACTIVE, ms=200, held=True)
    days.until_begun(runs)
    assert days.unfinished(runs) == ACTIVE
    days.servers["kafka"].kill()
    days.let_go()
    time.sleep(DOWN_S)
    assert days.unfinished(runs) == ACTIVE, "results arrived without a broker"
    runs += days.load(5)
    days.servers["kafka"].start()
    days.finish(runs)


def test_a_broker_that_is_restarted_twice_while_runs_go_on(days: Days) -> None:
    runs = []
    for _ in range(2):
        runs += days.load(15)
        days.servers["kafka"].stop()
        days.servers["kafka"].start()
    days.finish(runs)


def test_results_that_retention_has_deleted_before_a_scheduler_has_read_them(days: Days) -> None:
    results = Results(days.servers["kafka"].address, urlsplit(days.mesh.urls.bus).path[1:])
    runs = days.load(20, ms=500, held=True)
    days.until_begun(runs)
    schedulers = days.mesh.of("scheduler")
    ends = results.ends()
    for scheduler in schedulers:
        scheduler.kill()
    days.let_go()
    at_work = days.at_work(runs)
    assert at_work
    days.mesh.until(lambda: results.done_since(ends) >= at_work, "what was at work did not say that it is done")
    results.delete()
    for scheduler in schedulers:
        scheduler.start()
    days.finish(runs)
    assert any("is not there any more" in one.said() for one in schedulers)
