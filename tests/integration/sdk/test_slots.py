"""What operators ask of an instance by message: another number of slots, and to drain."""

from __future__ import annotations

from pathlib import Path

from plugmesh.contracts.instance import Registration
from plugmesh.contracts.messages import Assign, Drain, Returned, SetSlots
from tests.integration.sdk.conftest import Open
from tests.integration.sdk.house import INSTANCE, House, exists, turns
from tests.integration.sdk.test_supervising import entries
from tests.waiting import wait_until


def registered(house: House) -> Registration | None:
    entry = entries(house).get(INSTANCE)
    return None if entry is None else entry.registration


async def shown(house: House, slots: int) -> None:
    """Wait until the phone book has so many slots."""
    await wait_until(lambda: (found := registered(house)) is not None and found.slots == slots)


async def waiter(house: House, marker: Path) -> Assign:
    """An attempt that runs until its marker is there."""
    return await house.assign("t.waits", {"rows": [house.table()]}, params={"marker": str(marker)})


async def test_more_slots_run_what_waits_and_are_shown(house: House, tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    assigns = [await waiter(house, first), await waiter(house, second)]
    await exists(Path(f"{first}.started"))
    assert not Path(f"{second}.started").exists()
    await house.send(SetSlots(instance=INSTANCE, slots=2))
    await exists(Path(f"{second}.started"))
    await shown(house, 2)
    first.touch()
    second.touch()
    for assign in assigns:
        await house.done(assign)


async def test_with_fewer_slots_what_runs_finishes_and_what_waits_beyond_comes_back(
    open_house: Open, tmp_path: Path
) -> None:
    house = await open_house(slots=2, prefetch=2)
    markers = [tmp_path / str(number) for number in range(4)]
    assigns = [await waiter(house, marker) for marker in markers]
    for marker in markers[:2]:
        await exists(Path(f"{marker}.started"))
    await house.send(SetSlots(instance=INSTANCE, slots=1))
    back = await house.result(assigns[3])
    assert isinstance(back, Returned)
    assert back.reason == "busy"
    await shown(house, 1)
    markers[0].touch()
    await house.done(assigns[0])
    await turns()
    assert len(house.supervisor._attempts.running) == 1  # the other one; what waits does not take its place
    markers[1].touch()
    await house.done(assigns[1])
    await exists(Path(f"{markers[2]}.started"))
    markers[2].touch()
    await house.done(assigns[2])


async def test_room_to_wait_comes_back_with_the_slots(open_house: Open) -> None:
    house = await open_house(slots=4, prefetch=2)
    for slots in (1, 4):
        await house.send(SetSlots(instance=INSTANCE, slots=slots))
        await shown(house, slots)
    found = registered(house)
    assert found is not None
    assert found.prefetch == 2


async def test_a_drain_by_message_names_who_asked_and_ends_the_instance(house: House, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    running = await waiter(house, marker)
    await exists(Path(f"{marker}.started"))
    await house.send(Drain(instance=INSTANCE, actor="ada"))
    await wait_until(lambda: (entry := entries(house).get(INSTANCE)) is not None and entry.draining)
    assert house.notices[-1] == "ada asked this process to drain: what has started is finished first"
    await house.send(SetSlots(instance=INSTANCE, slots=5))  # too late
    marker.touch()
    await house.done(running)
    await house.supervisor.ended.wait()
    assert registered(house) is None


async def test_a_second_drain_can_shorten_the_first(house: House, tmp_path: Path) -> None:
    marker = tmp_path / "m"
    running = await waiter(house, marker)
    await exists(Path(f"{marker}.started"))
    await house.send(Drain(instance=INSTANCE))
    await house.send(Drain(instance=INSTANCE, within_s=0))
    back = await house.result(running)
    assert isinstance(back, Returned)
    assert back.reason == "drained"
    await house.supervisor.ended.wait()
