"""Bad days of the object store."""

from __future__ import annotations

import time

import pytest

from tests.faults.days import Days

pytestmark = pytest.mark.servers
DAYS = {
    "a third of all requests is answered with 503": {"503": 0.33},
    "a third of all answers is cut off": {"truncate": 0.33},
    "a third of all writes is confirmed and not done": {"lost": 0.33},
    "a third of all requests is done and not answered": {"close": 0.33},
    "all of it at once": {"503": 0.1, "truncate": 0.1, "lost": 0.1, "close": 0.1},
}


@pytest.mark.parametrize("day", DAYS)
def test_runs_succeed_although(days: Days, day: str) -> None:
    proxy = days.proxies["minio"]
    proxy.shares = dict(DAYS[day])
    days.finish(days.load(10))

    def everything_happened() -> bool:
        days.finish(days.load(2))
        return all(proxy.met[fault] for fault in DAYS[day])

    days.mesh.until(everything_happened, f"not all of {[*DAYS[day]]} happened")


def test_a_store_that_is_killed_and_down_for_a_while(days: Days) -> None:
    runs = days.load(20, ms=200)
    days.servers["minio"].kill()
    time.sleep(10)
    runs += days.load(5)
    days.servers["minio"].start()
    days.finish(runs)
