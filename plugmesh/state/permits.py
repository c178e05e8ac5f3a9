"""Permits: which runs may be under way, of flows that limit how many of theirs are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from plugmesh.errors import OwnershipLost
from plugmesh.state.schema import permit, run, shard
from plugmesh.state.writes import Writer


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run that waits for one of the `limit` places called `name`. `shard` is where it belongs."""

    run: str
    shard: int
    namespace: str
    name: str
    limit: int


@dataclass(slots=True)
class Given:
    """The runs that have a permit now, and who holds those that the others wait for, by namespace and name."""

    runs: list[str] = field(default_factory=list)
    holders: dict[tuple[str, str], list[str]] = field(default_factory=dict)


def take_permits(writer: Writer, owner: str, terms: Mapping[int, int], wanted: Sequence[Wanted], at: float) -> Given:
    """Give permits to runs, in their order, as long as there are any; who has one already keeps it.

    A run that has ended meanwhile gets none. `terms` are the shards of `owner`. Raises `OwnershipLost` when one of the
    shards is somebody else's: nothing is given then.
    """

    def body() -> Given:
        for number in sorted({one.shard for one in wanted}):  # in order: two schedulers must not wait for each other
            _own(writer, owner, number, terms.get(number, 0))
        given, lines = Given(), dict[tuple[str, str], _Line]()
        for one in wanted:
            line = (one.namespace, one.name)
            if line not in lines:  # read once: it may have thousands of places, and as many runs want one
                lines[line] = _line(writer, *line)
            if lines[line].serve(writer, one, at):
                given.runs.append(one.run)
        given.holders = {line: list(found.holders) for line, found in lines.items() if found.full}
        return given

    return writer.transaction("permits", body, guarded=True)


def _own(writer: Writer, owner: str, number: int, term: int) -> None:
    """Fails unless the shard is still ours; until the end of the transaction nobody else can write for it."""
    mine = sa.and_(shard.c.id == number, shard.c.owner == owner, shard.c.term == term)
    touched = writer.connection.execute(sa.update(shard).where(mine).values(position=shard.c.position))
    if touched.rowcount != 1:
        raise OwnershipLost(f"shard {number} is no longer owned by {owner} with term {term}")


def _line(writer: Writer, namespace: str, name: str) -> _Line:
    query = sa.select(permit.c.place, permit.c.run).where(permit.c.namespace == namespace, permit.c.name == name)
    rows = writer.connection.execute(query.order_by(permit.c.at, permit.c.place)).all()
    return _Line({str(run): None for _, run in rows}, {int(place) for place, _ in rows})


@dataclass(slots=True)
class _Line:
    """The runs that hold a place, the first one first, and the places that are taken. `full`: somebody found none."""

    holders: dict[str, None]
    taken: set[int]
    lowest: int = 0
    full: bool = False

    def serve(self, writer: Writer, one: Wanted, at: float) -> bool:
        """Whether the run has a permit now."""
        if one.run in self.holders:
            return True
        while self.lowest in self.taken:
            self.lowest += 1
        if self.lowest >= one.limit or len(self.taken) >= one.limit:
            self.full = True
            return False
        execute = writer.connection.execute
        if execute(sa.select(run.c.key).where(run.c.id == one.run, run.c.ended_at.is_(None))).first() is None:
            return False
        values = {"namespace": one.namespace, "name": one.name, "place": self.lowest, "run": one.run, "at": at}
        execute(sa.insert(permit).values(**values))
        self.holders[one.run] = None
        self.taken.add(self.lowest)
        return True
