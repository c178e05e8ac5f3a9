"""Settings over HTTP: shown, changed at once, kept over a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugmesh.runtime import SystemRuntime
from plugmesh.settings.settings import Settings
from plugmesh.settings.stored import StoredSettings
from plugmesh.settings.table import Table
from plugmesh.state.settings import save_setting
from plugmesh.state.store import State
from tests.integration.gateway.house import FLOW, House

SETTINGS = "/api/v1/settings"


async def test_every_setting_is_shown_with_its_value_default_and_source(house: House) -> None:
    shown = (await house.client.get(SETTINGS)).json()["settings"]
    assert [setting["name"] for setting in shown] == list(Table.model_fields)
    one = (await house.client.get(f"{SETTINGS}/rows_limit")).json()
    assert one in shown
    assert (one["value"], one["default"], one["source"], one["changeable"]) == (10_000, 10_000, "default", True)
    assert one["doc"] == "Most rows of a preview."


async def test_a_change_is_in_force_at_once_and_a_reset_undoes_it(house: House) -> None:
    async def submit() -> int:
        return (await house.client.post("/api/v1/runs", json={"flow": FLOW})).status_code

    assert await submit() == 202
    answer = await house.client.put(f"{SETTINGS}/json_limit_bytes", json={"value": "10 B"})
    assert (answer.status_code, answer.json()["value"], answer.json()["source"]) == (200, 10, "api")
    assert await submit() == 413
    answer = await house.client.delete(f"{SETTINGS}/json_limit_bytes")
    assert (answer.json()["value"], answer.json()["source"]) == (Settings().json_limit_bytes, "default")
    assert await submit() == 202


@pytest.mark.parametrize(
    ("name", "body", "status", "said"),
    [
        ("rows_limt", {"value": 1}, 404, "'rows_limit'"),
        ("port", {"value": 1}, 409, "start the server again"),
        ("rows_limit", {"value": "many"}, 400, "rows_limit"),
        ("rows_limit", {"value": 0}, 400, "greater than or equal to 1"),
        ("rows_limit", {"value": 5}, 400, "rows_default is 100"),
        ("rows_limit", {"valu": 5}, 422, "'value'"),
        ("rows_limit", {}, 422, "value"),
    ],
)
async def test_a_change_that_cannot_be_says_why(
    house: House, name: str, body: dict[str, object], status: int, said: str
) -> None:
    answer = await house.client.put(f"{SETTINGS}/{name}", json=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    assert house.gateway.settings.rows_limit == 10_000


async def test_a_limit_may_be_taken_away(house: House) -> None:
    for without in (None, "none"):
        answer = await house.client.put(f"{SETTINGS}/retention_runs_s", json={"value": without})
        assert (answer.status_code, answer.json()["value"]) == (200, None)


async def test_changes_outlive_a_restart_and_what_fits_no_more_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = SystemRuntime()
    url = f"sqlite:///{tmp_path}/state.db"
    state = await State.open(url, runtime)
    try:
        stored = StoredSettings(Settings(), state, runtime)
        await stored.put("rows_limit", 500, "ann")
        await stored.put("rows_limit", 600, "bob")
        await stored.put("backlog", 7, "bob")
        await stored.reset("backlog", "bob")
        await state.write(save_setting, "gone_setting", "1", "old version", 1.0)
        await state.write(save_setting, "stall_s", '"soon"', "old version", 1.0)
    finally:
        await state.close()
    state = await State.open(url, runtime)
    try:
        settings = Settings.configured({"rows_limit": 800}, {"rows_limit": "PLUGMESH_ROWS_LIMIT"})
        await StoredSettings(settings, state, runtime).load()
        assert (settings.rows_limit, settings.origin("rows_limit"), settings.backlog) == (600, "api", 64)
        assert settings.configured_value("rows_limit") == 800
        assert "gone_setting" in caplog.text
        assert "stall_s" in caplog.text
    finally:
        await state.close()
