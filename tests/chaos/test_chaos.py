"""Chaos for a minute, twice: `scripts/chaos` does the same for as long as one likes."""

from __future__ import annotations

import pytest

from tests.chaos.harness import Options, run
from tests.chaos.report import json_line, story

KILLS = 35
SECONDS = 70.0
RUNS = 110
DISTRIBUTED_KILLS, DISTRIBUTED_RUNS = 15, 40


@pytest.mark.full
@pytest.mark.parametrize("number", range(2))
def test_nothing_is_lost_or_done_twice_whoever_is_killed(number: int, request: pytest.FixtureRequest) -> None:
    """The seeds are new ones each time, and are printed: `scripts/chaos --seed` repeats them."""
    seed = (request.config.option.run_seed + number) % 2**31
    outcome = run(Options(seed, KILLS, SECONDS, RUNS))
    print(json_line(outcome))
    assert not outcome.violations, story(outcome)
    assert outcome.kills == KILLS
    assert sum(outcome.states.values()) >= RUNS


@pytest.mark.servers
def test_nothing_is_lost_or_done_twice_whichever_process_or_server_is_killed(request: pytest.FixtureRequest) -> None:
    """A minute of it on real servers: gateways, schedulers, modules, Kafka, PostgreSQL, Consul and MinIO."""
    seed = request.config.option.run_seed % 2**31
    outcome = run(Options(seed, DISTRIBUTED_KILLS, SECONDS, DISTRIBUTED_RUNS, distributed=True))
    print(json_line(outcome))
    assert not outcome.violations, story(outcome)
    assert outcome.kills == DISTRIBUTED_KILLS
    assert sum(outcome.states.values()) >= DISTRIBUTED_RUNS
