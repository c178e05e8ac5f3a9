"""What is kept, summed up for people."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from plugmesh.state.reads import Reader
from plugmesh.state.schema import file, run_borrow, run_data, run_pin


def usage_of_runs(reader: Reader) -> list[dict[str, Any]]:
    """Sums over ended runs by namespace and flow."""
    data = run_data.c
    parts = {"objects": "data", "bytes": "data", "log_objects": "logs", "log_bytes": "logs"}
    sums = [
        sa.func.sum(sa.case((data[f"{part}_released_at"].is_(None), data[name]), else_=0)).label(name)
        for name, part in parts.items()
    ]
    query = sa.select(data.namespace, data.flow, sa.func.count().label("runs"), *sums)
    query = query.where(sa.or_(data.data_released_at.is_(None), data.logs_released_at.is_(None)))
    rows = reader.documents(query.group_by(data.namespace, data.flow).order_by(data.namespace, data.flow))
    return [{key: value if isinstance(value, str) else int(value) for key, value in row.items()} for row in rows]


def usage_of_files(reader: Reader) -> list[dict[str, Any]]:
    """Sums over files by namespace; `deleted` are versions that still have to go."""
    gone = sa.func.sum(sa.case((file.c.deleted_at.is_not(None), 1), else_=0))
    sums = (sa.func.count().label("versions"), sa.func.sum(file.c.bytes).label("bytes"), gone.label("deleted"))
    query = sa.select(file.c.namespace, *sums).group_by(file.c.namespace).order_by(file.c.namespace)
    rows = reader.documents(query)
    return [{key: value if isinstance(value, str) else int(value) for key, value in row.items()} for row in rows]


def marked_data(reader: Reader) -> tuple[int, int]:
    """Runs whose data is marked and not yet released, and its bytes."""
    where = (run_data.c.data_marked_at.is_not(None), run_data.c.data_released_at.is_(None))
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(run_data.c.bytes), 0)).where(*where)
    count, size = reader.rows(query)[0]
    return int(count), int(size)


def holders(reader: Reader, limit: int) -> list[dict[str, Any]]:
    """What holds data beyond its time: pins, and runs whose outputs lie with others."""
    pins = (
        sa.select(run_pin.c.run, run_pin.c.actor, run_pin.c.reason, run_pin.c.until).order_by(run_pin.c.at).limit(limit)
    )
    found = [
        {"held": one["run"], "by": "pin", **{k: one[k] for k in ("actor", "reason", "until")}}
        for one in reader.documents(pins)
    ]
    lent_ones = sa.select(run_borrow.c.lender, run_borrow.c.run).order_by(run_borrow.c.lender).limit(limit)
    for lender, borrower in reader.rows(lent_ones):
        found.append(
            {"held": lender, "by": "run", "actor": None, "reason": f"outputs of {borrower} lie there", "until": None}
        )
    return found[:limit]
