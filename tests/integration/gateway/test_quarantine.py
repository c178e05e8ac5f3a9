"""What the gateway tells of a module version that the mesh has quarantined, and how a person lifts it."""

from __future__ import annotations

from plugmesh.state.convictions import convictions
from plugmesh.state.modules import ModuleSwitch
from plugmesh.state.records import Conviction
from tests.integration.gateway.house import FLOW, House, contract_of
from tests.waiting import wait_until

URL = "/api/v1/modules/table.make"
POISON = ModuleSwitch("table.make", "1.1.0", "mesh", 7.0, "3 runs ended its process", "quarantined")


async def poisoned(house: House) -> None:
    """Two versions, of which the newer one is in quarantine."""
    for number, version in enumerate(("1.0.0", "1.1.0")):
        await house.plug_in(contract_of(version=version), f"i-{number}")
    death = Conviction("table.make", "1.1.0", "r-1", "only", 2, "signal SIGSEGV", "Fatal Python error", 7.0)
    await house.intake.commit("r-1", convictions=[death])
    house.registry.quarantine(POISON)


async def test_a_person_sees_why_since_when_and_which_steps_did_it(house: House) -> None:
    await poisoned(house)
    found = (await house.client.get(URL)).json()
    (switch,) = found["disabled"]
    assert (switch["version"], switch["kind"], switch["actor"], switch["at"]) == ("1.1.0", "quarantined", "mesh", 7.0)
    (death,) = found["convictions"]
    assert (death["version"], death["run"], death["step"], death["epoch"]) == ("1.1.0", "r-1", "only", 2)
    assert (death["reason"], death["trace"]) == ("signal SIGSEGV", "Fatal Python error")
    assert (found["contract"]["version"], found["live_versions"], found["instances"]) == ("1.1.0", ["1.0.0"], [])
    (listed,) = (await house.client.get("/api/v1/modules")).json()["modules"]
    assert listed["disabled"] == [switch]


async def test_lifting_it_forgets_what_led_to_it(house: House) -> None:
    await poisoned(house)
    await wait_until(house.state.switches)
    answer = await house.client.post(f"{URL}/enable", json={"version": "1.1.0"})
    assert (answer.json()["disabled"], answer.json()["live_versions"]) == ([], ["1.0.0", "1.1.0"])
    assert (await house.state.switches(), await house.state.read(convictions)) == ([], [])
    assert (await house.client.get(URL)).json()["convictions"] == []


async def warned(house: House, module: str, **flow: str) -> list[str]:
    flow_of = {**FLOW, "nodes": {"only": {"module": module}}, **flow}
    found = (await house.client.post("/api/v1/validate", json=flow_of)).json()
    assert found["valid"]
    return [warning["message"] for warning in found["warnings"]]


async def test_a_flow_that_would_choose_the_version_is_valid_with_a_warning(house: House) -> None:
    await poisoned(house)
    waits = "table.make is quarantined: 3 runs ended its process; its step will be parked until it is enabled"
    assert await warned(house, "table.make") == [waits]
    assert await warned(house, "table.make", quarantine="previous") == []
    assert await warned(house, "table.make@1.0.0") == []
    (only,) = await warned(house, "table.make@1.1.0", quarantine="previous")
    assert "quarantined" in only
