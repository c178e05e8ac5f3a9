"""What a plan says, for whoever asks: of a flow before it runs, with all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from gateway import inputs
from gateway.bodies import read_json, read_model
from gateway.errors import BadRequest
from gateway.flows import Checked, Flows
from gateway.planning import Planning, places_of, reported
from gateway.problems import as_documents
from gateway.saved_flows import SavedFlows
from plugmesh.contracts.flow import Flow
from plugmesh.contracts.module import ModuleContract
from plugmesh.flows.problem import Problem, merge
from plugmesh.flows.substitute import Scope, resolve_inputs_and_params
from plugmesh.planner.conditions import condition_text
from plugmesh.planner.flow_plan import ColumnProblem, NodePlan
from plugmesh.state.store import State

WAIT_S = 5.0
"""So long answers of modules are waited for: somebody wants to know."""


class ExplainRequest(BaseModel):
    """`POST /flows:explain`. `flow`, `inputs` and `params` are those of a run; what is not given is not known, and then
    counts as "all columns"."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"flow": {"ref": "sales/report@3"}, "inputs": {"orders": {"file": "orders.csv"}}}]
        },
    )

    flow: dict[str, Any] | str
    inputs: dict[str, Any] = Field(default_factory=dict)
    params: dict[str, JsonValue] = Field(default_factory=dict)


class Explain:
    """Explains flows, and checks their columns."""

    def __init__(self, state: State, *, flows: Flows, saved: SavedFlows, planning: Planning) -> None:
        self._state, self._flows, self._saved, self._planning = state, flows, saved, planning

    async def explain(self, body: bytes) -> dict[str, Any]:
        """The plan of a flow, node by node, and everything that is wrong with it.

        Raises `BadRequest`, `NotFound` (a saved flow), and `FlowInvalid` for inputs and params that the flow does not have.
        """
        request = read_model(ExplainRequest, read_json(body))
        checked, source = await self._flow(request)
        flow = checked.flow
        if flow is None:
            return {**_verdict(None, checked.problems, checked.warnings), "nodes": []}
        scope = await self._scope(flow, request)
        found = await self._planning.find(flow, scope, WAIT_S)
        problems = _columns(checked.problems, found.problems, source)
        nodes = [node_document(name, node.module, found.nodes[name]) for name, node in flow.nodes.items()]
        return {**_verdict(flow, problems, checked.warnings), "nodes": nodes}

    async def validate(self, source: Any, *, strict: bool = False) -> dict[str, Any]:
        """Every problem and warning of a flow; modules that plan themselves are asked about its columns."""
        checked = await self._flows.check(source, strict=strict)
        flow, problems = checked.flow, checked.problems
        if flow is not None and _asks(self._planning.contracts(flow).values()):
            found = await self._planning.find(flow, Scope())
            problems = _columns(problems, found.problems, source)
        return _verdict(flow, problems, checked.warnings)

    async def _flow(self, request: ExplainRequest) -> tuple[Checked, Any]:
        """The flow, and the text that it was written in, if that is known."""
        source = request.flow
        if isinstance(source, str) or "ref" not in source:
            return await self._flows.check(source, strict=False), source
        if len(source) > 1 or not isinstance(source["ref"], str):
            raise BadRequest('a saved flow is named as {"ref": "NAMESPACE/NAME@3"}, with nothing beside it')
        flow, _ = await self._saved.find(source["ref"])
        return self._flows.accept_flow(flow, strict=False), None

    async def _scope(self, flow: Flow, request: ExplainRequest) -> Scope:
        """What is known of a run: inputs and params that were given, and defaults."""
        given = await inputs.resolve(self._state, flow.namespace, request.inputs) if request.inputs else {}
        known = {
            "inputs": {name: one for name, one in flow.inputs.items() if name in given},
            "params": {name: one for name, one in flow.params.items() if name in request.params or not one.required},
        }
        resolved = resolve_inputs_and_params(flow.model_copy(update=known), given, request.params)
        return Scope(resolved.inputs, resolved.params)


def node_document(name: str, module: str, plan: NodePlan) -> dict[str, Any]:
    """One node of a plan."""
    contract = plan.contract
    return {
        "node": name,
        "module": module if contract is None else contract.ref,
        "kind": None if contract is None else contract.kind.value,
        "inputs": [
            {"port": port, "columns": _columns_of(schema), "reads": plan.reads.get(port), "needs": plan.needs.get(port)}
            for port, schema in plan.inputs.items()
        ],
        "outputs": [
            {"port": port, "columns": _columns_of(schema), "wanted": plan.wanted.get(port)}
            for port, schema in plan.outputs.items()
        ],
        "filters": [] if plan.inputs else [condition_text(one) for some in plan.filters.values() for one in some],
        "exact": plan.exact,
        "unknown": list(plan.unknown),
    }


def _columns_of(schema: Mapping[str, str] | None) -> list[dict[str, str]] | None:
    return None if schema is None else [{"name": name, "type": kind} for name, kind in schema.items()]


def _asks(contracts: Iterable[ModuleContract]) -> bool:
    return any(contract.has_plan for contract in contracts)


def _columns(known: tuple[Problem, ...], found: Iterable[ColumnProblem], source: Any) -> tuple[Problem, ...]:
    """The problems of a flow with those of its columns that were not known yet."""
    told = {(problem.path, problem.message) for problem in known}
    new = [one for one in found if (one.path, one.message) not in told]
    return merge(known, reported(new, places_of(source))) if new else known


def _verdict(flow: Flow | None, problems: tuple[Problem, ...], warnings: tuple[Problem, ...]) -> dict[str, Any]:
    valid = flow is not None and not problems
    return {
        "valid": valid,
        "flow": f"{flow.namespace}/{flow.name}" if valid and flow is not None else None,
        "problems": as_documents(problems),
        "warnings": as_documents(warnings),
    }
