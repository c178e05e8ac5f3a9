"""Flows of 10,000 nodes, deep and wide: no recursion, and no work that grows with the square of the nodes.

Operations are counted instead of seconds: a quadratic step would make the limit of the test run overflow, not flake.
"""

from typing import Any

import pytest

from plugmesh.contracts.flow import Flow
from plugmesh.flows.parse import parse_flow_document, parse_flow_text
from plugmesh.flows.validate import check
from tests.unit.flows.known import builtin_like

MANY = 10_000


def _document(shape: str) -> dict[str, Any]:
    nodes: dict[str, Any] = {"n0": {"module": "io.read", "params": {"file": {}}}}
    for number in range(1, MANY):
        before = f"n{number - 1}" if shape == "deep" else "n0"
        nodes[f"n{number}"] = {"module": "table.filter", "in": before, "params": {"where": "x > 1"}}
    return {"flow": "large", "nodes": nodes}


@pytest.mark.parametrize("shape", ["deep", "wide"])
def test_a_large_flow_has_no_problems_and_survives_json(shape: str) -> None:
    parsed = parse_flow_document(_document(shape))
    assert check(parsed, builtin_like(), live=True) == ()
    assert parsed.flow is not None
    assert len(parsed.flow.nodes) == MANY
    assert Flow.model_validate_json(parsed.flow.model_dump_json()) == parsed.flow


def test_a_large_text_is_read() -> None:
    lines = "".join(f"  n{number}: {{module: table.limit, in: n{number - 1}}}\n" for number in range(1, MANY // 4))
    parsed = parse_flow_text("flow: f\nnodes:\n  n0: {module: io.read, params: {file: {}}}\n" + lines)
    assert parsed.flow is not None
    assert check(parsed, builtin_like(), live=True) == ()


def test_a_cycle_of_ten_thousand_nodes_is_named_shortly() -> None:
    document = _document("deep")
    document["nodes"]["n0"] = {"module": "table.limit", "in": f"n{MANY - 1}"}
    (problem,) = check(parse_flow_document(document), builtin_like(), live=True)
    assert problem.message == ("these nodes wait for each other: n0 → n1 → n2 → n3 → n4 → n5 → … 9994 more … → n0")


def test_thousands_of_small_cycles_are_found() -> None:
    nodes = {f"n{number}": {"module": "u", "in": f"n{number ^ 1}"} for number in range(MANY)}
    problems = check(parse_flow_document({"flow": "f", "nodes": nodes}), builtin_like(), live=False)
    assert problems[0].message == "these nodes wait for each other: n0 → n1 → n0"
    assert problems[-1].message == "and 4800 more problems, not listed"


def test_ten_thousand_typos_do_not_compare_everything_with_everything() -> None:
    nodes = {f"n{number}": {"module": "tabel.limit", "in": f"m{number}"} for number in range(MANY)}
    problems = check(parse_flow_document({"flow": "f", "nodes": nodes}), builtin_like(), live=True)
    assert problems[-1].code == "more-problems"
