"""Levels 3 (references), 4 (columns) and 5 (live mesh) of validation, all problems at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from plugmesh.contracts.flow import Flow
from plugmesh.contracts.module import ModuleContract, PortKind
from plugmesh.flows.binding import bind_inputs, bind_output
from plugmesh.flows.edges import check_edges, check_outputs
from plugmesh.flows.graph import find_cycles, predecessors
from plugmesh.flows.node_params import check_node_params, check_text, check_usage
from plugmesh.flows.parse import Parsed
from plugmesh.flows.places import Places
from plugmesh.flows.problem import COLUMNS, LIVE, REFERENCES, Problem, Report, merge
from plugmesh.flows.substitute import Scope
from plugmesh.planner.params import params_of
from plugmesh.planner.plan import plan

__all__ = ["ContractView", "bind_inputs", "bind_output", "check", "validate"]

_SHOWN_OF_A_CYCLE = 8


class ContractView(Protocol):
    """What is known about modules. A module reference is `name`, `name@1.2.0` or `name@^1`."""

    def names(self) -> Collection[str]:
        """The names of all modules that were ever here."""
        ...

    def find(self, module_reference: str) -> ModuleContract | None:
        """The contract of the best known version that fits, alive or not."""
        ...

    def is_live(self, module_reference: str) -> bool:
        """Whether an instance that can take work serves a version that fits."""
        ...

    def disabled(self, module_reference: str) -> str:
        """Who has disabled every version that fits, and why; empty if one may be used."""
        ...

    def quarantined(self, module_reference: str) -> str:
        """Why the version that a run would choose is quarantined, though others that fit may not be; empty if it is
        not."""
        ...

    def versions(self, name: str) -> Collection[str]:
        """The known versions of the module called `name`."""
        ...


def check(parsed: Parsed, contracts: ContractView, *, live: bool, strict: bool = False) -> tuple[Problem, ...]:
    """All problems of a flow that was parsed, of every level, in the order of the text."""
    if parsed.draft is None:
        return parsed.problems
    found = validate(parsed.draft, parsed.places, contracts, live, strict=strict, incomplete=parsed.incomplete)
    return merge(parsed.problems, found)


def validate(
    flow: Flow,
    places: Places,
    contracts: ContractView,
    live: bool,
    *,
    strict: bool = False,
    incomplete: Collection[str] = frozenset(),
) -> tuple[Problem, ...]:
    """The problems of `flow` beyond syntax and schema.

    `live`: also whether its modules are there, as warnings, or as errors when `strict`. Of `incomplete` nodes
    something could not be read: what seems to be missing there is not reported.
    """
    report = Report(places)
    found = _find_contracts(flow, contracts)
    _check_cycles(flow, report)
    check_edges(flow, found, report, incomplete)
    check_outputs(flow, found, report)
    check_node_params(flow, found, report, incomplete)
    if flow.concurrency is not None and flow.concurrency.key is not None:
        check_text(flow.concurrency.key, flow, ("concurrency", "key"), report)
    check_usage(flow, report)
    _check_bound_columns(flow, found, report)
    _check_columns(flow, found, report)
    if live:
        _check_live(flow, found, contracts, report, strict=strict)
    return report.problems


def _find_contracts(flow: Flow, contracts: ContractView) -> dict[str, ModuleContract]:
    """The contract of every node whose module is known."""
    references = {node.module for node in flow.nodes.values() if node.module}
    known = {reference: contracts.find(reference) for reference in references}
    return {name: contract for name, node in flow.nodes.items() if (contract := known.get(node.module)) is not None}


def _check_cycles(flow: Flow, report: Report) -> None:
    before = predecessors(flow)
    for name, others in before.items():
        if name in others:
            path = ("nodes", name, "after" if name in flow.nodes[name].after else "in")
            report.error(REFERENCES, "self-loop", f"node {name!r} waits for itself", path)
            others.discard(name)
    for cycle in find_cycles(before):
        names = [*cycle, cycle[0]]
        if len(names) > _SHOWN_OF_A_CYCLE:
            names = [*names[: _SHOWN_OF_A_CYCLE - 2], f"… {len(names) - _SHOWN_OF_A_CYCLE + 1} more …", cycle[0]]
        message = f"these nodes wait for each other: {' → '.join(names)}"
        report.error(REFERENCES, "cycle", message, ("nodes", cycle[0]), key=True)


def _check_bound_columns(flow: Flow, found: dict[str, ModuleContract], report: Report) -> None:
    for name, contract in found.items():
        bind = flow.nodes[name].bind
        if not bind:
            continue
        columns = {column for port in contract.inputs for column in port.columns}
        columns |= {column for port in contract.outputs for column in port.columns}
        for column in bind:
            if columns and column not in columns:
                message = f"{contract.name} has no column {column!r} of its own; there are {', '.join(sorted(columns))}"
                hint = report.did_you_mean(column, columns)
                report.error(COLUMNS, "unknown-column", message, ("nodes", name, "bind", column), hint=hint, key=True)


def _check_columns(flow: Flow, found: dict[str, ModuleContract], report: Report) -> None:
    """Columns and types through the graph, as far as contracts alone say them."""
    if any(_says_columns(contract) for contract in found.values()):
        for one in plan(flow, found, params_of(flow, Scope())).problems:
            report.error(COLUMNS, one.code, one.message, one.path, hint=one.hint)


def _says_columns(contract: ModuleContract) -> bool:
    """Whether all columns of an output are known without what comes in."""
    return any(port.kind is PortKind.TABLE and not port.open and port.passes is None for port in contract.outputs)


def _check_live(
    flow: Flow, found: dict[str, ModuleContract], contracts: ContractView, report: Report, *, strict: bool
) -> None:
    alive: dict[str, bool] = {}
    names = contracts.names()
    for name, node in flow.nodes.items():
        reference = node.module
        poison = contracts.quarantined(reference) if name in found and flow.quarantine == "park" else ""
        is_alive = alive.setdefault(reference, name in found and contracts.is_live(reference))
        if not reference or (is_alive and not poison):
            continue
        module = reference.partition("@")[0]
        waits = "" if strict else "; its step will be parked until one is plugged in"
        if name in found and (switch := poison or contracts.disabled(reference)):
            code, message, hint = "module-disabled", f"{reference} is {switch}", ""
            waits = "" if strict else "; its step will be parked until it is enabled"
        elif name in found:
            code, message, hint = "no-instance", f"no live instance serves {reference}", ""
        elif module in names:
            versions = ", ".join(sorted(contracts.versions(module)))
            code, message, hint = (
                "unknown-version",
                f"no known version of {module} fits {reference}",
                f"known: {versions}",
            )
        else:
            code, message = "unknown-module", f"the module {module} is not known"
            hint = report.did_you_mean(module, names)
        severity = report.error if strict else report.warning
        severity(LIVE, code, message + waits, ("nodes", name, "module"), hint=hint)
