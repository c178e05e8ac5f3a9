"""Faults and orders are drawn from the seed alone: what was wrong once can be tried again."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chaos.plan import DISTRIBUTED_KILLS, KILLS, LEASE_S, Deed, Fault, Role, draw
from tests.chaos.shapes import SHAPES
from tests.chaos.workload import FROM_FAILED, FROM_START, REDRIVE, orders

SEEDS = st.integers(0, 2**31)


@settings(max_examples=50)
@given(SEEDS, st.integers(0, 200), st.floats(1.0, 900.0))
def test_exactly_so_many_processes_are_killed_within_the_time(seed: int, kills: int, seconds: float) -> None:
    faults = draw(seed, kills, seconds, small_disk=True)
    assert sum(fault.kills for fault in faults) == kills
    assert all(0.0 <= fault.at_s <= seconds for fault in faults)
    assert list(faults) == sorted(faults, key=lambda fault: fault.at_s)


@settings(max_examples=20)
@given(SEEDS)
def test_the_same_seed_is_the_same_plan_and_another_one_is_not(seed: int) -> None:
    assert draw(seed, 20, 60.0, small_disk=True) == draw(seed, 20, 60.0, small_disk=True)
    assert draw(seed, 20, 60.0, small_disk=True) != draw(seed + 1, 20, 60.0, small_disk=True)
    assert orders(seed, 20, 60.0, "db") == orders(seed, 20, 60.0, "db")


@settings(max_examples=20)
@given(SEEDS)
def test_kills_are_spread_over_the_time(seed: int) -> None:
    """No stretch of a tenth of the time is quiet."""
    times = [fault.at_s for fault in draw(seed, 100, 100.0, small_disk=False) if fault.deed is Deed.KILL]
    assert all(later - earlier <= 10.0 for earlier, later in pairwise(times))


@settings(max_examples=20)
@given(SEEDS)
def test_nothing_is_filled_where_there_is_no_disk_for_it(seed: int) -> None:
    assert not [fault for fault in draw(seed, 50, 60.0, small_disk=False) if fault.deed is Deed.FILL]


def test_a_plan_of_some_length_has_every_kind_of_fault() -> None:
    faults = draw(5, 125, 720.0, small_disk=True)
    assert {fault.victims for fault in faults if fault.deed is Deed.KILL} == set(KILLS)
    hit = {(Role.SERVER,), (Role.SUPERVISOR,), (Role.EXECUTOR,)}
    assert {fault.victims for fault in faults if fault.deed is Deed.STOP} == hit
    assert {fault.victims for fault in faults if fault.deed is Deed.DRAIN} == {(Role.SERVER,), (Role.SUPERVISOR,)}
    assert {fault.deed for fault in faults} == set(Deed)
    assert any(fault.lasts_s > LEASE_S for fault in faults if fault.deed is Deed.STOP)
    assert any(fault.lasts_s < 3 for fault in faults if fault.deed is Deed.STOP)


def test_on_real_servers_every_kind_of_process_is_hit() -> None:
    faults = draw(5, 200, 1800.0, small_disk=False, distributed=True)
    apart = set(Role) - {Role.SERVER}
    assert {fault.victims for fault in faults if fault.deed is Deed.KILL} == set(DISTRIBUTED_KILLS)
    assert {role for fault in faults if fault.deed is Deed.STOP for role in fault.victims} == apart
    drained = {Role.GATEWAY, Role.SCHEDULER, Role.SUPERVISOR}
    assert {role for fault in faults if fault.deed is Deed.DRAIN for role in fault.victims} == drained


@pytest.mark.parametrize(
    ("fault", "kind", "kills"),
    [
        (Fault(0.0, Deed.KILL, (Role.SUPERVISOR, Role.SERVER)), "kill supervisor+server", 2),
        (Fault(0.0, Deed.STOP, (Role.EXECUTOR,)), "stop executor", 0),
        (Fault(0.0, Deed.FILL), "fill disk", 0),
    ],
)
def test_a_fault_is_called_by_what_it_does_to_whom(fault: Fault, kind: str, kills: int) -> None:
    assert (fault.kind, fault.kills) == (kind, kills)


def test_orders_are_of_every_shape_and_wish() -> None:
    found = orders(5, 400, 720.0, "db")
    assert {order.job.shape for order in found} == {shape("x", 0, "db", 1.0).shape for shape in SHAPES}
    wishes = Counter((order.cancel_after_s is not None, order.pause_after_s is not None) for order in found)
    assert set(wishes) == {(False, False), (True, False), (False, True)}
    assert {order.rerun for order in found} == {"", FROM_FAILED, FROM_START, REDRIVE}
    assert {order.again for order in found} == {True, False}


def test_no_number_of_a_run_is_another_ones() -> None:
    found = orders(6, 100, 60.0, "db")
    numbers = [number for order in found for number in set(order.job.rows).union(*order.job.effects.values())]
    assert len(numbers) == len(set(numbers))
    assert len({order.job.label for order in found}) == len(found)
