"""Modules with plans, and plans that go wrong. Loaded by executors, never by the tests' own process."""

import os
import time

import pyarrow as pa

from module_sdk import Column, ConnectionFailed, Context, DataError, File, Plan, module


def add_plan(params, schemas):
    rows = schemas["rows"]
    if params["of"] not in rows.names:
        raise DataError(f"of: there is no column {params['of']!r}", column=params["of"], port="rows")
    out = rows.append(pa.field("more", rows.field(params["of"]).type))
    return Plan(reads={"rows": [params["of"]]}, outputs=out, passes={"out": "rows"})


X = Column("x")


@module("p.add", plan=add_plan)
def add(rows: pa.Table, *, of: Column = X) -> pa.Table:
    return rows.append_column("more", rows[of])


def lines_plan(params, schemas):
    with params["file"].open() as stream:
        first = stream.readline().decode().strip()
    return {}, {"out": pa.schema([(name, pa.string()) for name in first.split(",")])}


@module("p.lines", plan=lines_plan)
def lines(*, file: File, ctx: Context) -> pa.Table:
    with file.open() as stream:
        names, *rows = [line.decode().strip().split(",") for line in stream]
    table = pa.table({name: [row[at] for row in rows] for at, name in enumerate(names)})
    ctx.log.info("wanted %s", ctx.wanted())
    return table


def odd_plan(params, schemas):
    match params["how"]:
        case "raise":
            raise KeyError("no such thing")
        case "exit":
            raise SystemExit(3)
        case "die":
            os._exit(4)
        case "hang":
            time.sleep(60)
        case "away":
            raise ConnectionFailed("nobody answers")
        case "wrong":
            return {"rows": ["nothing"]}, None
        case "print":
            print("this is no step's log")
    return None


@module("p.odd", plan=odd_plan)
def odd(rows: pa.Table, *, how: str = "") -> pa.Table:
    print("this is")
    return rows


@module("p.calm", plan=odd_plan)
async def calm(rows: pa.Table, *, how: str = "") -> pa.Table:
    return rows


@module("p.pair", outputs={"out": {"a": "int64", "b": "string"}})
def pair(*, lazy: bool = False, ctx: Context) -> pa.Table:
    print(ctx.wanted(), ctx.wants("a"), [(one.column, one.op, one.value) for one in ctx.filters()])
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    return table.select([name for name in table.column_names if ctx.wants(name)]) if lazy else table
