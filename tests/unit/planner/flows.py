"""Small flows and contracts for the planner's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plugmesh.contracts.flow import Flow, Node, Source
from plugmesh.contracts.module import InputPort, ModuleContract, ModuleKind, OutputPort, Traits
from plugmesh.contracts.plan import PlanAnswer, PlanQuestion
from plugmesh.flows.substitute import Scope
from plugmesh.planner.flow_plan import FlowPlan, Schema
from plugmesh.planner.params import params_of
from plugmesh.planner.plan import no_answers, plan

COLUMN = {"type": "string", "x-mesh": "column"}
COLUMNS = {"type": "array", "x-mesh": "columns", "items": {"type": "string"}}
EXPRESSION = {"type": "string", "x-mesh": "expression"}


def params(**properties: Any) -> dict[str, Any]:
    """A schema of params."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def source(name: str = "src", **columns: str) -> ModuleContract:
    """A source; without columns its schema is not known."""
    out = OutputPort(name="out", columns=columns, open=not columns)
    return ModuleContract(name=name, kind=ModuleKind.SOURCE, outputs=(out,))


def sink(**columns: str) -> ModuleContract:
    """A sink that reads these columns, or all."""
    port = InputPort(name="table", columns=columns, rest=not columns)
    return ModuleContract(name="sink", kind=ModuleKind.SINK, inputs=(port,))


def adding(reads: Mapping[str, str], makes: Mapping[str, str], drops: tuple[str, ...] = ()) -> ModuleContract:
    """A module that adds columns to those that pass."""
    return ModuleContract(
        name="adding",
        inputs=(InputPort(name="table", columns=dict(reads), rest=False),),
        outputs=(OutputPort(name="out", columns=dict(makes), passes="table", drops=drops, open=False),),
        traits=Traits(rows="same"),
    )


def filtering(rest: bool = False) -> ModuleContract:
    """A module that keeps the rows for which its param `where` is true."""
    return ModuleContract(
        name="filtering",
        inputs=(InputPort(name="table", rest=rest),),
        outputs=(OutputPort(name="out", passes="table", open=False),),
        params=params(where=EXPRESSION),
        traits=Traits(rowwise=True, filters="where"),
    )


def node(contract: ModuleContract | str, *sources: str, **fields: Any) -> Node:
    """A node; a source is `node` or `node.port`."""
    module = contract if isinstance(contract, str) else contract.name
    edges = tuple(_edge(text) for text in sources)
    inputs = {} if not edges else {"": edges}
    return Node(module=module, **{"inputs": inputs, **fields})


def _edge(text: str) -> Source:
    name, _, port = text.partition(".")
    return Source(node=name, port=port or None)


def planned(
    nodes: Mapping[str, tuple[ModuleContract | None, Node]],
    outputs: Mapping[str, str] | None = None,
    sources: Mapping[str, Schema] | None = None,
    answers: Mapping[str, PlanAnswer] | None = None,
    scope: Scope | None = None,
) -> FlowPlan:
    """The plan of a flow of these nodes; answers are by the name of the module."""
    flow = Flow(
        name="flow",
        nodes={name: one for name, (_, one) in nodes.items()},
        outputs={name: _edge(text) for name, text in (outputs or {}).items()},
    )
    contracts = {name: contract for name, (contract, _) in nodes.items() if contract is not None}

    def answered(question: PlanQuestion) -> PlanAnswer | None:
        return (answers or {}).get(question.module)

    told = no_answers if answers is None else answered
    return plan(flow, contracts, params_of(flow, scope or Scope()), sources, told)
