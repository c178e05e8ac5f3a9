"""Modules that a person has disabled or the mesh has quarantined: nobody is given work for them, and whoever watches hears
of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from plugmesh.conformance.waiting import wait_until
from plugmesh.errors import Conflict, StateUnavailable
from plugmesh.state.modules import ModuleSwitch
from registry.switchboard import FOLLOW_S
from registry.switches import Switches
from tests.unit.registry.test_registry import World, contract

OFF = ModuleSwitch("a.b", "*", "ana", 1.0, "it loses rows")
OFF_1 = ModuleSwitch("a.b", "1.0.0", "ana", 1.0)
POISON_1 = ModuleSwitch("a.b", "1.0.0", "mesh", 2.0, "3 runs", "quarantined")


@pytest.fixture
async def world():
    world = World()
    await world.start()
    await world.join(world.objects.put(contract()), world.objects.put(contract(version="1.1.0")))
    yield world
    await world.registry.stop()


async def test_a_disabled_module_is_served_but_given_no_work(world: World) -> None:
    await world.registry.disable(OFF)
    assert world.registry.live_versions("a.b") == ()
    assert world.registry.serving("a.b", "1.0.0") == ()
    assert world.registry.served_versions("a.b") == ("1.0.0", "1.1.0")
    assert str(world.registry.disabled("a.b", "1.1.0")) == "disabled by ana: it loses rows"


async def test_one_version_is_disabled_beside_the_others(world: World) -> None:
    await world.registry.disable(OFF_1)
    assert world.registry.live_versions("a.b") == ("1.1.0",)
    assert world.registry.switches("a.b") == (OFF_1,)


async def test_watchers_hear_of_both(world: World) -> None:
    await world.registry.disable(OFF)
    assert (world.changes[-1].instance, world.changes[-1].modules_changed) == (None, frozenset({"a.b"}))
    before = len(world.changes)
    await world.registry.enable("a.b")
    assert len(world.changes) == before + 1
    assert world.registry.live_versions("a.b") == ("1.0.0", "1.1.0")


async def test_what_was_disabled_stays_so_after_a_restart(world: World) -> None:
    await world.registry.disable(OFF)
    again = World(world.book)
    await again.start()
    assert again.registry.disabled("a.b", "1.0.0") == OFF
    await again.registry.stop()


async def test_what_cannot_be_kept_does_not_hold(world: World) -> None:
    world.book.away = True
    with pytest.raises(StateUnavailable):
        await world.registry.disable(OFF)
    assert world.registry.live_versions("a.b") == ("1.0.0", "1.1.0")


async def test_one_version_cannot_be_enabled_while_all_are_disabled(world: World) -> None:
    await world.registry.disable(OFF)
    with pytest.raises(Conflict, match=r"enable a\.b without a version"):
        await world.registry.enable("a.b", "1.0.0")


@pytest.fixture
async def beside(world: World) -> AsyncIterator[World]:
    """Another process with the same book."""
    world.book.exclusive = False
    another = World(world.book)
    await another.start()
    yield another
    await another.registry.stop()


async def test_what_one_process_switches_the_others_learn(world: World, beside: World) -> None:
    await world.registry.disable(OFF)
    world.registry.quarantine(POISON_1)
    await wait_until(lambda: len(world.book.switched) == 2)
    await beside.clock.advance(FOLLOW_S)
    assert beside.registry.switches("a.b") == (OFF, POISON_1)
    assert beside.changes[-1].modules_changed == {"a.b"}
    await world.registry.enable("a.b")
    await beside.clock.advance(FOLLOW_S)
    assert beside.registry.switches("a.b") == ()
    assert {change.enabled for change in beside.changes[-2:]} == {("a.b", "*"), ("a.b", "1.0.0")}


async def test_what_is_not_kept_yet_is_not_lost_by_learning(beside: World) -> None:
    beside.book.away = True
    beside.registry.quarantine(POISON_1)
    await beside.clock.advance(FOLLOW_S)
    assert beside.registry.quarantined() == {("a.b", "1.0.0")}
    await beside.registry.enable("a.b", "1.0.0")
    await beside.clock.advance(FOLLOW_S)
    assert beside.registry.quarantined() == frozenset()


async def test_a_book_that_cannot_be_read_leaves_what_is_known(beside: World) -> None:
    await beside.registry.disable(OFF)
    beside.book.switches = unreadable  # type: ignore[method-assign]
    await beside.clock.advance(FOLLOW_S)
    assert beside.registry.switches("a.b") == (OFF,)


async def unreadable() -> Sequence[ModuleSwitch]:
    raise StateUnavailable("the database is away")


def test_enabling_a_module_enables_all_of_its_versions() -> None:
    switches = Switches([OFF, OFF_1, ModuleSwitch("c.d", "*", "ana", 1.0)])
    switches.remove("a.b", "*")
    assert (switches.of("a.b", "1.0.0"), switches.all_of("a.b")) == (None, ())
    assert switches.of("c.d", "1.0.0") is not None


async def test_a_quarantine_holds_at_once_and_is_kept(world: World) -> None:
    assert world.registry.quarantine(POISON_1)
    assert world.registry.live_versions("a.b") == ("1.1.0",)
    assert world.registry.quarantined() == {("a.b", "1.0.0")}
    assert world.changes[-1].modules_changed == {"a.b"}
    await wait_until(lambda: world.book.switched == {("a.b", "1.0.0"): POISON_1})
    assert not world.registry.quarantine(POISON_1)


async def test_a_quarantine_that_cannot_be_kept_holds_and_is_kept_when_the_book_is_back(world: World) -> None:
    world.book.away = True
    world.registry.quarantine(POISON_1)
    assert world.registry.disabled("a.b", "1.0.0") == POISON_1
    await world.clock.advance(0.1)
    world.book.away = False
    await world.clock.advance(1.0)
    assert world.book.switched == {("a.b", "1.0.0"): POISON_1}


async def test_what_a_person_has_said_of_a_version_stays(world: World) -> None:
    await world.registry.disable(OFF_1)
    assert not world.registry.quarantine(POISON_1)
    assert world.registry.disabled("a.b", "1.0.0") == OFF_1


async def test_a_quarantine_that_was_lifted_before_it_was_kept_is_not_kept(world: World) -> None:
    world.registry.quarantine(POISON_1)
    await world.registry.enable("a.b", "1.0.0")
    assert world.changes[-1].enabled == ("a.b", "1.0.0")
    again = World(world.book)
    await again.start()
    assert again.registry.quarantined() == frozenset()
    await again.registry.stop()
