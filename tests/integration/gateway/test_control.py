"""Runs that are paused and resumed, and what a submit says of priority, deadline and permits."""

from __future__ import annotations

from typing import Any

import pytest

from plugmesh.contracts.run import Permit, RunState
from tests.integration.gateway.house import FLOW, House, step_row

RUNS = "/api/v1/runs"


async def ask(house: House, run: str, wish: str, **body: Any) -> tuple[int, Any]:
    answer = await house.client.post(f"{RUNS}/{run}/{wish}", json=body)
    return answer.status_code, answer.json()


async def test_a_pause_is_written_down_with_its_reason_and_whoever_asked(house: House) -> None:
    run = await house.submit()
    assert await ask(house, run, "pause", reason="the source is down") == (202, {"id": run, "state": "queued"})
    (command,) = house.intake.commands
    assert (command.kind, command.run, command.actor, command.reason) == ("pause", run, "local", "the source is down")


async def test_pausing_a_paused_run_changes_nothing(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "paused", reason="the source is down")
    assert await ask(house, run, "pause") == (202, {"id": run, "state": "paused"})
    assert house.intake.commands == []


async def test_a_paused_run_can_be_resumed(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "paused")
    assert await ask(house, run, "resume", reason="it is up") == (202, {"id": run, "state": "paused"})
    assert [(command.kind, command.reason) for command in house.intake.commands] == [("resume", "it is up")]


async def test_a_pause_that_was_not_carried_out_yet_can_be_taken_back_once(house: House) -> None:
    run = await house.submit()
    await house.intake.advance(run, "running")
    await ask(house, run, "pause")
    assert (await ask(house, run, "resume"))[0] == 202
    assert (await ask(house, run, "resume"))[0] == 409


@pytest.mark.parametrize("state", ["queued", "running"])
async def test_only_a_paused_run_can_be_resumed(house: House, state: str) -> None:
    run = await house.submit()
    if state != "queued":
        await house.intake.advance(run, state)
    status, problem = await ask(house, run, "resume")
    assert (status, problem["code"]) == (409, "conflict")
    assert problem["detail"] == f"run {run} is {state}, not paused: there is nothing to resume"


@pytest.mark.parametrize("wish", ["pause", "resume"])
async def test_a_run_that_ends_or_has_ended_is_neither_paused_nor_resumed(house: House, wish: str) -> None:
    run = await house.submit()
    await house.intake.advance(run, "running")
    await house.intake.advance(run, "cancelling")
    assert (await ask(house, run, wish))[1]["detail"] == f"run {run} is being cancelled, so it cannot be {wish}d"
    await house.intake.advance(run, "cancelled")
    status, problem = await ask(house, run, wish)
    assert status == 409
    assert problem["detail"] == f"run {run} has ended (cancelled), so it cannot be {wish}d"
    assert house.intake.commands == []


async def test_a_run_that_is_not_there_cannot_be_paused(house: House) -> None:
    assert (await ask(house, "run-x", "pause"))[0] == 404
    assert (await ask(house, "run-x", "resume"))[0] == 404


async def test_a_run_has_the_priority_of_its_flow_unless_the_request_has_one(house: House) -> None:
    flow = {**FLOW, "priority": 20}
    runs = [await house.submit(flow=flow), await house.submit(flow=flow, priority=-5), await house.submit()]
    assert [submission.priority for submission in house.intake.submissions] == [20, -5, 0]
    found = [(await house.client.get(f"{RUNS}/{run}")).json()["priority"] for run in runs]
    assert found == [20, -5, 0]


async def test_a_deadline_is_unix_time_or_text_with_a_zone(house: House) -> None:
    for deadline in (4102444800, "2100-01-01T00:00:00Z", "2100-01-01T01:30+01:30"):
        run = await house.submit(deadline=deadline)
        assert (await house.client.get(f"{RUNS}/{run}")).json()["deadline"] == 4102444800.0


async def test_a_deadline_that_is_over_is_refused(house: House) -> None:
    answer = await house.client.post(RUNS, json={"flow": FLOW, "deadline": 1})
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")
    assert answer.json()["problems"] == [
        {"where": "deadline", "message": "this time is over: the run would end before it began"}
    ]


