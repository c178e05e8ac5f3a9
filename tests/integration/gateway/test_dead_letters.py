"""Dead letters over HTTP, with the real engine behind it: looked at, corrected, given to another run, given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import pytest_asyncio
import sqlalchemy as sa

from gateway.app import create_app
from gateway.core import Gateway
from gateway.reader.pool import Reader as DataReader
from plugmesh.contracts.data import DataRef, ValueRef
from plugmesh.contracts.messages import Assign, AttemptStats, Done
from plugmesh.contracts.module import REJECTED, InputPort, ModuleContract, OutputPort, PortKind
from plugmesh.data.reference import resolve
from plugmesh.data.table import read_table, write_table
from plugmesh.settings.settings import Settings
from plugmesh.state import schema
from plugmesh.state.dead_letters import redrive_letter
from scheduler.invariants.folder import check_folder
from tests.integration.gateway.house import URL
from tests.integration.scheduler.mesh import Instance, Mesh
from tests.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
DLQ, RUNS = "/api/v1/dlq", "/api/v1/runs"
LINES = {"content-type": "application/x-ndjson"}
_OUT = (OutputPort(name="out", open=True),)
LOAD = ModuleContract(name="shop.load", version="1.0.0", outputs=_OUT)
CLEAN = ModuleContract(name="shop.clean", version="1.0.0", inputs=(InputPort(name="orders"),), outputs=_OUT)
MERGE = ModuleContract(
    name="shop.merge", version="1.0.0", inputs=(InputPort(name="left"), InputPort(name="right")), outputs=_OUT
)
TOTAL = ModuleContract(
    name="shop.total",
    version="1.0.0",
    inputs=(InputPort(name="orders"),),
    outputs=(OutputPort(name="out", kind=PortKind.VALUE),),
)
ORDERS = pa.table({"order": [1, 2, 3, 4], "qty": [5, 0, 7, -1]})
FLOW = {
    "flow": "shop",
    "nodes": {
        "load": {"module": "shop.load"},
        "clean": {"module": "shop.clean", "in": "load"},
        "total": {"module": "shop.total", "in": "clean"},
        "beside": {"module": "shop.total", "in": "load"},
    },
}
MAPPED = {"flow": "mapped", "nodes": {**FLOW["nodes"], "clean": {**FLOW["nodes"]["clean"], "map": [1, 2]}}}  # type: ignore[index,dict-item]
MERGED = {
    "flow": "merged",
    "nodes": {
        "load": {"module": "shop.load"},
        "both": {"module": "shop.merge", "in": {"left": "load", "right": "load"}},
    },
}


class Shop:
    """A mesh behind a gateway, and an instance that does what its modules say."""

    def __init__(self, folder: Path) -> None:
        self.mesh = Mesh(folder)
        self.client: httpx2.AsyncClient
        self.instance: Instance
        self.hold = False

    async def start(self) -> None:
        mesh = await self.mesh.start()
        settings = Settings()
        objects = f"file://{mesh.folder}/objects"
        self.gateway = Gateway(
            runtime=mesh.runtime,
            state=mesh.state,
            intake=mesh.engine,
            registry=mesh.registry,
            bus=mesh.bus,
            objects=mesh.objects,
            reader=DataReader(mesh.runtime, objects, settings),
            settings=settings,
        )
        self.gateway.start()
        app = create_app(self.gateway, mesh.hub)
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL)
        self.instance = await mesh.instance(contracts=(LOAD, CLEAN, TOTAL, MERGE), slots=2)
        self.instance.answer = self.answer

    async def stop(self) -> None:
        await self.client.aclose()
        await self.gateway.close()
        await self.mesh.stop()

    def answer(self, message: Assign) -> None:
        outputs: dict[str, Any] = {}
        if message.module == "shop.load":
            outputs["out"] = self.write(message, "out", ORDERS)
            outputs[REJECTED] = self.write(message, "bad", pa.table({"line": ["x"], "_reason": ["no order"]}))
        elif message.module == "shop.total":
            outputs["out"] = ValueRef(value=pc.sum(self.read(message, "orders")["qty"]).as_py())
        else:
            table = self.read(message, "orders" if message.module == "shop.clean" else "left")
            bad = table.filter(pc.less_equal(table["qty"], 0))
            outputs["out"] = self.write(message, "out", table.filter(pc.greater(table["qty"], 0)))
            if bad.num_rows:
                reasons = bad.append_column("_reason", pa.array(["qty is not above zero"] * bad.num_rows))
                outputs[REJECTED] = self.write(message, "bad", reasons)
        stats = AttemptStats(reasons={"qty is not above zero": 2}) if message.module == "shop.clean" else None
        if not (self.hold and message.step == "beside"):
            self.instance.send(message, Done(**self.instance.who(message), outputs=outputs, stats=stats))

    def write(self, message: Assign, word: str, table: pa.Table) -> DataRef:
        return write_table(self.mesh.objects, f"{message.prefix}/x-{word}", table)

    def read(self, message: Assign, port: str) -> pa.Table:
        found = resolve(self.mesh.objects, message.inputs[port][0])
        assert isinstance(found, DataRef)
        return read_table(self.mesh.objects, found)

    async def run(self, flow: dict[str, Any] = FLOW) -> str:
        run = str((await self.client.post(RUNS, json={"flow": flow})).json()["id"])
        assert (await self.mesh.ended(run)).state == "succeeded"
        return run

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **body: Any) -> httpx2.Response:
        return await self.client.post(path, json=body)

    def assigned(self, run: str) -> dict[str, Assign]:
        return {message.step: message for message in self.instance.assigned if message.run == run}

    async def total(self, run: str) -> Any:
        return (await self.get(f"{RUNS}/{run}/steps/total/outputs/out"))["value"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    await shop.start()
    yield shop
    await shop.stop()
    assert check_folder(shop.mesh.folder).violations == []


async def test_letters_are_listed_and_their_rows_shown(shop: Shop) -> None:
    run = await shop.run()
    page = await shop.get(DLQ, run=run, limit=1)
    (clean,) = page["letters"]
    assert (clean["id"], clean["rows"], clean["state"], clean["outcome"]) == (f"{run}.clean", 2, "open", "succeeded")
    assert clean["reasons"] == {"qty is not above zero": 2}
    rest = await shop.get(DLQ, run=run, cursor=page["next_cursor"])
    assert [letter["step"] for letter in rest["letters"]] == ["load"]
    assert (await shop.get(DLQ, run=run, step="load", state="open", flow="shop"))["letters"] == rest["letters"]
    assert (await shop.get(f"{DLQ}/{run}.clean"))["ports"] == ["orders"]
    rows = await shop.get(f"{DLQ}/{run}.clean/rows", offset=1, limit=5)
    assert (rows["rows"], rows["total"]) == ([{"order": 4, "qty": -1, "_reason": "qty is not above zero"}], 2)
    as_output = await shop.get(f"{RUNS}/{run}/steps/clean/outputs/{REJECTED}/rows")
    assert as_output["rows"][1:] == rows["rows"]


async def test_corrected_rows_take_the_place_of_the_others_which_stay(shop: Shop) -> None:
    run = await shop.run()
    path = f"{DLQ}/{run}.clean"
    text = (await shop.client.get(f"{path}/download")).text
    assert text.splitlines()[0] == '{"order":2,"qty":0,"_reason":"qty is not above zero"}'
    answer = await shop.client.put(f"{path}/rows", content=text.replace('"qty":0', '"qty":2'), headers=LINES)
    assert (answer.status_code, answer.json()["edited_rows"], answer.json()["state"]) == (200, 2, "open")
    assert [row["qty"] for row in (await shop.get(f"{path}/rows"))["rows"]] == [2, -1]
    assert [row["qty"] for row in (await shop.get(f"{path}/rows", original=True))["rows"]] == [0, -1]
    again = await shop.client.put(f"{path}/rows", content="order,qty\n4,9\n", headers={"content-type": "text/csv"})
    assert again.json()["edited_rows"] == 1
    assert (await shop.client.get(f"{path}/download", params={"format": "csv"})).text.splitlines()[1] == "4,9,"


async def test_a_mistake_in_corrected_rows_is_told_with_its_place(shop: Shop) -> None:
    run = await shop.run()
    path = f"{DLQ}/{run}.clean/rows"
    answer = await shop.client.put(path, content='{"order": 2}\n{"qty": "two", "ordr": 1}', headers=LINES)
    assert answer.status_code == 422
    assert {problem["where"] for problem in answer.json()["problems"]} == {"2:qty", "2:ordr"}
    assert (await shop.get(f"{DLQ}/{run}.clean"))["edited_rows"] is None
    plain = await shop.client.put(path, content="x", headers={"content-type": "text/html"})
    assert plain.status_code == 415


async def test_a_redrive_gives_the_rows_to_the_step_and_goes_on_below(shop: Shop) -> None:
    run = await shop.run()
    path = f"{DLQ}/{run}.clean"
    await shop.client.put(f"{path}/rows", content='{"order": 2, "qty": 2}\n{"order": 4, "qty": -3}\n', headers=LINES)
    answer = await shop.post(f"{path}/redrive")
    assert answer.status_code == 202, answer.text
    redrive = answer.json()["run"]
    assert (await shop.mesh.ended(redrive)).state == "succeeded"
    steps = {step["id"]: step["state"] for step in (await shop.get(f"{RUNS}/{redrive}"))["steps"]}
    assert steps == {"load": "recovered", "clean": "succeeded", "total": "succeeded", "beside": "recovered"}
    fed = shop.assigned(redrive)["clean"]
    assert shop.read(fed, "orders").to_pydict() == {"order": [2, 4], "qty": [2, -3]}
    assert fed.root == run
    assert await shop.total(redrive) == 2
    letter = await shop.get(path)
    assert (letter["state"], letter["redrive"], letter["reason"]) == ("redriven", redrive, None)
    (again,) = (await shop.get(DLQ, run=redrive))["letters"]
    assert (again["step"], again["rows"], again["state"]) == ("clean", 1, "open"), "what is still wrong is a new letter"


async def test_rows_are_given_to_one_run_whoever_asks_and_how_often(shop: Shop) -> None:
    run = await shop.run()
    path = f"{DLQ}/{run}.clean"
    answers = await asyncio.gather(*(shop.post(f"{path}/redrive") for _ in range(3)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run"] for answer in answers}) == 1
    assert sorted(answer.json()["repeated"] for answer in answers) == [False, True, True]
    redrive = answers[0].json()["run"]
    for asked in (shop.post(f"{path}/discard"), shop.client.put(f"{path}/rows", content='{"qty":1}', headers=LINES)):
        refused = await asked
        assert refused.status_code == 409
        assert redrive in refused.json()["detail"]
    await shop.mesh.ended(redrive)


async def test_a_redrive_that_a_crash_cut_off_goes_on_with_the_same_run(shop: Shop) -> None:
    run = await shop.run()
    await shop.mesh.state.write(redrive_letter, f"{run}.clean", "run-chosen", actor="ann", at=1.0)
    answer = await shop.post(f"{DLQ}/{run}.clean/redrive")
    assert (answer.status_code, answer.json()["run"]) == (202, "run-chosen")
    assert (await shop.mesh.ended("run-chosen")).state == "succeeded"


async def test_of_a_mapped_node_only_the_element_runs(shop: Shop) -> None:
    run = await shop.run(MAPPED)
    answer = await shop.post(f"{DLQ}/{run}.clean.1/redrive")
    redrive = answer.json()["run"]
    assert (await shop.mesh.ended(redrive)).state == "succeeded"
    assert {*shop.assigned(redrive)} == {"clean.1", "total"}


async def test_a_discarded_letter_is_over(shop: Shop) -> None:
    run = await shop.run()
    path = f"{DLQ}/{run}.clean"
    answer = await shop.post(f"{path}/discard", reason="test data")
    assert (answer.json()["state"], answer.json()["reason"]) == ("discarded", "test data")
    assert (await shop.post(f"{path}/discard")).status_code == 200
    assert (await shop.post(f"{path}/redrive")).status_code == 409
    assert [letter["step"] for letter in (await shop.get(DLQ, run=run, state="discarded"))["letters"]] == ["clean"]


async def test_a_step_without_a_table_to_read_cannot_get_rows(shop: Shop) -> None:
    run = await shop.run()
    answer = await shop.post(f"{DLQ}/{run}.load/redrive")
    assert answer.status_code == 409
    assert "reads its source itself" in answer.json()["detail"]
    assert (await shop.get(f"{DLQ}/{run}.load"))["ports"] == []


async def test_where_several_tables_are_read_one_must_be_named(shop: Shop) -> None:
    run = await shop.run(MERGED)
    path = f"{DLQ}/{run}.both"
    assert (await shop.get(path))["ports"] == ["left", "right"]
    assert "left, right" in (await shop.post(f"{path}/redrive")).json()["detail"]
    assert (await shop.post(f"{path}/redrive", port="up")).status_code == 400
    redrive = (await shop.post(f"{path}/redrive", port="left")).json()["run"]
    await shop.mesh.ended(redrive)
    fed = shop.assigned(redrive)["both"]
    assert shop.read(fed, "left").num_rows == 2
    assert shop.read(fed, "right").num_rows == 4


async def test_a_run_that_goes_on_keeps_its_letters_until_its_end(shop: Shop) -> None:
    shop.hold = True
    run = str((await shop.client.post(RUNS, json={"flow": FLOW})).json()["id"])
    await wait_until(lambda: "beside" in shop.assigned(run) and "total" in shop.assigned(run))
    answer = await shop.post(f"{DLQ}/{run}.clean/redrive")
    assert (answer.status_code, "has ended" in answer.json()["detail"]) == (409, True)
    assert (await shop.get(f"{DLQ}/{run}.clean"))["state"] == "open"
    shop.hold = False
    await shop.mesh.cancel(run)
    shop.answer(shop.assigned(run)["beside"])
    await shop.mesh.ended(run)


async def test_a_letter_is_open_again_if_no_run_could_be_made(shop: Shop) -> None:
    run = await shop.run()
    numbers = dict.fromkeys(("objects", "bytes", "log_objects", "log_bytes"), 0)
    times = {"ended_at": 1.0, "measured_at": 1.0, "data_marked_at": 2.0}
    marked = {"run": run, "namespace": "default", "flow": "shop", **numbers, **times}

    def sweep(writer: Any) -> None:
        writer.transaction("test", lambda: writer.connection.execute(sa.insert(schema.run_data).values(**marked)))

    await shop.mesh.state.write(sweep)
    answer = await shop.post(f"{DLQ}/{run}.clean/redrive")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    letter = await shop.get(f"{DLQ}/{run}.clean")
    assert (letter["state"], letter["redrive"], letter["reason"]) == ("open", None, None)


async def test_a_letter_whose_rows_are_gone_says_so(shop: Shop) -> None:
    run = await shop.run()

    def forget(writer: Any) -> None:
        mine = sa.update(schema.run).where(schema.run.c.id == run).values(data_gone_at=5.0)
        writer.transaction("test", lambda: writer.connection.execute(mine))

    await shop.mesh.state.write(forget)
    assert (await shop.get(f"{DLQ}/{run}.clean"))["data_gone_at"] == 5.0
    for answer in (
        await shop.client.get(f"{DLQ}/{run}.clean/rows"),
        await shop.post(f"{DLQ}/{run}.clean/redrive"),
        await shop.client.put(f"{DLQ}/{run}.clean/rows", content="{}", headers=LINES),
    ):
        assert (answer.status_code, answer.json()["code"]) == (410, "object-missing")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("?state=odd", 400),
        ("?cursor=x", 400),
        ("?limit=0", 422),
        ("/run-1.none", 404),
        ("/run-1.none/rows", 404),
        ("/run-1.none/download", 404),
    ],
)
async def test_odd_questions_are_refused(shop: Shop, path: str, status: int) -> None:
    assert (await shop.client.get(DLQ + path)).status_code == status
