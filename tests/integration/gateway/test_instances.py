"""What the gateway tells about one instance, and what it can ask of it."""

from __future__ import annotations

from plugmesh.contracts.instance import Beat, dispatch_partition
from plugmesh.contracts.messages import DISPATCH, Drain, SetSlots, decode_dispatch
from plugmesh.hub.directory import Seat
from tests.integration.gateway.house import House, contract_of
from tests.waiting import wait_until


def told(house: House, instance: str = "i-1") -> list[object]:
    """What an instance hears from now on."""
    heard: list[object] = []
    partition = dispatch_partition(instance)
    house.bus.subscribe(
        DISPATCH, (partition,), lambda delivery: heard.extend(decode_dispatch(one) for one in delivery.messages)
    )
    return heard


async def test_an_instance_shows_what_it_offers_and_holds(house: House) -> None:
    await house.plug_in(contract_of())
    await house.hub.directory.beat(Beat(instance="i-1", running=1, held=("run-1/a.b/2", "nonsense")))
    found = (await house.client.get("/api/v1/instances/i-1")).json()
    assert (found["host"], found["slots"], found["running"], found["load"]) == ("here", 2, 1, 0.5)
    assert found["held"] == [{"run": "run-1", "step": "a.b", "epoch": 2}]
    (offer,) = found["offers"]
    assert (offer["module"], offer["version"], offer["usable"], offer["refused"]) == ("table.make", "1.0.0", True, None)


async def test_a_disabled_module_shows_at_its_instances(house: House) -> None:
    await house.plug_in(contract_of())
    await house.client.post("/api/v1/modules/table.make/disable")
    (offer,) = (await house.client.get("/api/v1/instances/i-1")).json()["offers"]
    assert (offer["usable"], offer["disabled"]) == (True, True)


async def test_an_instance_is_told_to_drain(house: House) -> None:
    await house.plug_in(contract_of())
    heard = told(house)
    answer = await house.client.post("/api/v1/instances/i-1/drain", json={"within_s": 5})
    assert (answer.status_code, answer.json()["id"]) == (202, "i-1")
    await wait_until(lambda: heard)
    assert heard == [Drain(instance="i-1", actor="local", within_s=5)]
    assert (await house.client.post("/api/v1/instances/i-1/drain")).status_code == 202


async def test_the_number_of_slots_is_changed(house: House) -> None:
    await house.plug_in(contract_of())
    heard = told(house)
    answer = await house.client.patch("/api/v1/instances/i-1", json={"slots": 7})
    assert answer.status_code == 202
    await wait_until(lambda: heard)
    assert heard == [SetSlots(instance="i-1", slots=7, actor="local")]


async def test_slots_must_be_a_possible_number(house: House) -> None:
    await house.plug_in(contract_of())
    for slots in (0, 1025, "3", 1.5, None):
        answer = await house.client.patch("/api/v1/instances/i-1", json={"slots": slots})
        assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")


async def test_an_instance_that_is_not_there_cannot_be_told(house: House) -> None:
    await house.plug_in(contract_of())
    unknown = await house.client.post("/api/v1/instances/i-2/drain")
    assert (unknown.status_code, "i-1" in unknown.json()["detail"]) == (404, True)
    seat = Seat()
    house.hub.directory.enter(house.registry.members()["i-1"].registration, seat)
    house.hub.directory.lost(seat)
    gone = await house.client.patch("/api/v1/instances/i-1", json={"slots": 3})
    assert (gone.status_code, "not connected" in gone.json()["detail"]) == (409, True)