async def test_a_repeated_request_is_answered_when_its_deadline_is_over(house: House) -> None:
    moment = house.runtime.wall()
    body, key = {"flow": FLOW, "deadline": moment + 0.5}, {"idempotency-key": "k"}
    first = (await house.client.post(RUNS, json=body, headers=key)).json()
    house.runtime.wall = lambda: moment + 1  # type: ignore[method-assign]
    again = await house.client.post(RUNS, json=body, headers=key)
    assert (again.status_code, again.json()["id"], again.json()["repeated"]) == (202, first["id"], True)
    assert (await house.client.post(RUNS, json=body, headers={"idempotency-key": "l"})).status_code == 422


async def test_a_batch_takes_them_as_well(house: House) -> None:
    batch = {"runs": [{"flow": FLOW, "priority": 7, "deadline": 4102444800}, {"flow": FLOW, "deadline": 1}]}
    answer = (await house.client.post(f"{RUNS}:batch", json=batch)).json()["runs"]
    assert [one.get("problem", {}).get("status") for one in answer] == [None, 422]
    (submission,) = house.intake.submissions
    assert (submission.priority, submission.deadline) == (7, 4102444800.0)


async def test_a_run_of_a_flow_that_limits_its_runs_needs_a_permit(house: House) -> None:
    limits = {"limit": 2, "key": "${params.customer}", "when_full": "cancel-running"}
    flow = {**FLOW, "params": {"customer": "acme"}, "concurrency": limits}
    await house.submit(flow=flow)
    await house.submit(flow=flow, params={"customer": "other"})
    await house.submit()
    permits = [submission.permit for submission in house.intake.submissions]
    assert permits[0] == Permit(name="one:acme", limit=2, when_full="cancel-running")
    assert permits[1:] == [Permit(name="one:other", limit=2, when_full="cancel-running"), None]


async def test_paused_and_queued_runs_are_listed_with_what_they_wait_for(house: House) -> None:
    runs = [await house.submit() for _ in range(3)]
    await house.intake.advance(runs[0], "paused", reason="the source is down")
    await house.intake.advance(runs[1], "queued", reason="waits for its turn")
    listed = (await house.client.get(RUNS, params={"state": f"{RunState.PAUSED},{RunState.QUEUED}"})).json()["runs"]
    found = {run["id"]: (run["state"], run["reason"]) for run in listed}
    assert found[runs[0]] == ("paused", "the source is down")
    assert found[runs[1]] == ("queued", "waits for its turn")
    only = (await house.client.get(RUNS, params={"state": "paused"})).json()["runs"]
    assert [run["id"] for run in only] == [runs[0]]


async def test_an_open_run_shows_what_its_steps_wait_for_and_until_when(house: House) -> None:
    nodes = {"each": {"module": "table.make", "map": [1, 2, 3]}, "other": {"module": "table.make"}}
    run = await house.submit(flow={"flow": "f", "nodes": nodes}, deadline=4102444800)
    parked = [step_row(run, f"each.{i}", "parked", reason="nobody", wake_at=4e9 + i) for i in range(3)]
    await house.intake.advance(run, "running", *parked, step_row(run, "other", "waiting", reason="try 2", wake_at=5e9))
    document = (await house.client.get(f"{RUNS}/{run}")).json()
    assert document["waits_for"] == [
        {"state": "parked", "reason": "nobody", "step": "each.0", "steps": 3, "until": 4e9},
        {"state": "waiting", "reason": "try 2", "step": "other", "steps": 1, "until": 4102444800.0},
    ]


async def test_a_run_that_waits_in_line_says_so_and_one_that_has_ended_waits_for_nothing(house: House) -> None:
    run = await house.submit()
    (first,) = (await house.client.get(f"{RUNS}/{run}")).json()["waits_for"]
    assert (first["state"], first["reason"], first["until"]) == ("queued", "a scheduler, which takes it up", None)
    await house.intake.advance(run, "queued", reason="waits for its turn")
    (turn,) = (await house.client.get(f"{RUNS}/{run}")).json()["waits_for"]
    assert turn["reason"] == "waits for its turn"
    await house.intake.advance(run, "succeeded", step_row(run, "only", "succeeded"))
    assert (await house.client.get(f"{RUNS}/{run}")).json()["waits_for"] == []
