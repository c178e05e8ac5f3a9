"""Scheduler and sweeper over databases on servers: those of their tests that ask every question and make every transaction."""

import pytest

from tests.databases import SERVERS, database_url, kept_databases
from tests.integration.scheduler import sweep_house
from tests.integration.scheduler.mesh import Mesh
from tests.integration.scheduler.test_control import (
    mesh,
    test_a_paused_run_accepts_what_runs_and_begins_nothing_until_it_is_resumed,
    test_a_rerun_does_not_execute_what_it_recovers_and_knows_its_root,
    test_a_run_waits_for_its_turn_and_says_what_it_waits_for,
)
from tests.integration.scheduler.test_dead_letters import (
    test_the_accepted_attempts_letter_is_written_and_read_by_edges,
)
from tests.integration.scheduler.test_disabled_modules import (
    test_a_step_of_a_disabled_module_parks_with_the_reason_and_goes_on_when_it_is_enabled,
)
from tests.integration.scheduler.test_engine import (
    test_a_map_runs_once_for_each_element,
    test_a_transient_failure_is_tried_again_and_a_fatal_one_is_not,
    test_after_a_restart_unfinished_runs_go_on,
    test_many_steps_are_spread_and_each_runs_once,
    test_the_same_idempotency_key_gives_the_same_run,
)
from tests.integration.scheduler.test_sweep import (
    house,
    test_a_pinned_run_stays_until_it_is_let_go,
    test_a_runs_parts_go_each_in_its_time,
)

__all__ = [
    "database_url",
    "house",
    "kept_databases",
    "mesh",
    "test_a_map_runs_once_for_each_element",
    "test_a_paused_run_accepts_what_runs_and_begins_nothing_until_it_is_resumed",
    "test_a_pinned_run_stays_until_it_is_let_go",
    "test_a_rerun_does_not_execute_what_it_recovers_and_knows_its_root",
    "test_a_run_waits_for_its_turn_and_says_what_it_waits_for",
    "test_a_runs_parts_go_each_in_its_time",
    "test_a_step_of_a_disabled_module_parks_with_the_reason_and_goes_on_when_it_is_enabled",
    "test_a_transient_failure_is_tried_again_and_a_fatal_one_is_not",
    "test_after_a_restart_unfinished_runs_go_on",
    "test_many_steps_are_spread_and_each_runs_once",
    "test_the_accepted_attempts_letter_is_written_and_read_by_edges",
    "test_the_same_idempotency_key_gives_the_same_run",
]

pytestmark = pytest.mark.parametrize("database_url", SERVERS, indirect=True)


@pytest.fixture(autouse=True)
def on_server(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setattr(Mesh, "elsewhere", database_url)
    monkeypatch.setattr(sweep_house, "new_database", lambda folder: database_url)
