"""Pins: runs that a person wants to keep, whatever retention says."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from plugmesh.errors import Conflict, NotFound
from plugmesh.state.reads import Reader
from plugmesh.state.schema import run, run_pin
from plugmesh.state.writes import Writer


def pinned_runs(reader: Reader, now: float) -> frozenset[str]:
    """Runs that a person keeps."""
    query = sa.select(run_pin.c.run).where(sa.or_(run_pin.c.until.is_(None), run_pin.c.until > now))
    return frozenset(str(row[0]) for row in reader.rows(query))


def pin_run(writer: Writer, run_id: str, *, actor: str, reason: str, at: float, until: float | None) -> None:
    """Keep a run, whatever retention says; a second pin replaces the first. Raises `NotFound`, `Conflict` if its data
    is gone."""

    def body() -> None:
        found = writer.connection.execute(sa.select(run.c.data_gone_at).where(run.c.id == run_id)).first()
        if found is None:
            raise NotFound(f"there is no run {run_id!r}: `plugmesh runs` or GET /api/v1/runs lists them")
        if found[0] is not None:
            raise Conflict(f"the data of run {run_id} is gone already: there is nothing to keep")
        writer.connection.execute(sa.delete(run_pin).where(run_pin.c.run == run_id))
        values = {"run": run_id, "actor": actor, "reason": reason, "at": at, "until": until}
        writer.connection.execute(sa.insert(run_pin).values(**values))

    writer.transaction("pin", body)


def unpin_run(writer: Writer, run_id: str) -> None:
    """Let retention decide again. Raises `NotFound` if the run is not pinned."""

    def body() -> None:
        if writer.connection.execute(sa.delete(run_pin).where(run_pin.c.run == run_id)).rowcount == 0:
            raise NotFound(f"run {run_id!r} is not pinned")

    writer.transaction("unpin", body)


def pinned_among(writer: Writer, runs: Collection[str], now: float) -> frozenset[str]:
    """Those of `runs` that a person keeps, inside a transaction."""
    alive = sa.or_(run_pin.c.until.is_(None), run_pin.c.until > now)
    query = sa.select(run_pin.c.run).where(run_pin.c.run.in_(list(runs)), alive)
    return frozenset(str(row[0]) for row in writer.connection.execute(query))


def is_pinned(writer: Writer, run_id: str, now: float) -> bool:
    """Whether a person keeps this run, inside a transaction."""
    alive = sa.or_(run_pin.c.until.is_(None), run_pin.c.until > now)
    query = sa.select(sa.func.count()).select_from(run_pin).where(run_pin.c.run == run_id, alive)
    return bool(writer.connection.execute(query).scalar())
