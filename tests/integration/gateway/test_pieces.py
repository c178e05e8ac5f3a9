"""What a gateway says of nodes that are done in pieces."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from gateway.edges import Work
from plugmesh.contracts.data import DataRef
from plugmesh.contracts.flow import Flow, Node, Source
from plugmesh.contracts.module import InputPort
from plugmesh.contracts.run import Rerun, Submission
from plugmesh.data.reference import join, slice_ref, spill
from tests.integration.gateway.house import House, contract_of, step_row

FLOW = Flow(
    name="f",
    nodes={
        "make": Node(module="table.make"),
        "take": Node(module="table.take", inputs={"": (Source(node="make"),)}, params={"by": 2}),
    },
)
ENDS = (4, 7, 10)
PARAMS = {"type": "object", "properties": {"by": {"type": "integer"}}}


async def cut(house: House, state: str = "running", rerun: Rerun | None = None, *pieces: str) -> DataRef:
    """A run whose second node is in three pieces, of which some succeeded; what its first node made."""
    await house.plug_in(contract_of("table.take", inputs=(InputPort(name="rows"),), params=PARAMS))
    rows = house.put_table("data/default/run-1/make/1/n-out", pa.table({"a": list(range(10))}))
    assert isinstance(rows, DataRef)
    await house.intake.submit(Submission(run="run-1", flow=FLOW, rerun=rerun))
    own = [] if rerun is not None else [step_row("run-1", "take", "pending", epoch=0, pieces="[4, 7, 10]")]
    done = [step_row("run-1", name, "succeeded", slice_ref(rows, 0, 4), version="1.0.0") for name in pieces]
    await house.intake.advance("run-1", state, step_row("run-1", "make", "succeeded", rows), *own, *done)
    return rows


async def show(house: House, path: str = "") -> Any:
    return (await house.client.get(f"/api/v1/runs/run-1{path}")).json()


async def test_a_run_says_how_many_pieces_of_a_node_are_in_which_state(house: House) -> None:
    await cut(house, "running", None, "take.0", "take.2")
    assert (await show(house))["nodes"] == {"take": {"succeeded": 2, "pending": 1}}


async def test_a_rerun_of_pieces_knows_them_from_its_origin(house: House) -> None:
    rerun = Rerun(origin="run-0", root="run-0", pieces={"take": ENDS})
    rows = await cut(house, "running", rerun, "take.1")
    assert (await show(house))["nodes"] == {"take": {"succeeded": 1, "pending": 2}}
    (given,) = (await show(house, "/steps/take.1/replay"))["inputs"]["rows"]
    assert DataRef.model_validate(given) == slice_ref(rows, 4, 3)


async def test_a_piece_is_replayed_with_its_rows_and_a_node_with_all(house: House) -> None:
    rows = await cut(house, "running", None, "take.2")
    piece, whole = await show(house, "/steps/take.2/replay"), await show(house, "/steps/take/replay")
    assert DataRef.model_validate(piece["inputs"]["rows"][0]) == slice_ref(rows, 7, 3)
    assert DataRef.model_validate(whole["inputs"]["rows"][0]) == rows
    assert piece["params"] == whole["params"] == {"by": 2}


async def test_a_rerun_takes_over_the_pieces_that_were_accepted(house: House) -> None:
    await cut(house, "failed", None, "take.0", "take.2")
    answer = (await house.client.post("/api/v1/runs/run-1/rerun")).json()
    assert (answer["recovered"], answer["again"]) == (3, 2)
    rerun = house.intake.submissions[-1].rerun
    assert rerun is not None
    assert [one.step for one in rerun.recovered] == ["make", "take.0", "take.2"]
    assert rerun.pieces == {"take": ENDS}


async def test_the_table_of_a_node_whose_pieces_were_spilled_is_shown_like_any_other(house: House) -> None:
    rows = await cut(house)
    parts = [slice_ref(rows, start, 4) for start in (0, 4, 8)]
    spilled = [
        spill(house.objects, f"data/default/run-1/take.{n}/1/ref", one, limit_bytes=0) for n, one in enumerate(parts)
    ]
    await house.intake.advance("run-1", "succeeded", step_row("run-1", "take", "succeeded", join(spilled), epoch=0))
    page = await show(house, "/steps/take/outputs/out?offset=3&limit=6")
    assert [row["a"] for row in page["rows"]] == [3, 4, 5, 6, 7, 8]
    assert page["total"] == 10
    step = next(one for one in (await show(house))["steps"] if one["id"] == "take")
    assert step["outputs"]["out"] == {"kind": "table", "rows": 10}


def test_what_a_node_in_pieces_gave_is_counted_once() -> None:
    work = Work()
    rows = DataRef(schema_ipc="", rows=4, fragments=())
    for name, columns in (("take", {"pieces": "[4, 8]"}), ("take.0", {}), ("take.1", {})):
        work.add(step_row("run-1", name, "succeeded", rows, **columns))
    assert work.outputs == {"out": [rows, rows]}


async def test_rows_that_a_piece_was_fed_instead_are_not_cut(house: House) -> None:
    fed = house.put_table("data/default/run-0/make/1/n-out", pa.table({"a": [1]}))
    rerun = Rerun(
        origin="run-0", root="run-0", pieces={"take": ENDS}, elements={"take": (1,)}, feeds={"take.1": {"rows": (fed,)}}
    )
    await cut(house, "running", rerun, "take.1")
    (given,) = (await show(house, "/steps/take.1/replay"))["inputs"]["rows"]
    assert DataRef.model_validate(given) == fed
