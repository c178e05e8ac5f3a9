"""What a gateway says of reruns, where no scheduler is needed for it."""

from __future__ import annotations

import pyarrow as pa

from plugmesh.contracts.data import Reference
from plugmesh.contracts.flow import Flow, Node, Source
from plugmesh.contracts.module import InputPort
from plugmesh.contracts.run import Rerun, Submission
from plugmesh.data.reference import spill
from tests.integration.gateway.house import House, contract_of, step_row

TAKES = Flow(
    name="f",
    nodes={"make": Node(module="table.make"), "take": Node(module="table.take", inputs={"": (Source(node="make"),)})},
)


async def test_a_step_that_was_fed_is_replayed_with_what_it_was_fed(house: House) -> None:
    await house.plug_in(contract_of("table.take", inputs=(InputPort(name="rows"),)))
    rows = house.put_table("data/default/run-0/make/1/n-out", pa.table({"a": [1]}))
    fed = Rerun(origin="run-0", root="run-0", skipped=("make",), feeds={"take": {"rows": (rows,)}})
    await house.intake.submit(Submission(run="run-1", flow=TAKES, rerun=fed))
    document = (await house.client.get("/api/v1/runs/run-1/steps/take/replay")).json()
    assert document["inputs"] == {"rows": [rows.model_dump(mode="json", exclude_none=True)]}


async def test_a_list_of_runs_says_which_of_them_repeat_others(house: House) -> None:
    await house.intake.submit(Submission(run="run-1", flow=TAKES, rerun=Rerun(origin="run-b", root="run-a")))
    (listed,) = (await house.client.get("/api/v1/runs")).json()["runs"]
    assert (listed["origin"], listed["root"]) == ("run-b", "run-a")


async def test_a_rerun_of_elements_waits_for_no_others(house: House) -> None:
    flow = Flow(name="f", nodes={"each": Node(module="table.make", map=[1, 2, 3])})
    told = Rerun(origin="run-0", root="run-0", elements={"each": (1,)})
    await house.intake.submit(Submission(run="run-1", flow=flow, rerun=told))
    assert (await house.client.get("/api/v1/runs/run-1")).json()["nodes"] == {"each": {"pending": 1}}


async def failed_behind(house: House, output: Reference) -> str:
    """A run whose first step made this output, and whose second one failed."""
    nodes = {"only": {"module": "table.make"}, "next": {"module": "table.make", "after": ["only"]}}
    run = await house.submit(flow={"flow": "checks/two", "nodes": nodes})
    await house.intake.advance(run, "failed", step_row(run, "only", "succeeded", output))
    return run


async def test_what_a_spilled_reference_names_must_be_there_too(house: House) -> None:
    table = house.put_table("data/default/run-gone/only/1/n-out", pa.table({"a": [1]}))
    first = await house.submit()
    spilled = spill(house.objects, f"data/default/{first}/only/1/in.json", table, limit_bytes=0)
    run = await failed_behind(house, spilled)
    assert (await house.client.post(f"/api/v1/runs/{run}/rerun")).status_code == 409
    house.objects.delete(f"data/default/{first}/only/1/in.json")
    table = house.put_table(f"data/default/{first}/only/1/n-out", pa.table({"a": [1]}))
    run = await failed_behind(house, spill(house.objects, f"data/default/{first}/only/1/on.json", table, limit_bytes=0))
    answer = await house.client.post(f"/api/v1/runs/{run}/rerun")
    assert (answer.status_code, answer.json()["recovered"]) == (202, 1)


async def test_a_run_whose_objects_belong_to_nobody_can_only_be_run_from_the_start(house: House) -> None:
    """Whoever swept them may be at it right now."""
    output = house.put_table("data/default/run-gone/only/1/n-out", pa.table({"a": [1]}))
    run = await failed_behind(house, output)
    answer = await house.client.post(f"/api/v1/runs/{run}/rerun")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "step 'only'" in answer.json()["detail"]
    again = await house.client.post(f"/api/v1/runs/{run}/rerun", json={"from": "start"})
    assert (again.status_code, again.json()["recovered"], again.json()["again"]) == (202, 0, 2)
    (made,) = (one for one in house.intake.submissions if one.run == again.json()["id"])
    assert made.rerun == Rerun(origin=run, root=run)
