"""Short ways to parse and check in a test."""

from typing import Any

from plugmesh.contracts.flow import Flow
from plugmesh.flows.parse import parse_flow_document, parse_flow_text
from plugmesh.flows.problem import Problem
from plugmesh.flows.validate import ContractView, check
from tests.unit.flows.known import builtin_like


def parsed(text: str) -> Flow:
    """The flow in `text`, which has no problems."""
    result = parse_flow_text(text)
    assert result.problems == ()
    assert result.flow is not None
    return result.flow


def parsed_nodes(**nodes: Any) -> Flow:
    """A flow of these nodes."""
    result = parse_flow_document({"flow": "f", "nodes": nodes})
    assert result.problems == ()
    assert result.flow is not None
    return result.flow


def messages(text: str) -> list[str]:
    """What parsing alone says."""
    return [str(problem) for problem in parse_flow_text(text).problems]


def one(text: str) -> str:
    """The only thing that parsing says."""
    (message,) = messages(text)
    return message


def checked(text: str, contracts: ContractView | None = None, **options: bool) -> list[Problem]:
    """Every problem of every level."""
    view = contracts or builtin_like()
    return list(check(parse_flow_text(text), view, live=options.get("live", True), strict=options.get("strict", False)))


def checked_nodes(nodes: str, contracts: ContractView | None = None, **options: bool) -> list[str]:
    """Every problem of a flow with these nodes, one a line, as `code: message (hint)`."""
    lines = "\n".join(f"  {line}" for line in nodes.strip().splitlines())
    found = checked(f"flow: f\nnodes:\n{lines}\n", contracts, **options)
    return [f"{problem.code}: {problem.message}" + (f" ({problem.hint})" if problem.hint else "") for problem in found]
