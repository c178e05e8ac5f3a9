"""Which of a module's ports the edges of a node lead to, and which output they come from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from plugmesh.contracts.flow import Node, Source
from plugmesh.contracts.module import REJECTED, InputPort, ModuleContract, OutputPort
from plugmesh.errors import FlowInvalid
from plugmesh.flows.problem import REFERENCES, Problem, did_you_mean

Edges = dict[str, tuple[Source, ...]]
_DEAD_LETTERS = OutputPort(name=REJECTED, open=True)
"""What every module has beside its own outputs: its columns are those of the rows that it rejected."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Edges that do not fit the module. `port` is the one in the flow; the empty one stands for the only input."""

    code: str
    port: str
    message: str
    hint: str = ""


def bind_inputs(node: Node, contract: ModuleContract, node_name: str = "") -> Edges:
    """The edges of `node` by input port, in the contract's order; ports without edges are left out.

    The unnamed input of a node is the only required port of its module, or the only one at all.
    Raises `FlowInvalid` when the edges do not fit `contract`.
    """
    edges, misfits = fit_inputs(node.inputs, contract)
    if misfits:
        raise _invalid(node_name, contract, misfits)
    return edges


def bind_output(source: Source, contract: ModuleContract) -> OutputPort:
    """The output port of `source.node`'s module that `source` means. Raises `FlowInvalid`."""
    found = fit_output(source, contract)
    if isinstance(found, Misfit):
        raise _invalid(source.node or "", contract, (found,))
    return found


def fit_inputs(inputs: Mapping[str, tuple[Source, ...]], contract: ModuleContract) -> tuple[Edges, tuple[Misfit, ...]]:
    """The edges by port, and everything that does not fit."""
    named: Edges = {}
    misfits: list[Misfit] = []
    tried: set[str] = set()
    for given, sources in inputs.items():
        port = _port(given, contract)
        if isinstance(port, Misfit):
            if given or sources:
                misfits.append(port)
        elif port.name in named:
            misfits.append(Misfit("port-twice", given, f"port {port.name!r} is connected twice"))
        elif len(sources) > 1 and not port.variadic:
            message = f"port {port.name!r} takes one edge, not {len(sources)}"
            misfits.append(Misfit("too-many-edges", given, message))
            tried.add(port.name)
        elif sources:
            named[port.name] = sources
    if all(misfit.code != "ambiguous-port" for misfit in misfits):
        misfits += _missing(tried.union(named), contract)
    return {port.name: named[port.name] for port in contract.inputs if port.name in named}, tuple(misfits)


def fit_output(source: Source, contract: ModuleContract) -> OutputPort | Misfit:
    """The output port that `source` means, or why there is none."""
    names = [port.name for port in contract.outputs]
    if source.port is not None:
        port = contract.output(source.port)
        if port is not None:
            return port
        if source.port == REJECTED:
            return _DEAD_LETTERS
        hint = did_you_mean(source.port, [*names, REJECTED])
        return Misfit(
            "unknown-port", source.port, f"{contract.name} has no output {source.port!r}; {_list(names)}", hint
        )
    if len(contract.outputs) == 1:
        return contract.outputs[0]
    if not names:
        return Misfit(
            "no-output", "", f"{contract.name} has no output: nothing can follow it", "use after: to wait for it"
        )
    message = f"{contract.name} has several outputs; {_list(names)}"
    return Misfit("ambiguous-port", "", message, f"write {source.node}.{names[0]}")


def _invalid(node_name: str, contract: ModuleContract, misfits: tuple[Misfit, ...]) -> FlowInvalid:
    texts = [f"{misfit.message}{f' ({misfit.hint})' if misfit.hint else ''}" for misfit in misfits]
    problems = tuple(
        Problem(REFERENCES, "error", misfit.code, misfit.message, ("nodes", node_name, misfit.port), hint=misfit.hint)
        for misfit in misfits
    )
    name = f"node {node_name!r}" if node_name else "the node"
    return FlowInvalid(f"{name} does not fit {contract.ref}: {'; '.join(texts)}", problems)


def _port(given: str, contract: ModuleContract) -> InputPort | Misfit:
    names = [port.name for port in contract.inputs]
    if given:
        port = contract.input(given)
        if port is not None:
            return port
        hint = did_you_mean(given, names)
        return Misfit("unknown-port", given, f"{contract.name} has no input {given!r}; {_list(names)}", hint)
    required = [port for port in contract.inputs if not port.optional]
    candidates = required or list(contract.inputs)
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        return Misfit("no-input", "", f"{contract.name} has no input", "remove in:")
    message = f"{contract.name} has several inputs; {_list(names)}"
    return Misfit("ambiguous-port", "", message, f"write in: {{{candidates[0].name}: …}}")


def _missing(connected: Collection[str], contract: ModuleContract) -> list[Misfit]:
    """Required ports without an edge."""
    return [
        Misfit("missing-edge", port.name, f"input {port.name!r} of {contract.name} needs an edge", f"{port.kind} port")
        for port in contract.inputs
        if not port.optional and port.name not in connected
    ]


def _list(names: list[str]) -> str:
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(names)}" if names else "it has none"
