"""Modules that cannot use some of their rows."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from module_sdk import Context, DataError, TransientError, module


@module("r.clean", inputs={"rows": {"x": "int64"}}, outputs={"out": {"x": "int64", "...": "rows"}})
def clean(rows: pa.Table, *, ctx: Context) -> pa.Table:
    odd = pc.equal(pc.bit_wise_and(rows["x"], 1), 1)
    ctx.reject(rows.filter(odd), "odd")
    ctx.reject(2, "only counted")
    return rows.filter(pc.invert(odd))


@module("r.halved", inputs={"rows": {"x": "int64"}}, outputs={"out": {"...": "rows", "half": "int64"}}, rows="same")
def halved(rows: pa.Table) -> pa.Table:
    odd = pc.equal(pc.bit_wise_and(rows["x"], 1), 1)
    if pc.any(odd).as_py():
        raise DataError("not even", rows=odd)
    return rows.append_column("half", pc.divide(rows["x"], 2))


@module("r.passing", inputs={"rows": {"x": "int64", "...": True}})
def passing(rows: pa.Table) -> pa.Table:
    odd = pc.equal(pc.bit_wise_and(rows["x"], 1), 1)
    if pc.any(odd).as_py():
        raise DataError("not even", rows=odd)
    return rows


@module("r.streamed", inputs={"rows": {"...": True}}, outputs={"out": True})
def streamed(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in rows:
        for number, value in enumerate(batch.column("x").to_pylist()):
            if value < 0:
                raise DataError("below zero", rows=[start + number])
        start += batch.num_rows
        yield batch


@module("r.late", outputs={"all": True, "some": True})
def late(rows: pa.Table) -> dict[str, object]:
    def some() -> Iterator[pa.Table]:
        yield rows.slice(0, 1)
        if bad := [number for number, value in enumerate(rows["x"].to_pylist()) if value < 0]:
            raise DataError("below zero", rows=bad)

    return {"all": pa.table({"x": pc.add(rows["x"], 0)}), "some": some()}


@module("r.rowwise", rowwise=True)
def rowwise(rows: pa.Table, *, ctx: Context) -> pa.Table:
    print("called with", rows.num_rows)
    for value in rows["x"].to_pylist():
        if value < 0:
            raise DataError(f"{value} is below zero")
    return rows


@module("r.brittle", rowwise=True)
def brittle(rows: pa.Table, *, how: str = "fatal") -> pa.Table:
    if not rows.num_rows:
        raise ValueError("no rows at all") if how == "fatal" else TransientError("busy just now")
    if min(rows["x"].to_pylist()) < 0:
        raise DataError("one is below zero")
    return rows


@module("r.never", rowwise=True)
def never(rows: pa.Table) -> pa.Table:
    raise DataError("it is not about rows")


@module("r.gives_up")
def gives_up(rows: pa.Table, *, ctx: Context, how: str = "transient") -> pa.Table:
    ctx.reject(rows.slice(0, 1), "the first one")
    if how == "transient":
        raise TransientError("later")
    raise ValueError("never")


@module("r.async_halved", inputs={"rows": {"x": "int64"}})
async def async_halved(rows: pa.Table) -> pa.Table:
    odd = [number for number, value in enumerate(rows["x"].to_pylist()) if value % 2]
    if odd:
        raise DataError("not even", rows=odd)
    return rows


@module("r.sink", inputs={"rows": {"x": "int64"}}, outputs={})
def sink(rows: pa.Table, *, ctx: Context) -> None:
    ctx.reject(rows.filter(pc.less(rows["x"], 0)), "below zero")


@module("r.source")
def source(*, ctx: Context, good: int = 8) -> pa.Table:
    ctx.reject([{"line": "a"}, {"line": "b"}], "unreadable")
    return pa.table({"x": list(range(good))})
