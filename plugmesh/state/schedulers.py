"""The schedulers of a mesh: who is there, and who holds each shard. Leases are judged by the database's clock."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from plugmesh.contracts.run import SHARDS
from plugmesh.state.schema import scheduler, shard
from plugmesh.state.writes import Writer

_FORGET_S = 3600.0


@dataclass(frozen=True, slots=True)
class Present:
    """Live schedulers that are not draining, and the live owner of each shard (`None`: it is free)."""

    schedulers: frozenset[str]
    shards: dict[int, str | None]


def attend(writer: Writer, owner: str, lease_s: float, *, draining: bool = False) -> Present:
    """Say that a scheduler is there for `lease_s` seconds more, or that it is about to go; who else is there."""

    def body() -> Present:
        now = writer.lease_clock()
        values = {"lease_until": now + lease_s, "draining": int(draining)}
        run = writer.connection.execute
        if run(sa.update(scheduler).where(scheduler.c.id == owner).values(**values)).rowcount == 0:
            run(sa.insert(scheduler).values(id=owner, **values))
        live = sa.and_(scheduler.c.lease_until >= now, scheduler.c.draining == 0)
        names = frozenset(str(name) for name in run(sa.select(scheduler.c.id).where(live)).scalars())
        held: dict[int, str | None] = dict.fromkeys(range(SHARDS))
        for number, holder in run(sa.select(shard.c.id, shard.c.owner).where(shard.c.lease_until >= now)):
            held[int(number)] = holder
        return Present(names, held)

    return writer.transaction("attend", body, guarded=True)


def leave(writer: Writer, owner: str) -> None:
    """A scheduler is gone for good; so are those that nobody has heard of for an hour."""

    def body() -> None:
        now = writer.lease_clock()
        gone = sa.or_(scheduler.c.id == owner, scheduler.c.lease_until < now - _FORGET_S)
        writer.connection.execute(sa.delete(scheduler).where(gone))

    writer.transaction("leave", body, guarded=True)
