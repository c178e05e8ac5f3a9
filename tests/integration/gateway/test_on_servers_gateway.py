"""The gateway over databases on servers: those of its tests that ask every question and make every transaction."""

import pytest

from tests.databases import SERVERS, database_url, kept_databases
from tests.integration.gateway import house as gateway_house
from tests.integration.gateway.test_files import (
    settings,
    test_a_deleted_name_is_gone_and_its_bytes_stay_for_those_who_have_it,
    test_files_are_listed_by_prefix_page_by_page,
)
from tests.integration.gateway.test_runs import (
    test_a_key_that_was_used_for_another_request_is_a_conflict,
    test_a_run_is_deleted_once_it_has_ended,
    test_runs_are_listed_by_label_and_time,
    test_runs_are_listed_newest_first_page_by_page,
    test_the_elements_of_mapped_nodes_are_counted,
)
from tests.integration.gateway.test_saved_flows import (
    test_a_deleted_flow_is_gone_and_its_number_goes_on,
    test_flows_are_listed_by_name,
    test_of_many_who_save_over_the_same_revision_one_does,
)

__all__ = [
    "database_url",
    "kept_databases",
    "settings",
    "test_a_deleted_flow_is_gone_and_its_number_goes_on",
    "test_a_deleted_name_is_gone_and_its_bytes_stay_for_those_who_have_it",
    "test_a_key_that_was_used_for_another_request_is_a_conflict",
    "test_a_run_is_deleted_once_it_has_ended",
    "test_files_are_listed_by_prefix_page_by_page",
    "test_flows_are_listed_by_name",
    "test_of_many_who_save_over_the_same_revision_one_does",
    "test_runs_are_listed_by_label_and_time",
    "test_runs_are_listed_newest_first_page_by_page",
    "test_the_elements_of_mapped_nodes_are_counted",
]

pytestmark = pytest.mark.parametrize("database_url", SERVERS, indirect=True)


@pytest.fixture(autouse=True)
def on_server(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setattr(gateway_house, "new_database", lambda folder: database_url)
