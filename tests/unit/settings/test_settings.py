"""Values of settings: how they are read, changed while the server runs, and what is said when they are wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from plugmesh.errors import Conflict, NotFound
from plugmesh.settings.kinds import OPTION, RUN_TIME, SECRET, Mark
from plugmesh.settings.settings import API, BUILT_IN, Settings, SettingsInvalid, marks, variable
from plugmesh.settings.table import GROUPS, Table


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("json_limit_bytes", "5 MiB", 5 * 2**20),
        ("json_limit_bytes", "1.5GiB", 3 * 2**29),
        ("json_limit_bytes", "2 kB", 2000),
        ("json_limit_bytes", 7, 7),
        ("retention_runs_s", "30 d", 30 * 86400.0),
        ("recheck_s", "250ms", 0.25),
        ("recheck_s", "1.5 h", 5400.0),
        ("retention_data_bytes", "none", None),
        ("retention_data_bytes", None, None),
        ("allowed_origins", "https://a.example, http://b:80/", ("https://a.example", "http://b:80")),
        ("http_allow_private", ["10.0.0.0/8", "Files.Example"], ("10.0.0.0/8", "files.example")),
        ("builtins", "no", False),
        ("slots", "3", 3),
    ],
)
def test_values_are_read_from_text_and_from_json(name: str, text: Any, value: Any) -> None:
    assert getattr(Settings.configured({name: text}, {}), name) == value


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("json_limit_bytes", "5 apples", "512 KiB"),
        ("json_limit_bytes", True, "number is needed"),
        ("json_limit_bytes", "1.5", "no whole number"),
        ("json_limit_bytes", -1, "greater than or equal to 1"),
        ("recheck_s", "0", "greater than 0"),
        ("recheck_s", float("inf"), "recheck_s"),
        ("slots", "many", "'many'"),
        ("port", 70_000, "65535"),
        ("log_level", "loud", "'debug', 'info'"),
        ("allowed_hosts", ["http://x"], "without a port"),
        ("allowed_origins", "x.example", "https://host"),
        ("trusted_proxies", "proxy", "10.0.0.0/8"),
        ("host", 5, "valid string"),
        ("host", "", "an address to listen on is needed: write 127.0.0.1, or 0.0.0.0"),
        ("host", " ", "an address to listen on is needed"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_and_what_would_be_right(name: str, value: Any, said: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        Settings.configured({name: value}, {})
    assert name in str(caught.value)
    assert said in str(caught.value)


@given(size=st.integers(1, 2**40), unit=st.sampled_from(["", "B", "KiB", "MiB", "kB", "MB"]))
def test_any_size_with_any_unit_is_a_whole_number_of_bytes(size: int, unit: str) -> None:
    factor = {"": 1, "B": 1, "KiB": 1024, "MiB": 2**20, "kB": 1000, "MB": 10**6}[unit]
    assert Settings.configured({"json_limit_bytes": f"{size}{unit}"}, {}).json_limit_bytes == size * factor


def test_nobody_sets_an_attribute() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.rows_limit = 5  # type: ignore[misc]


def test_a_change_is_seen_by_who_reads_and_told_to_who_listens() -> None:
    settings = Settings()
    heard: list[int] = []
    stop = settings.on_change("rows_limit", heard.append)
    settings.change("rows_limit", 500)
    assert (settings.rows_limit, settings.origin("rows_limit"), heard) == (500, API, [500])
    settings.reset("rows_limit")
    assert (settings.rows_limit, settings.origin("rows_limit"), heard) == (10_000, BUILT_IN, [500, 10_000])
    stop()
    settings.change("rows_limit", 600)
    assert heard == [500, 10_000]


def test_a_reset_goes_back_to_what_is_configured_not_to_what_is_built_in() -> None:
    settings = Settings.configured({"rows_limit": 700}, {"rows_limit": "PLUGMESH_ROWS_LIMIT"})
    settings.change("rows_limit", 500)
    settings.change("rows_limit", 600)
    assert settings.configured_value("rows_limit") == 700
    settings.reset("rows_limit")
    assert (settings.rows_limit, settings.origin("rows_limit")) == (700, "PLUGMESH_ROWS_LIMIT")


def test_a_change_that_contradicts_another_setting_is_refused_and_nothing_changes() -> None:
    settings = Settings()
    with pytest.raises(SettingsInvalid, match="rows_default is 20000, more than rows_limit"):
        settings.change("rows_default", 20_000)
    assert settings.rows_default == 100


def test_what_needs_a_restart_says_so() -> None:
    with pytest.raises(Conflict, match=r"PLUGMESH_PORT.*start the server again"):
        Settings().change("port", 1)


def test_an_unknown_name_is_answered_with_the_nearest_right_one() -> None:
    for use in (Settings().check, Settings().change):
        with pytest.raises(NotFound, match="rows_limit"):
            use("rows_limt", 1)
    with pytest.raises(NotFound):
        Settings().on_change("nothing", print)


@pytest.mark.parametrize("name", Table.model_fields)
def test_every_setting_has_a_text_a_valid_default_and_known_marks(name: str) -> None:
    field = Table.model_fields[name]
    assert field.description, f"{name} says nothing: write a text below it"
    assert marks(name) <= {RUN_TIME, OPTION, SECRET}
    assert all(mark == Mark(mark.word) for mark in marks(name))
    assert getattr(Settings.configured({name: field.default}, {}), name) == field.default
    assert variable(name) == f"PLUGMESH_{name.upper()}"


def test_the_table_is_its_groups_and_nothing_is_in_two() -> None:
    names = [name for group in GROUPS for name in group.model_fields]
    assert names == list(Table.model_fields)
    assert all(group.__doc__ for group in GROUPS)
