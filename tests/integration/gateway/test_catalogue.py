"""Modules, instances, validation."""

from __future__ import annotations

from plugmesh.contracts.instance import Beat
from tests.integration.gateway.house import FLOW, House, contract_of
from tests.waiting import wait_until


async def test_a_module_that_was_plugged_in_is_listed(house: House) -> None:
    assert (await house.client.get("/api/v1/modules")).json() == {"modules": [], "not_plugged_in": []}
    await house.plug_in(contract_of(doc="Makes a table."))
    await house.plug_in(contract_of(version="1.1.0"), "i-2")
    (module,) = (await house.client.get("/api/v1/modules")).json()["modules"]
    assert module["name"] == "table.make"
    assert module["versions"] == module["live_versions"] == ["1.0.0", "1.1.0"]
    assert (module["version"], module["live"], module["kind"]) == ("1.1.0", 2, "transform")


async def test_the_catalogue_outlives_instances(house: House) -> None:
    await house.plug_in(contract_of())
    await house.hub.directory.deregister("i-1")
    (module,) = (await house.client.get("/api/v1/modules")).json()["modules"]
    assert (module["live"], module["live_versions"]) == (0, [])
    found = (await house.client.get("/api/v1/modules/table.make")).json()
    assert (found["contract"]["version"], found["instances"]) == ("1.0.0", [])


async def test_a_contract_is_found_by_version(house: House) -> None:
    await house.plug_in(contract_of())
    found = (await house.client.get("/api/v1/modules/table.make?version=1.0.0")).json()
    assert found["digest"] == contract_of().digest
    assert found["instances"] == ["i-1"]
    missing = await house.client.get("/api/v1/modules/table.make?version=9.9.9")
    assert (missing.status_code, "there are 1.0.0" in missing.json()["detail"]) == (404, True)
    unknown = await house.client.get("/api/v1/modules/table.mkae")
    assert (unknown.status_code, "did you mean 'table.make'?" in unknown.json()["detail"]) == (404, True)


async def test_instances_show_what_they_serve_and_what_was_refused(house: House) -> None:
    await house.plug_in(contract_of())
    await house.plug_in(contract_of("other.one"), "i-2")
    contradicting = contract_of(kind="sink")
    offered = contract_of("other.one").model_copy(update={"name": "table.make", "kind": contradicting.kind})
    writer = house.objects.create(f"contracts/{offered.digest.partition(':')[2]}.json")
    writer.write(offered.encode())
    writer.commit()
    (entry,) = [
        entry for name, entry in house.hub.directory._entries.items() if name == "i-2"
    ]  # what it offers from now on
    offer = entry.registration.offers[0].model_copy(update={"name": "table.make", "digest": offered.digest})
    await house.hub.directory.register(entry.registration.model_copy(update={"offers": (offer,)}))
    await house.hub.directory.beat(Beat(instance="i-1", running=1))
    await wait_until(lambda: house.registry.members()["i-2"].refused)
    first, second = (await house.client.get("/api/v1/instances")).json()["instances"]
    assert (first["id"], first["modules"], first["running"]) == ("i-1", ["table.make@1.0.0"], 1)
    assert (first["liveness"], first["slots"], first["host"]) == ("alive", 2, "here")
    assert second["modules"] == []
    assert second["refused"][0]["module"] == "table.make"
    assert "sink" in second["refused"][0]["difference"]


async def test_validation_tells_everything_at_once(house: House) -> None:
    await house.plug_in(contract_of())
    text = b"flow: one\nnodes:\n  a: {module: table.make, after: b}\n  c: {module: nobody.knows}\n"
    answer = await house.client.post("/api/v1/validate", content=text, headers={"content-type": "application/yaml"})
    found = answer.json()
    assert (answer.status_code, found["valid"], found["flow"]) == (200, False, None)
    assert [(problem["line"], problem["severity"]) for problem in found["problems"]] == [(3, "error")]
    assert [(warning["line"], warning["code"]) for warning in found["warnings"]] == [(4, "unknown-module")]


async def test_a_correct_flow_is_valid(house: House) -> None:
    await house.plug_in(contract_of())
    found = (await house.client.post("/api/v1/validate", json=FLOW)).json()
    assert found == {"valid": True, "flow": "checks/one", "problems": [], "warnings": []}


async def test_validation_is_told_what_the_body_is(house: House) -> None:
    answer = await house.client.post("/api/v1/validate", content=b"flow: x", headers={"content-type": "text/plain"})
    assert (answer.status_code, "application/yaml" in answer.json()["detail"]) == (415, True)


async def test_yaml_that_is_nested_without_end_is_a_problem(house: House) -> None:
    for text in (b"[" * 100_000, b"a: " + b"{a: " * 50_000):
        answer = await house.client.post("/api/v1/validate", content=text, headers={"content-type": "application/yaml"})
        assert (answer.status_code, answer.json()["valid"]) == (200, False)
