"""How schedulers share shards: fair, with few moves, and never two at one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from plugmesh.contracts.run import SHARDS
from scheduler.balance import View, moves, targets

_OWNERS = st.sets(st.sampled_from([f"s{n}" for n in range(40)]), min_size=1, max_size=36).map(frozenset)


@st.composite
def views(draw: st.DrawFn) -> View:
    """Live owners, and shards held by them, by others that still have a lease, or by nobody."""
    owners = draw(_OWNERS)
    holders = st.sampled_from([*sorted(owners), None, "stranger"])
    return View(owners, dict(enumerate(draw(st.lists(holders, min_size=SHARDS, max_size=SHARDS)))))


def _settled(view: View, order: st.DataObject | None = None) -> tuple[View, int]:
    """Let everybody act until nobody moves anything; how many shards changed hands."""
    shards, moved = dict(view.shards), 0
    for _ in range(200):
        names = sorted(view.owners)
        if order is not None:
            names = order.draw(st.permutations(names))
        before = dict(shards)
        for me in names:
            step = moves(View(view.owners, shards), me)
            assert all(shards[shard] is None for shard in step.take)
            assert all(shards[shard] == me for shard in step.give)
            shards.update(dict.fromkeys(step.take, me))
            shards.update(dict.fromkeys(step.give))
            moved += len(step.take)
        if shards == before:
            return View(view.owners, shards), moved
    raise AssertionError("they never come to rest")


@given(views(), st.data())
@settings(max_examples=60)
def test_free_shards_and_surplus_are_shared_whatever_the_order(view: View, order: st.DataObject) -> None:
    after, _ = _settled(View(view.owners, {n: o if o != "stranger" else None for n, o in view.shards.items()}), order)
    counts = [sum(holder == owner for holder in after.shards.values()) for owner in view.owners]
    assert sum(counts) == SHARDS
    assert max(counts) - min(counts) <= 1


@given(views())
def test_targets_add_up_and_differ_by_one_at_most(view: View) -> None:
    wanted = targets(view)
    assert sum(wanted.values()) == SHARDS
    assert max(wanted.values()) - min(wanted.values()) <= 1


@given(views())
def test_nobody_touches_what_another_one_holds(view: View) -> None:
    for me in view.owners:
        step = moves(view, me)
        assert all(view.shards[shard] is None for shard in step.take)
        assert all(view.shards[shard] == me for shard in step.give)
        assert not (step.take and step.give)


@given(_OWNERS)
def test_a_scheduler_that_joins_moves_only_its_own_share(owners: frozenset[str]) -> None:
    before, _ = _settled(View(owners, dict.fromkeys(range(SHARDS))))
    after, moved = _settled(View(owners | {"new"}, before.shards))
    assert moved == sum(holder == "new" for holder in after.shards.values())


@given(_OWNERS)
def test_when_one_dies_only_its_shards_move(owners: frozenset[str]) -> None:
    before, _ = _settled(View(owners | {"dead"}, dict.fromkeys(range(SHARDS))))
    left = {shard: None if owner == "dead" else owner for shard, owner in before.shards.items()}
    _, moved = _settled(View(owners, left))
    assert moved == sum(owner is None for owner in left.values())


def test_a_scheduler_that_drains_gives_everything_back() -> None:
    view = View(frozenset({"other"}), dict.fromkeys(range(SHARDS), "me"))
    assert moves(view, "me").give == tuple(range(SHARDS))


def test_a_single_scheduler_takes_all() -> None:
    assert moves(View(frozenset({"me"}), dict.fromkeys(range(SHARDS))), "me").take == tuple(range(SHARDS))
