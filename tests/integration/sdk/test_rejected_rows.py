"""Rejected rows on a real executor: what is kept, what is written, what a failed attempt leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest
import pytest_asyncio

from plugmesh.contracts.data import DataRef, referenced_keys
from plugmesh.contracts.flow import Rejects
from plugmesh.contracts.module import REJECTED, Limits
from plugmesh.data.table import write_table
from plugmesh.errors import ErrorClass
from tests.integration.sdk.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")
REASON = "_reason"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    house = House(tmp_path_factory.mktemp("house"), file=Path(__file__).with_name("rejecting.py"))
    await house.open()
    yield house
    await house.close()


async def test_rejected_rows_are_an_output_beside_the_others(house: House) -> None:
    done = await house.done(await house.assign("r.clean", {"rows": [house.table()]}))
    assert house.read(done.outputs["out"]).to_pydict() == {"x": [2], "y": ["b"]}
    assert house.read(done.outputs[REJECTED]).to_pydict() == {"x": [1, 3], "y": ["a", "c"], REASON: ["odd", "odd"]}
    assert done.stats is not None
    assert (done.stats.rows_in, done.stats.rows_out, done.stats.rows_failed) == (3, 1, 4)
    assert done.stats.reasons == {"odd": 2, "only counted": 2}


async def test_no_rejected_row_is_no_output(house: House) -> None:
    ref = house.table({"x": [2, 4]})
    done = await house.done(await house.assign("r.halved", {"rows": [ref]}))
    assert list(done.outputs) == ["out"]
    assert done.stats is not None
    assert done.stats.reasons is None


async def test_where_somebody_reads_them_there_is_a_table_without_rows(house: House) -> None:
    assign = await house.assign("r.halved", {"rows": [house.table({"x": [2], "y": ["b"]})]}, rejected=True)
    none = house.read((await house.done(assign)).outputs[REJECTED])
    assert (none.num_rows, none.column_names) == (0, ["x", "y", REASON])
    source = await house.done(await house.assign("r.sink", {"rows": [house.table({"x": [1]})]}, rejected=True))
    assert house.read(source.outputs[REJECTED]).column_names == ["x", REASON]
    failed = await house.failed(await house.assign("r.never", {"rows": [house.table()]}, rejected=True))
    assert failed.rejected is None


async def test_columns_that_were_not_handed_over_pass_through_what_is_left(house: House) -> None:
    table = pa.table({"x": list(range(1000)), "y": [str(n) for n in range(1000)]})
    ref = write_table(house.store, "in/halved", table, max_rows_per_fragment=300)
    done = await house.done(await house.assign("r.halved", {"rows": [ref]}))
    out = house.read(done.outputs["out"])
    assert out.column_names == ["x", "y", "half"]
    assert out["y"].to_pylist() == [str(n) for n in range(0, 1000, 2)]
    assert out["half"].to_pylist() == list(range(500))
    rejected = house.read(done.outputs[REJECTED])
    assert rejected.column_names == ["x", "y", REASON]
    assert rejected["y"].to_pylist() == [str(n) for n in range(1, 1000, 2)]


async def test_a_table_that_is_handed_on_is_what_is_left_of_it(house: House) -> None:
    ref = house.table({"price": [1, 2, 3], "y": ["a", "b", "c"]})
    assign = await house.assign("r.passing", {"rows": [ref]}, bind={"x": "price"})
    done = await house.done(assign)
    assert house.read(done.outputs["out"]).to_pydict() == {"price": [2], "y": ["b"]}
    assert house.read(done.outputs[REJECTED]).to_pydict() == {
        "price": [1, 3],
        "y": ["a", "c"],
        REASON: ["not even"] * 2,
    }


async def test_rows_that_are_left_are_no_output(house: House) -> None:
    ref = house.table({"x": [1, *range(0, 400, 2)], "y": ["y" * 1000] * 201})
    assign = await house.assign("r.halved", {"rows": [ref]}, limits=Limits(output_bytes=50_000))
    done = await house.done(assign)
    assert house.read(done.outputs["out"]).num_rows == 200


async def test_a_stream_is_read_again_without_the_rows(house: House) -> None:
    ref = house.table({"x": [1, -2, 3, -4]})
    done = await house.done(await house.assign("r.streamed", {"rows": [ref]}))
    assert house.read(done.outputs["out"])["x"].to_pylist() == [1, 3]
    assert house.read(done.outputs[REJECTED])["x"].to_pylist() == [-2, -4]


async def test_what_was_written_before_rows_were_named_is_written_again(house: House) -> None:
    ref = house.table({"x": pa.array([1, -2, 3]), "y": ["a", "b", "c"]})
    done = await house.done(await house.assign("r.late", {"rows": [ref]}))
    assert house.read(done.outputs["all"])["x"].to_pylist() == [1, 3]
    assert house.read(done.outputs["some"]).num_rows == 1
    assert house.read(done.outputs[REJECTED])["y"].to_pylist() == ["b"]


async def test_an_async_function_is_called_again_too(house: House) -> None:
    done = await house.done(await house.assign("r.async_halved", {"rows": [house.table()]}))
    assert house.read(done.outputs["out"])["x"].to_pylist() == [2]
    assert house.read(done.outputs[REJECTED])["x"].to_pylist() == [1, 3]


async def test_bad_rows_are_looked_for_only_where_the_flow_allows_rejects(house: House) -> None:
    values = list(range(64))
    values[5], values[40] = -5, -40
    refused = await house.failed(await house.assign("r.rowwise", {"rows": [house.table({"x": values})]}))
    assert (refused.error.error_class, refused.rejected) == (ErrorClass.DATA, None)
    assign = await house.assign("r.rowwise", {"rows": [house.table({"x": values})]}, rejects=Rejects(rows=2))
    done = await house.done(assign)
    assert house.read(done.outputs["out"]).num_rows == 62
    assert house.read(done.outputs[REJECTED]).to_pydict() == {
        "x": [-5, -40],
        REASON: ["-5 is below zero", "-40 is below zero"],
    }
    assert house.log(done.log).count("called with") <= 2 + 2 * 2 * 6
    one_more = [*values, -1]
    failed = await house.failed(
        await house.assign("r.rowwise", {"rows": [house.table({"x": one_more})]}, rejects=Rejects(rows=2))
    )
    assert (failed.error.code, failed.error.message) == ("data", "-5 is below zero")


@pytest.mark.parametrize("values", [[], [1], [1, 2, 3]])
async def test_what_is_wrong_with_all_rows_is_no_matter_of_rows(house: House, values: list[int]) -> None:
    ref = house.table({"x": pa.array(values, "int64")})
    failed = await house.failed(await house.assign("r.never", {"rows": [ref]}, rejects=Rejects()))
    assert (failed.error.message, failed.rejected) == ("it is not about rows", None)


@pytest.mark.parametrize(("how", "said"), [("fatal", "one is below zero"), ("transient", "busy just now")])
async def test_a_search_that_fails_for_another_reason_is_given_up(house: House, how: str, said: str) -> None:
    ref = house.table({"x": [1, -2, 3]})
    assign = await house.assign("r.brittle", {"rows": [ref]}, rejects=Rejects(rows=10), params={"how": how})
    failed = await house.failed(assign)
    assert failed.error.message == said


async def test_more_than_the_flow_allows_fails_and_keeps_what_was_rejected(house: House) -> None:
    ref = house.table({"x": [1, 3, 4, 6]})
    assign = await house.assign("r.clean", {"rows": [ref]}, rejects=Rejects(percent=25))
    failed = await house.failed(assign)
    assert (failed.error.code, failed.error.error_class) == ("too-many-rejected", ErrorClass.DATA)
    assert "2 of 4 rows were rejected, and the flow allows 25 %" in failed.error.message
    assert house.read(failed.rejected)["x"].to_pylist() == [1, 3]
    assert isinstance(failed.rejected, DataRef)
    left = {found.key for found in house.store.list(assign.prefix + "/")}
    assert {key for key in left if not key.endswith("-log.jsonl")} == referenced_keys(failed.rejected)
    assert failed.stats is not None
    assert failed.stats.rows_failed == 2


async def test_a_source_is_judged_by_all_rows_that_it_met(house: House) -> None:
    done = await house.done(await house.assign("r.source", rejects=Rejects(percent=20)))
    assert house.read(done.outputs[REJECTED])["line"].to_pylist() == ["a", "b"]
    assign = await house.assign("r.source", rejects=Rejects(percent=20), params={"good": 7})
    failed = await house.failed(assign)
    assert "2 of 9 rows" in failed.error.message


@pytest.mark.parametrize("how", ["transient", "fatal"])
async def test_a_failed_attempt_tells_what_it_rejected(house: House, how: str) -> None:
    failed = await house.failed(await house.assign("r.gives_up", {"rows": [house.table()]}, params={"how": how}))
    assert house.read(failed.rejected).to_pydict() == {"x": [1], "y": ["a"], REASON: ["the first one"]}


async def test_a_sink_has_no_output_but_that_one(house: House) -> None:
    done = await house.done(await house.assign("r.sink", {"rows": [house.table({"x": [1, -1]})]}))
    assert list(done.outputs) == [REJECTED]
