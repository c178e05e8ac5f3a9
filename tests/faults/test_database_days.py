"""Bad days of the database."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.faults.days import Days, bad_days

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def database_days(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    if request.param == "postgres":
        yield request.getfixturevalue("days_mesh")
        return
    with bad_days(tmp_path_factory.mktemp("mariadb"), request.config.option.run_seed, request.param) as days:
        yield days


@pytest.fixture
def days(database_days: Days) -> Iterator[Days]:
    yield database_days
    database_days.heal()
    database_days.check()


def test_commits_and_their_answers_are_lost(days: Days) -> None:
    proxy = days.database
    proxy.next = ["commit", "answer"] * 4
    days.finish(days.load(30))
    assert not proxy.next


def test_a_database_that_is_killed_in_the_middle_of_commits_and_started_again(days: Days) -> None:
    runs = []
    for _ in range(3):
        runs += days.load(15)
        days.database_server.kill()
        time.sleep(1)
        days.database_server.start()
    days.finish(runs)
