"""Runs of ten thousand steps, wide, deep and mapped: taken, shown, paged through."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.gateway.house import House, step_row

MANY = 10_000
RUNS = "/api/v1/runs"


def flow(shape: str) -> dict[str, Any]:
    nodes: dict[str, Any] = {"n0": {"module": "table.make"}}
    for number in range(1, MANY):
        nodes[f"n{number}"] = {"module": "table.make"} | ({"after": f"n{number - 1}"} if shape == "deep" else {})
    return {"flow": "large/one", "nodes": nodes, "outputs": {"last": f"n{MANY - 1}"}}


@pytest.mark.parametrize("shape", [pytest.param("wide", marks=pytest.mark.full), "deep"])
async def test_a_run_of_ten_thousand_nodes_is_taken_shown_and_cancelled(house: House, shape: str) -> None:
    answer = await house.client.post(RUNS, json={"flow": flow(shape)})
    assert answer.status_code == 202, answer.text
    assert len(answer.json()["warnings"]) <= 201, "the rest is summed up"
    run = answer.json()["id"]
    shown = (await house.client.get(f"{RUNS}/{run}")).json()
    assert len(shown["steps"]) == MANY
    assert shown["steps"][-1]["id"] == f"n{MANY - 1}"
    assert [one["id"] for one in (await house.client.get(f"{RUNS}?flow=large/one")).json()["runs"]] == [run]
    assert (await house.client.post(f"{RUNS}/{run}/cancel")).status_code == 202
    assert [command.run for command in house.intake.commands] == [run]


@pytest.mark.full
async def test_ten_thousand_elements_are_counted_and_come_page_by_page(house: House) -> None:
    mapped = {"flow": "large/map", "nodes": {"each": {"module": "table.make", "map": list(range(MANY + 5))}}}
    run = await house.submit(flow=mapped)
    rows = [step_row(run, f"each.{number}", "failed" if number % 100 == 7 else "succeeded") for number in range(MANY)]
    await house.intake.advance(run, "running", *rows, announce=False)
    shown = (await house.client.get(f"{RUNS}/{run}")).json()
    assert shown["nodes"] == {"each": {"failed": 100, "succeeded": 9_900, "pending": 5}}
    assert len(shown["steps"]) + shown["steps_left_out"] == MANY
    assert await paged(house, f"{RUNS}/{run}/steps?limit=5000") == sorted(row.id for row in rows)
    assert len(await paged(house, f"{RUNS}/{run}/steps?limit=60&state=failed")) == 100
    assert len(await paged(house, f"{RUNS}/{run}/timeline?limit=10000")) == MANY
    assert (await house.client.get(f"{RUNS}/{run}/steps/each.9999")).json()["state"] == "succeeded"


async def paged(house: House, path: str) -> list[str]:
    """The ids on all pages."""
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await house.client.get(f"{path}&cursor={cursor}")).json()
        found += [step["id"] for step in page["steps"]]
        cursor = page["next_cursor"]
    return found
