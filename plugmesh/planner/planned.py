"""A plan on its way through a run: what is stored of it, what of an earlier run it can use, and whom it does not fit. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from plugmesh.contracts.module import InputPort, ModuleContract, PortKind
from plugmesh.contracts.plan import Planned, PlannedNode
from plugmesh.errors import PlanOutdated
from plugmesh.planner.flow_plan import FlowPlan, Names, NodePlan, Schema, Unknown
from plugmesh.planner.params import NamingParams
from plugmesh.planner.problems import columns_in
from plugmesh.planner.rules import Rules

NODE_CHARACTERS = 8 * 1024
"""Names in the plan of one node: it travels in messages of 64 KiB. One with more is handed everything, and gives everything."""
RUN_CHARACTERS = 64 * 1024
"""The same for all nodes of a run: it is read with the run's row."""

Binds = Mapping[str, Mapping[str, str]]


def planned_of(found: FlowPlan, binds: Binds) -> Planned | None:
    """What a run keeps of its plan; `None` if nothing can be left out. `binds` are those of the nodes."""
    nodes: dict[str, PlannedNode] = {}
    left = RUN_CHARACTERS
    for name, plan in found.nodes.items():
        one = None if plan.contract is None else _node(plan, plan.contract, binds.get(name, {}))
        size = 0 if one is None else _characters(one)
        if one is not None and size <= min(left, NODE_CHARACTERS):
            left -= size
            nodes[name] = one
        elif one is not None and plan.inputs and plan.contract is not None and plan.contract.has_plan:
            # Something may still be left out before it: it has to know, where its params name more than there is.
            nodes[name] = PlannedNode(version=plan.contract.version, columns={})
    return Planned(nodes=nodes) if nodes else None


def _node(plan: NodePlan, contract: ModuleContract, bind: Mapping[str, str]) -> PlannedNode | None:
    wanted = {
        port: _both(names, bind)
        for port, names in plan.wanted.items()
        if names is not None and _is_less(names, plan.outputs.get(port))
    }
    needs = {
        port: names
        for port, names in plan.needs.items()
        if names is not None and _is_less(names, plan.inputs.get(port))
    }
    filters = {} if plan.inputs else dict(plan.filters)
    if not (wanted or needs or filters or plan.columns):
        return None
    return PlannedNode(
        version=contract.version,
        needs=needs,
        columns=dict(plan.columns) or None,
        wanted=wanted or None,
        filters=filters or None,
        widths={port: len(schema) for port in wanted if (schema := plan.outputs.get(port)) is not None},
    )


def _is_less(names: Names, schema: Schema | None) -> bool:
    return schema is None or len(names) < len(schema)


def _both(names: Names, bind: Mapping[str, str]) -> Names:
    """The names of the flow, and those that the module has for them."""
    return (*names, *(ours for ours, theirs in bind.items() if theirs in names and ours not in names))


def _characters(one: PlannedNode) -> int:
    lists: list[Iterable[Names]] = [one.needs.values(), (one.columns or {}).values(), (one.wanted or {}).values()]
    return sum(len(name) + 3 for several in lists for names in several for name in names)


# -- another version than was planned with ---------------------------------------------------------------------------


def check_covered(node: str, one: PlannedNode, contract: ModuleContract, params: Mapping[str, Any]) -> None:
    """Raises `PlanOutdated` if this version of the module reads a column that the run's plan left out."""
    if contract.version == one.version:
        return
    rules = Rules(contract, params)
    for port in contract.inputs:
        there = one.needs.get(port.name)
        if there is None or port.kind is not PortKind.TABLE:
            continue
        lacking = _lacking(rules, port, there)
        if lacking is not None:
            raise PlanOutdated(
                f"node {node!r}: {contract.ref} reads {lacking} of {port.name!r}, but the run was planned with "
                f"{contract.name}@{one.version}, which does not, so it was left out before: run it again, the rerun is "
                f"planned with the version that is there then, or name {contract.name}@{one.version} in the flow"
            )


def _lacking(rules: Rules, port: InputPort, there: Names) -> str | None:
    """What a module certainly reads beyond the columns that are there."""
    if port.rest:
        return "all columns"
    known = _folded(there)
    names = [*rules.declared(port), *_named(rules.naming, port.name, rules.params)]
    return next((f"column {name!r}" for name in names if name.casefold() not in known), None)


def _named(naming: NamingParams, port: str, params: Mapping[str, Any]) -> Iterable[str]:
    for param, marks in naming.of(port):
        value = naming.value(param, params)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, Unknown) or not isinstance(text, str):
                continue
            yield from [text] if "column" in marks else columns_in(text)


# -- what an earlier run has -----------------------------------------------------------------------------------------


def covers(old: PlannedNode | None, new: PlannedNode | None) -> bool:
    """Whether the outputs of a step of an earlier run, made by the plan `old`, have all that the plan `new` wants."""
    if old is None:
        return True
    for port, had in (old.wanted or {}).items():
        wanted = None if new is None else (new.wanted or {}).get(port)
        if wanted is None or not _folded(wanted) <= _folded(had):
            return False
    for port, conditions in (old.filters or {}).items():
        now = () if new is None else (new.filters or {}).get(port, ())
        if any(condition not in now for condition in conditions):
            return False
    return True


def taken_over(new: Planned | None, old: Planned | None, nodes: Collection[str]) -> Planned | None:
    """The plan of a rerun: of nodes whose steps it takes over, the plan by which they were made."""
    kept = {} if old is None else {name: one for name, one in old.nodes.items() if name in nodes}
    others = {} if new is None else {name: one for name, one in new.nodes.items() if name not in nodes}
    return Planned(nodes={**others, **kept}) if kept or others else None


def _folded(names: Iterable[str]) -> set[str]:
    return {name.casefold() for name in names}
