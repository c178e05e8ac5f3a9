"""What is kept and what goes, over the API of a whole server."""

from __future__ import annotations

import pytest

from plugmesh.contracts.messages import Assign
from tests.integration.upkeep.house import FLOW, Download, House
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LARGE = b"x" * 3_000_000
FILE_TYPE = {"content-type": "application/octet-stream"}


async def test_when_there_is_too_much_the_api_says_so_and_removes_it(house: House) -> None:
    run = await house.finished()
    await house.collect()
    (flow,) = (await house.usage())["flows"]
    assert (flow["flow"], flow["runs"]) == ("kept", 1)
    assert flow["bytes"] > 0
    await house.put("retention_data_bytes", 1)
    assert (await house.usage())["limit_bytes"] == 1
    rows = f"/runs/{run}/steps/made/outputs/out/rows"
    would = await house.collect(dry_run=True)
    assert (would["dry_run"], would["data_runs"], would["data_bytes"]) == (True, 1, flow["bytes"])
    assert (await house.ask("GET", rows))["total"] == 100
    async with house.feed("data") as feed:
        assert (await house.collect())["data_runs"] == 1
        await wait_until(lambda: '"data_runs":1' in feed.text)
    problem = await house.ask("GET", rows, 410)
    assert (problem["code"], "plugmesh pin" in problem["detail"]) == ("object-missing", True)
    assert (await house.ask("GET", f"/runs/{run}"))["data_gone_at"] is not None
    await house.emptied(f"data/default/{run}/")
    assert (await house.usage())["bytes"] == 0
    metrics = (await house.client.get("/metrics")).text
    assert 'plugmesh_sweeper_runs_total{part="data"} 0.0' not in metrics
    assert 'plugmesh_sweeper_objects_total{kind="released"} 0.0' not in metrics


async def test_a_flow_says_how_long_its_data_is_kept_and_a_run_goes_whole(house: House) -> None:
    kept = await house.finished()
    short = await house.finished(flow={**FLOW, "flow": "short", "retention": {"runs": "1ms"}})
    await house.emptied(f"data/default/{short}/")

    async def gone() -> bool:
        await house.collect()
        return (await house.client.get(f"/api/v1/runs/{short}")).status_code == 404

    await wait_until(gone)
    assert house.objects(f"data/default/{kept}/")


async def test_a_pin_keeps_a_run_until_it_is_let_go(house: House) -> None:
    run = await house.finished()
    pinned = await house.ask("POST", f"/runs/{run}/pin", json={"reason": "audit"})
    assert (pinned["run"], pinned["actor"], pinned["until"]) == (run, "local", None)
    await house.put("retention_runs_s", 0.001)
    for _ in range(3):
        await house.collect()
    assert (await house.ask("GET", f"/runs/{run}/steps/made/outputs/out/rows"))["total"] == 100
    (held,) = (await house.usage())["held"]
    assert (held["held"], held["by"], held["reason"]) == (run, "pin", "audit")
    await house.ask("DELETE", f"/runs/{run}/pin", 204)
    await house.ask("DELETE", f"/runs/{run}/pin", 404)
    await house.emptied(f"data/default/{run}/")


async def test_a_pin_must_be_possible(house: House) -> None:
    run = await house.finished()
    await house.ask("POST", "/runs/none/pin", 404, json={"reason": "audit"})
    problem = await house.ask("POST", f"/runs/{run}/pin", 422, json={"reason": "audit", "until": 5})
    assert "this time is over" in problem["detail"]
    await house.put("retention_data_s", 0.001)
    await house.emptied(f"data/default/{run}/")
    assert "gone already" in (await house.ask("POST", f"/runs/{run}/pin", 409, json={"reason": "audit"}))["detail"]


async def test_a_file_that_is_being_downloaded_stays_until_it_was_read(house: House) -> None:
    await house.ask("PUT", "/files/large.bin", 201, content=LARGE, headers=FILE_TYPE)
    download = Download(house.app, "/files/large.bin")
    await download.begun.wait()
    await house.ask("DELETE", "/files/large.bin", 204)
    for _ in range(2):
        await house.collect()
    assert house.objects("files/")
    download.go_on()
    assert await download.whole() == LARGE
    await house.emptied("files/")


async def test_an_output_that_is_being_downloaded_stays_until_it_was_read(house: House) -> None:
    run = await house.finished()
    download = Download(house.app, f"/runs/{run}/steps/made/outputs/out/download?format=csv")
    await download.begun.wait()
    await house.put("retention_runs_s", 0.001)
    for _ in range(3):
        await house.collect()
    assert house.objects(f"data/default/{run}/")
    download.go_on()
    assert (await download.whole()).count(b"\n") == 101
    await house.emptied(f"data/default/{run}/")


async def test_a_deleted_file_stays_for_the_run_that_was_given_it_and_for_no_later_one(house: House) -> None:
    waiting: list[Assign] = []
    house.instance.answer = waiting.append
    file = await house.ask("PUT", "/files/in.csv", 201, content=b"a\n1\n", headers=FILE_TYPE)
    assert file["version"]
    flow = {
        "flow": "given",
        "inputs": {"orders": "file"},
        "nodes": {"made": {"module": "test.make"}},
    }
    run = await house.submit(flow=flow, inputs={"orders": {"file": "in.csv"}})
    await wait_until(lambda: waiting)
    await house.ask("DELETE", "/files/in.csv", 204)
    for _ in range(2):
        await house.collect()
    (key,) = house.objects("files/")
    reference = {"kind": "file", "name": "in.csv", "key": key, "bytes": 4, "hash": file["hash"]}
    later = await house.ask("POST", "/runs", 422, json={"flow": flow, "inputs": {"orders": reference}})
    assert "was removed, as retention says, or deleted" in later["detail"]
    house.instance.done(waiting[0])
    assert (await house.ask("GET", f"/runs/{run}?wait_s=30"))["state"] == "succeeded"
    await house.emptied("files/")


async def test_a_request_that_is_repeated_finds_its_run_though_its_file_was_deleted(house: House) -> None:
    await house.ask("PUT", "/files/once.csv", 201, content=b"a\n1\n", headers=FILE_TYPE)
    body = {
        "flow": {"flow": "given", "inputs": {"orders": "file"}, "nodes": {"made": {"module": "test.make"}}},
        "inputs": {"orders": {"file": "once.csv"}},
    }
    key = {"idempotency-key": "once"}
    run = (await house.ask("POST", "/runs", 202, json=body, headers=key))["id"]
    await house.ask("DELETE", "/files/once.csv", 204)
    again = await house.client.post("/api/v1/runs", json=body, headers=key)
    assert (again.json()["id"], again.json()["repeated"]) == (run, True), again.text
    await house.ask("POST", "/runs", 422, json=body, headers={"idempotency-key": "other"})
    await house.ask("POST", "/runs", 422, json={**body, "labels": {"a": "b"}}, headers=key)
    await house.ask("GET", f"/runs/{run}?wait_s=30")


async def test_a_change_of_the_pause_between_rounds_counts_at_once(house: House) -> None:
    before = house.mesh.upkeep.sweeper.rounds
    await house.put("sweep_every_s", 0.01)
    await wait_until(lambda: house.mesh.upkeep.sweeper.rounds >= before + 2)


async def test_a_request_to_sweep_says_what_it_takes(house: House) -> None:
    problem = await house.ask("POST", "/data/gc", 422, json={"dryrun": True})
    assert "dry_run" in problem["detail"]
    assert (await house.ask("POST", "/data/gc"))["dry_run"] is False
