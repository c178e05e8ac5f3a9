"""Reruns over the API of a whole server, with its engine and its sweeper."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pyarrow as pa
import pytest
import pytest_asyncio

from plugmesh.contracts.messages import Assign, Done, Failed
from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort
from plugmesh.contracts.run import StepError
from plugmesh.data.table import write_table
from plugmesh.objects.keys import attempt_prefix
from scheduler.invariants.folder import check_folder
from tests.integration.scheduler.mesh import Instance
from tests.integration.upkeep.house import House
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEP = ModuleContract(
    name="test.chain",
    version="1.0.0",
    inputs=(InputPort(name="into", optional=True, variadic=True),),
    outputs=(OutputPort(name="out"),),
    params={"type": "object"},
)


def node(*after: str, **fields: Any) -> dict[str, Any]:
    return {"module": "test.chain", **({"in": {"into": list(after)}} if after else {}), **fields}


CHAIN: dict[str, Any] = {
    "flow": "chain",
    "params": {"day": {"type": "string", "default": "Mon"}},
    "nodes": {"a": node(), "b": node("a", params={"day": "${params.day}"}), "c": node("b")},
    "outputs": {"made": "c"},
}
MAPPED: dict[str, Any] = {
    "flow": "mapped",
    "nodes": {"each": node(map=[1, 2, 3], params={"x": "${item}"}), "z": node("each")},
    "outputs": {"made": "z"},
}


class Worker(Instance):
    """Makes a table for each attempt, but fails the steps in `failing`."""

    failing: frozenset[str] = frozenset()

    def done(self, message: Assign) -> None:
        if message.step in self.failing:
            error = StepError(type="ValueError", message="no")
            self.send(message, Failed(**self.who(message), error=error))
            return
        key = f"{attempt_prefix('default', message.run, message.step, message.epoch)}/n-out"
        out = write_table(self.mesh.objects, key, pa.table({"a": list(range(100))}))
        self.send(message, Done(**self.who(message), outputs={"out": out}))

    def of(self, run: str) -> list[str]:
        """The steps of a run that it was given, in their order."""
        return [message.step for message in self.assigned if message.run == run]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(server: House) -> AsyncIterator[Worker]:
    instance = Worker(server.instance.mesh, "i-2", (STEP,), 2)
    await instance.start()
    yield instance
    await instance.bus.close()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _alive(worker: Worker) -> None:
    """It beats once a test, which is often enough."""
    await worker.beat()


async def ended(house: House, run: str) -> Any:
    document = await house.ask("GET", f"/runs/{run}?wait_s=30")
    assert document["ended_at"] is not None
    return document


async def failed(house: House, worker: Worker, *steps: str, flow: Any = CHAIN, **body: Any) -> str:
    """A run in which these steps failed; they will not fail again."""
    worker.failing = frozenset(steps)
    run = await house.submit(flow=flow, **body)
    assert (await ended(house, run))["state"] == ("failed" if steps else "succeeded")
    worker.failing = frozenset()
    return run


async def rerun(house: House, run: str, *, headers: Any = None, **body: Any) -> Any:
    return await house.ask("POST", f"/runs/{run}/rerun", 202, json=body, headers=headers)


def states(document: Any) -> dict[str, str]:
    return {step["id"]: step["state"] for step in document["steps"]}


async def test_a_rerun_does_not_execute_accepted_steps_again_and_their_data_is_the_same(
    house: House, worker: Worker
) -> None:
    run = await failed(house, worker, "c", labels={"team": "ops"}, priority=7)
    answer = await rerun(house, run)
    assert (answer["origin"], answer["recovered"], answer["again"], answer["repeated"]) == (run, 2, 1, False)
    again = await ended(house, answer["id"])
    assert states(again) == {"a": "recovered", "b": "recovered", "c": "succeeded"}
    assert (again["state"], again["origin"], again["root"]) == ("succeeded", run, run)
    assert (again["labels"], again["priority"], again["flow"]) == ({"team": "ops"}, 7, "chain")
    assert worker.of(again["id"]) == ["c"]
    (message,) = (one for one in worker.assigned if one.run == again["id"])
    assert f"data/default/{run}/b/" in message.inputs["into"][0].model_dump_json()
    assert message.root == run
    assert not {key for key in house.objects(f"data/default/{again['id']}/") if "/c/" not in key}
    step = next(one for one in again["steps"] if one["id"] == "a")
    assert step["recovered_from"] == f"/api/v1/runs/{run}/steps/a"
    assert (await house.client.get(step["recovered_from"])).json()["state"] == "succeeded"
    assert (await house.ask("GET", f"/runs/{again['id']}/steps/a/outputs/out/rows"))["total"] == 100
    first = await house.ask("GET", f"/runs/{run}")
    assert (first["reruns"], first["origin"], again["reruns"]) == ([again["id"]], None, [])


async def test_a_rerun_of_a_rerun_takes_over_what_that_one_took_over(house: House, worker: Worker) -> None:
    run = await failed(house, worker, "b")
    worker.failing = frozenset("c")
    second = (await rerun(house, run))["id"]
    assert states(await ended(house, second)) == {"a": "recovered", "b": "succeeded", "c": "failed"}
    worker.failing = frozenset()
    third = await ended(house, (await rerun(house, second))["id"])
    assert states(third) == {"a": "recovered", "b": "recovered", "c": "succeeded"}
    assert (third["origin"], third["root"]) == (second, run)


async def test_from_the_start_all_steps_run(house: House, worker: Worker) -> None:
    run = await failed(house, worker)
    answer = await rerun(house, run, **{"from": "start"})
    assert (answer["recovered"], answer["again"]) == (0, 3)
    assert set(states(await ended(house, answer["id"])).values()) == {"succeeded"}


async def test_a_step_can_run_again_with_all_below_it_or_alone(house: House, worker: Worker) -> None:
    run = await failed(house, worker)
    below = await ended(house, (await rerun(house, run, **{"from": ["b"]}))["id"])
    assert states(below) == {"a": "recovered", "b": "succeeded", "c": "succeeded"}
    alone = await ended(house, (await rerun(house, run, only=["b"]))["id"])
    assert states(alone) == {"a": "recovered", "b": "succeeded", "c": "skipped"}
    assert alone["state"] == "succeeded"
    assert next(step for step in alone["steps"] if step["id"] == "c")["reason"] == "not_asked"


async def test_another_param_runs_what_sees_it_and_all_below(house: House, worker: Worker) -> None:
    run = await failed(house, worker)
    again = await ended(house, (await rerun(house, run, params={"day": "Tue"}))["id"])
    assert states(again) == {"a": "recovered", "b": "succeeded", "c": "succeeded"}
    assert again["params"] == {"day": "Tue"}


async def test_elements_of_a_mapped_node_are_recovered_one_by_one(house: House, worker: Worker) -> None:
    run = await failed(house, worker, "each.1", flow=MAPPED)
    answer = await rerun(house, run)
    again = await ended(house, answer["id"])
    assert (again["state"], worker.of(again["id"])) == ("succeeded", ["each.1", "z"])
    assert states(again)["each.0"] == "recovered"
    assert (answer["recovered"], answer["again"]) == (2, 3)
    assert again["outputs"]["made"]["rows"] == 100
    (message,) = (one for one in worker.assigned if (one.run, one.step) == (again["id"], "z"))
    assert len(message.inputs["into"]) == 3
    alone = await ended(house, (await rerun(house, run, only=["each.2"]))["id"])
    assert (alone["state"], states(alone)) == (
        "succeeded",
        {"each": "succeeded", "each.2": "succeeded", "z": "skipped"},
    )
    assert alone["nodes"] == {"each": {"succeeded": 1}}
    assert check_folder(house.folder).violations == []


async def test_a_run_that_goes_on_cannot_be_rerun(house: House, worker: Worker) -> None:
    worker.answer = worker.silent
    run = await house.submit(flow=CHAIN)
    await wait_until(lambda: worker.of(run))
    problem = await house.ask("POST", f"/runs/{run}/rerun", 409, json={})
    assert "only a run that has ended can be run again" in problem["detail"]
    worker.answer = worker.done
    worker.done(next(message for message in worker.assigned if message.run == run))
    await ended(house, run)
    await house.ask("POST", "/runs/none/rerun", 404, json={})


async def test_what_cannot_be_run_again_is_said_with_its_place(house: House, worker: Worker) -> None:
    run = await failed(house, worker)
    path = f"/runs/{run}/rerun"
    problem = await house.ask("POST", path, 422, json={"from": ["lod"]})
    assert problem["problems"] == [{"where": "from.0", "message": "the flow has no step 'lod' (there are a, b, c)"}]
    assert "nothing would run again" in (await house.ask("POST", path, 422))["detail"]
    both = await house.ask("POST", path, 422, json={"from": ["a"], "only": ["b"]})
    assert "leave one of them out" in both["detail"]
    assert "has no param 'dya'" in (await house.ask("POST", path, 422, json={"params": {"dya": 1}}))["detail"]
    await house.ask("POST", path, 422, json={"from": "start", "deadline": 5})


async def test_a_limit_of_runs_at_a_time_holds_for_reruns_too(house: House, worker: Worker) -> None:
    flow = {**CHAIN, "flow": "limited", "concurrency": {"limit": 1}}
    run = await failed(house, worker, "c", flow=flow)
    worker.answer = worker.silent
    other = await house.submit(flow=flow)
    await wait_until(lambda: worker.of(other))
    again = (await rerun(house, run))["id"]
    shown = await house.ask("GET", f"/runs/{again}")
    assert (shown["state"], states(shown)["a"]) == ("queued", "recovered")
    assert "at most 1 of limited at a time" in shown["waits_for"][0]["reason"]
    worker.answer = worker.done
    worker.done(next(message for message in worker.assigned if message.run == other))
    assert (await ended(house, again))["state"] == "succeeded"


async def test_what_is_given_anew_stands_in_place_of_what_was(house: House, worker: Worker) -> None:
    hook = {"url": "http://127.0.0.1:1/hook"}
    run = await failed(house, worker, "c", labels={"team": "ops"}, notify=[hook], timeout_s=60.0)
    same = await ended(house, (await rerun(house, run))["id"])
    assert [one["url"] for one in same["webhooks"]] == [hook["url"]]
    assert (same["timeout_s"], same["deadline"]) == (60.0, None)
    asked = {"labels": {}, "notify": [], "timeout_s": 30.0, "priority": -5, "deadline": 99_999_999_999}
    other = await ended(house, (await rerun(house, run, **asked))["id"])
    assert (other["labels"], other["webhooks"], other["timeout_s"]) == ({}, [], 30.0)
    assert (other["priority"], other["deadline"]) == (-5, 99_999_999_999)


async def test_the_same_key_makes_no_second_rerun(house: House, worker: Worker) -> None:
    run = await failed(house, worker, "c")
    key = {"idempotency-key": "again"}
    first = await rerun(house, run, headers=key)
    second = await rerun(house, run, headers=key)
    assert (second["id"], second["repeated"], second["recovered"]) == (first["id"], True, 2)
    other = await house.client.post(f"/api/v1/runs/{run}/rerun", json={"from": "start"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    await ended(house, first["id"])


# -- data --------------------------------------------------------------------------------------------------------------


async def test_data_that_was_taken_over_stays_as_long_as_the_rerun(house: House, worker: Worker) -> None:
    run = await failed(house, worker, "c")
    await house.collect()
    again = (await rerun(house, run))["id"]
    await ended(house, again)
    await house.ask("POST", f"/runs/{again}/pin", json={"reason": "audit"})
    await house.collect()
    await house.ask("DELETE", f"/runs/{run}", 204)
    await house.put("retention_runs_s", 0.001)
    for _ in range(4):
        await house.collect()
    assert (await house.ask("GET", f"/runs/{again}/steps/a/outputs/out/rows"))["total"] == 100
    third = await ended(house, (await rerun(house, again, **{"from": ["c"]}))["id"])
    assert (third["state"], states(third)["a"]) == ("succeeded", "recovered")
    await house.ask("DELETE", f"/runs/{again}/pin", 204)
    await house.emptied("data/")


async def test_data_that_an_open_rerun_uses_is_not_swept(house: House, worker: Worker) -> None:
    run = await failed(house, worker, "c")
    await house.collect()
    worker.answer = worker.silent
    again = (await rerun(house, run))["id"]
    await wait_until(lambda: worker.of(again))
    await house.put("retention_runs_s", 0.001)
    for _ in range(4):
        await house.collect()
    assert {key.split("/")[3] for key in house.objects(f"data/default/{run}/")} == {"a", "b"}
    worker.answer = worker.done
    worker.done(next(message for message in worker.assigned if message.run == again))
    assert (await ended(house, again))["state"] == "succeeded"


async def test_a_run_whose_data_is_going_can_only_be_run_from_the_start(house: House, worker: Worker) -> None:
    run = await failed(house, worker, "c")
    await house.put("retention_data_s", 0.001)
    await house.emptied(f"data/default/{run}/")
    problem = await house.ask("POST", f"/runs/{run}/rerun", 409, json={})
    assert "step 'a', step 'b'" in problem["detail"]
    assert f"plugmesh rerun {run} --start" in problem["detail"]
    again = await ended(house, (await rerun(house, run, **{"from": "start"}))["id"])
    assert again["state"] == "succeeded"


async def test_an_input_that_was_deleted_must_be_handed_in_anew(house: House, worker: Worker) -> None:
    octets = {"content-type": "application/octet-stream"}
    flow = {**CHAIN, "flow": "given", "inputs": {"orders": "file"}}
    await house.ask("PUT", "/files/in.csv", 201, content=b"a\n1\n", headers=octets)
    run = await failed(house, worker, "c", flow=flow, inputs={"orders": {"file": "in.csv"}})
    await house.ask("DELETE", "/files/in.csv", 204)
    problem = await house.ask("POST", f"/runs/{run}/rerun", 409, json={})
    assert "input 'orders'. Instead, hand in others" in problem["detail"]
    await house.ask("PUT", "/files/other.csv", 201, content=b"a\n2\n", headers=octets)
    again = await rerun(house, run, inputs={"orders": {"file": "other.csv"}})
    assert (await ended(house, again["id"]))["state"] == "succeeded"
    assert again["recovered"] == 2
