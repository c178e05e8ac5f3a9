"""What the gateway tells about modules, and what it lets a person decide about them."""

from __future__ import annotations

from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.module import InputPort, Limits, ModuleContract, OutputPort, Traits
from plugmesh.contracts.run import Submission
from tests.integration.gateway.house import FLOW, House, contract_of

DOCUMENTED = ModuleContract(
    name="orders.price_total",
    version="1.2.0",
    title="Price total",
    doc="Adds the total price of each order line.",
    inputs=(InputPort(name="orders", columns={"price": "float64"}, doc="One line each"),),
    outputs=(OutputPort(name="priced", columns={"total": "float64"}, passes="orders"),),
    params={"type": "object", "properties": {"tax": {"type": "number", "default": 0.2, "description": "a | b"}}},
    traits=Traits(rows="same", rowwise=True, deterministic=False),
    limits=Limits(memory_bytes=1_000_000),
)


async def test_versions_are_listed_newest_first(house: House) -> None:
    await house.plug_in(contract_of())
    await house.plug_in(contract_of(version="1.1.0"), "i-2")
    await house.hub.directory.deregister("i-1")
    found = (await house.client.get("/api/v1/modules/table.make/versions")).json()
    assert [(one["version"], one["served"], one["instances"]) for one in found["versions"]] == [
        ("1.1.0", True, ["i-2"]),
        ("1.0.0", False, []),
    ]


async def test_the_contract_of_a_version_is_what_its_instances_registered(house: House) -> None:
    await house.plug_in(DOCUMENTED)
    found = await house.client.get("/api/v1/modules/orders.price_total/versions/1.2.0")
    assert ModuleContract.model_validate_json(found.content) == DOCUMENTED
    missing = await house.client.get("/api/v1/modules/orders.price_total/versions/9.9.9")
    assert (missing.status_code, missing.json()["args"]["kind"]) == (404, "module")


async def test_the_docs_are_made_from_the_contract(house: House) -> None:
    await house.plug_in(DOCUMENTED)
    page = await house.client.get("/api/v1/modules/orders.price_total/docs")
    assert page.headers["content-type"].startswith("text/markdown")
    for line in (
        "# Price total",
        "Adds the total price of each order line.",
        "| `orders` | table | `price` (float64), all other columns | One line each |",
        "| `priced` | table | `total` (float64), the other columns of `orders` | |",
        "| `tax` | number | `0.2` | a \\| b |",
        "- **rowwise**: each row is computed alone",
        "- **not deterministic**",
        "- `memory_bytes`: 1,000,000",
    ):
        assert line in page.text.replace("|  |", "| |")


async def test_a_disabled_module_is_marked_and_can_be_enabled(house: House) -> None:
    await house.plug_in(contract_of())
    url = "/api/v1/modules/table.make"
    answer = await house.client.post(f"{url}/disable", json={"reason": "it loses rows"})
    (switch,) = answer.json()["disabled"]
    assert (answer.status_code, switch["version"], switch["actor"]) == (200, "*", "local")
    (listed,) = (await house.client.get("/api/v1/modules")).json()["modules"]
    assert (listed["live"], listed["disabled"]) == (0, [switch])
    enabled = await house.client.post(f"{url}/enable")
    assert (enabled.json()["disabled"], enabled.json()["live"]) == ([], 1)


async def test_one_version_can_be_disabled(house: House) -> None:
    await house.plug_in(contract_of())
    await house.plug_in(contract_of(version="1.1.0"), "i-2")
    await house.client.post("/api/v1/modules/table.make/disable", json={"version": "1.1.0"})
    found = (await house.client.get("/api/v1/modules/table.make")).json()
    assert (found["contract"]["version"], found["live_versions"]) == ("1.0.0", ["1.0.0"])
    versions = (await house.client.get("/api/v1/modules/table.make/versions")).json()["versions"]
    assert [one["disabled"] is not None for one in versions] == [True, False]


async def test_only_what_is_known_can_be_disabled(house: House) -> None:
    await house.plug_in(contract_of())
    unknown = await house.client.post("/api/v1/modules/table.mkae/disable")
    assert (unknown.status_code, "table.make" in unknown.json()["detail"]) == (404, True)
    version = await house.client.post("/api/v1/modules/table.make/disable", json={"version": "3.0.0"})
    assert (version.status_code, "there are 1.0.0" in version.json()["detail"]) == (404, True)
    field = await house.client.post("/api/v1/modules/table.make/disable", json={"raeson": "x"})
    assert (field.status_code, "reason" in field.json()["detail"]) == (422, True)


async def test_a_flow_with_a_disabled_module_is_valid_with_a_warning(house: House) -> None:
    await house.plug_in(contract_of())
    await house.client.post("/api/v1/modules/table.make/disable", json={"reason": "it loses rows"})
    found = (await house.client.post("/api/v1/validate", json=FLOW)).json()
    assert (found["valid"], [warning["code"] for warning in found["warnings"]]) == (True, ["module-disabled"])
    assert "disabled by local: it loses rows" in found["warnings"][0]["message"]
    strict = (await house.client.post("/api/v1/validate?strict=true", json=FLOW)).json()
    assert strict["valid"] is False
    await house.client.post("/api/v1/modules/table.make/enable")
    assert (await house.client.post("/api/v1/validate", json=FLOW)).json()["warnings"] == []


async def test_the_users_of_a_module_are_its_open_runs(house: House) -> None:
    await house.plug_in(contract_of())
    await house.plug_in(contract_of("table.maker"), "i-2")
    open_run, ended = await house.submit(), await house.submit()
    await house.intake.advance(ended, "succeeded")
    other = Flow(name="other", nodes={"a": Node(module="table.maker", params={"text": "table.make"})})
    await house.intake.submit(Submission(run="run-other", flow=other))
    users = (await house.client.get("/api/v1/modules/table.make/users")).json()
    assert [(run["id"], run["modules"]) for run in users["runs"]] == [(open_run, ["table.make"])]
    assert (users["flows"], users["whole"]) == ([], True)


async def test_the_list_of_users_is_bounded_and_says_so(house: House) -> None:
    await house.plug_in(contract_of())
    for _ in range(3):
        newest = await house.submit()
    users = (await house.client.get("/api/v1/modules/table.make/users?limit=1")).json()
    assert ([run["id"] for run in users["runs"]], users["whole"]) == ([newest], False)
