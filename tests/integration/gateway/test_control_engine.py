"""Control of runs over HTTP, with the real engine, registry, hub and SQL behind it; instances speak the protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.app import create_app
from gateway.core import Gateway
from gateway.reader.pool import Reader as DataReader
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import URL
from tests.integration.scheduler.mesh import Instance, Mesh
from tests.waiting import wait_until

RUNS = "/api/v1/runs"
CHAIN = {
    "flow": "shop/totals",
    "params": {"customer": "acme"},
    "nodes": {"a": {"module": "test.step"}, "b": {"module": "test.step", "in": {"into": "a"}}},
}


class Controlled:
    """A mesh behind a gateway, and one instance that accepts what it is given and waits."""

    def __init__(self, folder: Path) -> None:
        self.mesh = Mesh(folder)
        self.client: httpx2.AsyncClient
        self.gateway: Gateway
        self.instance: Instance

    async def start(self) -> None:
        mesh = await self.mesh.start()
        settings = Settings()
        self.gateway = Gateway(
            runtime=mesh.runtime,
            state=mesh.state,
            intake=mesh.engine,
            registry=mesh.registry,
            bus=mesh.bus,
            objects=mesh.objects,
            reader=DataReader(mesh.runtime, f"file://{mesh.folder}/objects", settings),
            settings=settings,
        )
        self.gateway.start()
        app = create_app(self.gateway, mesh.hub)
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL)
        self.instance = await mesh.instance(slots=1, answer="accept")

    async def stop(self) -> None:
        await self.client.aclose()
        await self.gateway.close()
        await self.mesh.stop()

    async def submit(self, flow: dict[str, Any] = CHAIN, **body: Any) -> str:
        answer = await self.client.post(RUNS, json={"flow": flow, **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def ask(self, run: str, wish: str, reason: str = "") -> tuple[int, Any]:
        answer = await self.client.post(f"{RUNS}/{run}/{wish}", json={"reason": reason})
        return answer.status_code, answer.json()

    async def run(self, run: str) -> Any:
        return (await self.client.get(f"{RUNS}/{run}")).json()

    async def ended(self, run: str) -> Any:
        await wait_until(lambda: self._has_ended(run))
        return await self.run(run)

    async def at_work(self, count: int = 1) -> None:
        await wait_until(lambda: len(self.instance.assigned) >= count)

    def finish(self) -> None:
        """Everything that was and will be assigned ends well."""
        self.instance.answer = self.instance.done
        for message in list(self.instance.assigned):
            self.instance.done(message)

    async def _has_ended(self, run: str) -> bool:
        return (await self.run(run))["ended_at"] is not None


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Controlled]:
    house = Controlled(tmp_path)
    await house.start()
    yield house
    await house.stop()


def limited(when_full: str = "queue", **more: Any) -> dict[str, Any]:
    """A flow of which one run a customer may be under way."""
    return {**CHAIN, "concurrency": {"limit": 1, "key": "${params.customer}", "when_full": when_full}, **more}


async def test_a_run_is_paused_under_way_keeps_what_ends_meanwhile_and_goes_on_when_it_is_resumed(
    house: Controlled,
) -> None:
    run = await house.submit()
    await house.at_work()
    assert await house.ask(run, "pause", "the source is down") == (202, {"id": run, "state": "paused"})
    document = await house.run(run)
    assert document["reason"] == "paused by local: the source is down"
    assert [one["state"] for one in document["waits_for"]] == ["paused", "assigned"]
    assert [one["id"] for one in (await house.client.get(f"{RUNS}?state=paused")).json()["runs"]] == [run]
    house.finish()
    await wait_until(lambda: _step_is(house, run, "a", "succeeded"))
    assert await house.ask(run, "pause") == (202, {"id": run, "state": "paused"})
    assert [message.step for message in house.instance.assigned] == ["a"]
    assert (await house.ask(run, "resume"))[1]["state"] == "running"
    assert (await house.ended(run))["state"] == "succeeded"
    assert (await house.ask(run, "resume"))[0] == 409


async def _step_is(house: Controlled, run: str, step: str, state: str) -> bool:
    return any(one["id"] == step and one["state"] == state for one in (await house.run(run))["steps"])


async def test_who_paused_and_resumed_a_run_and_why_is_among_its_events(house: Controlled) -> None:
    run = await house.submit()
    await house.at_work()
    await house.ask(run, "pause", "the source is down")
    await house.ask(run, "resume", "it is up")
    house.finish()
    await house.ended(run)
    events = (await house.client.get(f"{RUNS}/{run}/events")).text
    assert '"state":"paused","at":' in events
    assert "paused by local: the source is down" in events


async def test_a_run_over_the_limit_waits_in_line_and_says_so(house: Controlled) -> None:
    first = await house.submit(limited())
    await house.at_work()
    second = await house.submit(limited(), deadline=4102444800)
    document = await house.run(second)
    assert document["state"] == "queued"
    assert document["waits_for"] == [
        {
            "state": "queued",
            "reason": "waits for its turn: at most 1 of totals:acme at a time",
            "step": None,
            "steps": 0,
            "until": 4102444800.0,
        }
    ]
    house.finish()
    assert (await house.ended(first))["state"] == "succeeded"
    assert (await house.ended(second))["state"] == "succeeded"


async def test_each_value_of_the_key_is_counted_apart(house: Controlled) -> None:
    await house.submit(limited())
    await house.at_work()
    other = await house.submit(limited(), params={"customer": "other"})
    await wait_until(lambda: _is(house, other, "running"))


async def _is(house: Controlled, run: str, state: str) -> bool:
    return bool((await house.run(run))["state"] == state)


async def test_a_new_run_over_the_limit_is_cancelled_where_its_flow_says_so(house: Controlled) -> None:
    first = await house.submit(limited("cancel-new"))
    await house.at_work()
    second = await house.ended(await house.submit(limited("cancel-new")))
    assert (second["state"], second["reason"]) == (
        "cancelled",
        f"cancelled by the mesh: at most 1 of totals:acme at a time, and {first} came first",
    )
    assert await _is(house, first, "running")


async def test_a_new_run_takes_the_place_of_the_others_where_its_flow_says_so(house: Controlled) -> None:
    first = await house.submit(limited("cancel-running"))
    await house.at_work()
    second = await house.submit(limited("cancel-running"))
    await wait_until(lambda: house.instance.cancelled)
    house.finish()
    assert (await house.ended(first))["reason"] == f"cancelled by the mesh: replaced by {second}"
    assert (await house.ended(second))["state"] == "succeeded"


async def test_urgent_runs_go_first_by_their_flow_and_by_their_request(house: Controlled) -> None:
    await house.submit()
    await house.at_work()
    usual = await house.submit()
    raised = await house.submit(priority=5)
    urgent = await house.submit({**CHAIN, "priority": 50})
    house.finish()
    for run in (usual, raised, urgent):
        await house.ended(run)
    began = list(dict.fromkeys(message.run for message in house.instance.assigned))[1:]
    assert began == [urgent, raised, usual]


async def test_a_paused_run_that_waited_in_line_waits_there_again(house: Controlled) -> None:
    first = await house.submit(limited())
    await house.at_work()
    second = await house.submit(limited())
    assert (await house.ask(second, "pause"))[1]["state"] == "paused"
    house.finish()
    assert (await house.ended(first))["state"] == "succeeded"
    assert await _is(house, second, "paused")
    await house.ask(second, "resume")
    assert (await house.ended(second))["state"] == "succeeded"


async def test_a_run_ends_at_its_deadline_while_it_waits_in_line(house: Controlled) -> None:
    await house.submit(limited())
    await house.at_work()
    late = await house.submit(limited(), deadline=house.mesh.runtime.wall() + 0.3)
    assert (await house.ended(late))["state"] == "timed_out"


async def test_steps_without_a_module_are_waited_for_until_their_time_is_over(house: Controlled) -> None:
    flow = {"flow": "f", "park": "2h", "nodes": {"each": {"module": "nobody.serves", "map": [1, 2, 3]}}}
    run = await house.submit(flow)
    await wait_until(lambda: _waits(house, run, "parked"))
    (one,) = (await house.run(run))["waits_for"]
    assert (one["step"], one["steps"]) == ("each.0", 3)
    assert one["until"] > house.mesh.runtime.wall() + 7000


async def _waits(house: Controlled, run: str, state: str) -> bool:
    return {one["state"] for one in (await house.run(run))["waits_for"]} == {state}
