"""Edges: do they come from somewhere, and do they fit the ports they lead to?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from plugmesh.contracts.flow import Flow, Source
from plugmesh.contracts.module import ModuleContract, PortKind
from plugmesh.flows.binding import Misfit, fit_inputs, fit_output
from plugmesh.flows.places import KeyPath
from plugmesh.flows.problem import REFERENCES, Report

Contracts = Mapping[str, ModuleContract]


def check_edges(flow: Flow, contracts: Contracts, report: Report, incomplete: Collection[str]) -> None:
    """Every edge of every node; `contracts` has those that are known, by node."""
    for name, node in flow.nodes.items():
        for path, source in _sources(flow, name):
            _check_source(source, flow, path, report)
        for index, other in enumerate(node.after):
            if other not in flow.nodes:
                path = ("nodes", name, "after", index)
                hint = report.did_you_mean(other, flow.nodes)
                report.error(REFERENCES, "unknown-node", f"there is no node {other!r}", path, hint=hint)
        if name in contracts:
            _check_ports(flow, name, contracts, report, complete=name not in incomplete)


def check_outputs(flow: Flow, contracts: Contracts, report: Report) -> None:
    """Every output of the flow."""
    for name, source in flow.outputs.items():
        path = ("outputs", name)
        if _check_source(source, flow, path, report):
            _kind_of(source, flow, contracts, path, report)


def _sources(flow: Flow, name: str) -> Iterator[tuple[KeyPath, Source]]:
    for port, sources in flow.nodes[name].inputs.items():
        for index, source in enumerate(sources):
            yield _path(name, port, index, len(sources)), source


def _path(name: str, port: str, index: int, count: int) -> KeyPath:
    path: KeyPath = ("nodes", name, "in", port) if port else ("nodes", name, "in")
    return (*path, index) if count > 1 else path


def _check_source(source: Source, flow: Flow, path: KeyPath, report: Report) -> bool:
    if source.input is not None:
        if source.input in flow.inputs:
            return True
        hint = report.did_you_mean(source.input, flow.inputs)
        report.error(REFERENCES, "unknown-input", f"the flow has no input {source.input!r}", path, hint=hint)
        return False
    if source.node in flow.nodes:
        return True
    name = source.node or ""
    if name in flow.inputs and source.port is None:
        hint = f'for the input of the flow write "${{inputs.{name}}}"'
    elif name == "inputs" and source.port in flow.inputs:
        hint = f'for the input of the flow write "${{inputs.{source.port}}}"'
    else:
        hint = report.did_you_mean(name, flow.nodes)
    report.error(REFERENCES, "unknown-node", f"there is no node {name!r}", path, hint=hint)
    return False


def _check_ports(flow: Flow, name: str, contracts: Contracts, report: Report, *, complete: bool) -> None:
    contract = contracts[name]
    inputs = flow.nodes[name].inputs
    edges, misfits = fit_inputs(inputs, contract)
    for misfit in misfits:
        if complete or misfit.code != "missing-edge":
            _report_misfit(misfit, name, inputs, report)
    for port in contract.inputs:
        given = port.name if port.name in inputs else ""
        sources = edges.get(port.name, ())
        for index, source in enumerate(sources):
            path = _path(name, given, index, len(sources))
            kind = _kind_of(source, flow, contracts, path, report)
            if kind is not None and kind != port.kind:
                message = f"input {port.name!r} of {contract.name} takes a {port.kind}, not a {kind}"
                report.error(REFERENCES, "wrong-kind", message, path)
            declared = flow.inputs.get(source.input or "")
            if declared is not None and declared.optional and not port.optional and not port.variadic:
                message = f"input {port.name!r} of {contract.name} is required, but {source.input!r} is optional"
                report.error(REFERENCES, "optional-input", message, path)


def _report_misfit(misfit: Misfit, name: str, inputs: Mapping[str, object], report: Report) -> None:
    path: KeyPath = ("nodes", name, "in")
    if misfit.port and misfit.port in inputs:
        report.error(REFERENCES, misfit.code, misfit.message, (*path, misfit.port), hint=misfit.hint, key=True)
    elif misfit.code == "missing-edge" and not inputs:
        report.error(REFERENCES, misfit.code, misfit.message, path[:2], hint=misfit.hint, key=True)
    else:
        report.error(REFERENCES, misfit.code, misfit.message, path, hint=misfit.hint)


def _kind_of(source: Source, flow: Flow, contracts: Contracts, path: KeyPath, report: Report) -> PortKind | None:
    """What comes through `source`, `None` when that is not known (or reported)."""
    if source.input is not None:
        declared = flow.inputs.get(source.input)
        return declared.kind if declared else None
    contract = contracts.get(source.node or "")
    if contract is None or source.node not in flow.nodes:
        return None
    port = fit_output(source, contract)
    if isinstance(port, Misfit):
        report.error(REFERENCES, port.code, port.message, path, hint=port.hint)
        return None
    return port.kind
