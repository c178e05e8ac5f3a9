"""Flows that come in again and again are parsed once; and what is shown of steps."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from gateway.flows import Flows
from gateway.views import pending, step_order, summary
from plugmesh.contracts.module import ModuleContract, OutputPort
from plugmesh.errors import FlowInvalid
from plugmesh.runtime import SystemRuntime

FLOW = {"flow": "one", "nodes": {"a": {"module": "m"}}}


class Known:
    """One module, live or not."""

    def __init__(self) -> None:
        self.live = False
        self.asked = 0

    def names(self) -> Collection[str]:
        return ("m",)

    def find(self, module_reference: str) -> ModuleContract | None:
        self.asked += 1
        return ModuleContract(name="m", outputs=(OutputPort(name="out"),))

    def is_live(self, module_reference: str) -> bool:
        return self.live

    def versions(self, name: str) -> Collection[str]:
        return ("0.1.0",)

    def disabled(self, module_reference: str) -> str:
        return ""

    def quarantined(self, module_reference: str) -> str:
        return ""


@pytest.fixture
def known() -> Known:
    return Known()


@pytest.fixture
def flows(known: Known) -> Flows:
    return Flows(SystemRuntime(), known, kept=2)


async def test_an_equal_flow_is_not_checked_again_until_modules_change(flows: Flows, known: Known) -> None:
    first = await flows.accept(FLOW, strict=False)
    asked = known.asked
    assert await flows.accept({"flow": "one", "nodes": {"a": {"module": "m"}}}, strict=False) is first
    assert known.asked == asked
    assert [warning.code for warning in first.warnings] == ["no-instance"]
    known.live = True
    flows.forget()
    assert (await flows.accept(FLOW, strict=False)).warnings == ()


async def test_strict_and_lenient_answers_are_kept_apart(flows: Flows) -> None:
    assert (await flows.check(FLOW, strict=False)).flow is not None
    assert (await flows.check(FLOW, strict=True)).flow is None
    assert (await flows.check(FLOW, strict=False)).flow is not None


async def test_only_the_newest_are_kept(flows: Flows) -> None:
    first = await flows.accept(FLOW, strict=False)
    for number in range(2):
        await flows.accept({**FLOW, "flow": f"other{number}"}, strict=False)
    assert await flows.accept(FLOW, strict=False) is not first


async def test_text_as_bytes_and_as_a_string_mean_the_same(flows: Flows) -> None:
    text = "flow: one\nnodes:\n  a: {module: m}\n"
    found = [await flows.accept(source, strict=False) for source in (text, text.encode(), FLOW)]
    assert found[0].flow == found[1].flow == found[2].flow


async def test_a_large_flow_with_problems_names_the_first_few_and_lists_all(flows: Flows) -> None:
    nodes = {f"n{number}": {"module": "m", "extra": 1} for number in range(2000)}
    with pytest.raises(FlowInvalid, match=r"problems: .*…") as caught:
        await flows.accept({"flow": "one", "nodes": nodes}, strict=False)
    assert len(caught.value.problems) > 100


def test_steps_are_in_the_order_of_the_flow_and_elements_by_number() -> None:
    nodes = {"z": 0, "a": 1}
    steps = ["a.10", "a.2", "z", "a", "unknown", "a.x"]
    assert sorted(steps, key=lambda step: step_order(nodes, step)) == ["z", "a", "a.x", "a.2", "a.10", "unknown"]


def test_a_pending_step_has_no_past() -> None:
    step = pending("a")
    assert (step["id"], step["state"], step["outputs"], step["error"]) == ("a", "pending", {}, None)


def test_a_reference_is_summed_up() -> None:
    columns = [
        {"name": "a", "offset": 0, "length": 10, "hash": ""},
        {"name": "b", "offset": 10, "length": 5, "hash": ""},
    ]
    fragment = {"rows": 2, "groups": [{"key": "k", "columns": columns}]}
    table = {"kind": "table", "schema_ipc": "", "rows": 4, "fragments": [fragment, fragment]}
    assert summary(table) == {"kind": "table", "rows": 4, "bytes": 30}
    assert summary({"kind": "spilled", "of": "table", "rows": 9, "key": "k", "bytes": 1, "hash": ""}) == {
        "kind": "table",
        "rows": 9,
    }
