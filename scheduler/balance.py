"""Which shards each of several schedulers should have. Pure: rows in, numbers out.

Every scheduler computes it for itself from what it sees, gives back what it has too much of, and takes what is free. Nobody
takes what another one holds, so that views which differ for a moment do no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """What the database says: who is there and takes shards, who holds each shard (`None`: nobody, or not any more).

    `owners` are live schedulers that are not draining.
    """

    owners: frozenset[str]
    shards: Mapping[int, str | None]


@dataclass(frozen=True, slots=True)
class Moves:
    """Shards to take, which are free, and to give back, which are held."""

    take: tuple[int, ...] = ()
    give: tuple[int, ...] = ()


def targets(view: View) -> dict[str, int]:
    """How many shards each owner should have. The numbers differ by one at most; those that have most keep the larger one,
    so that as few shards move as can be."""
    held = _held(view)
    share, left = divmod(len(view.shards), len(view.owners)) if view.owners else (0, 0)
    ranked = sorted(view.owners, key=lambda owner: (-len(held[owner]), owner))
    return {owner: share + (place < left) for place, owner in enumerate(ranked)}


def moves(view: View, me: str) -> Moves:
    """What the scheduler `me` should do now. One that is not among the owners (it drains) gives back everything."""
    mine = sorted(shard for shard, owner in view.shards.items() if owner == me)
    wanted = targets(view).get(me, 0)
    if len(mine) > wanted:
        return Moves(give=tuple(mine[wanted:]))
    free = [shard for shard, owner in sorted(view.shards.items()) if owner is None]
    return Moves(take=tuple(free[: wanted - len(mine)]))


def _held(view: View) -> dict[str, list[int]]:
    held: dict[str, list[int]] = {owner: [] for owner in view.owners}
    for shard, owner in sorted(view.shards.items()):
        if owner in held:
            held[owner].append(shard)
    return held
